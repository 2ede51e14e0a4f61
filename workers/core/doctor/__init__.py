"""Is everything there that prelaunch needs, and as it has to be? What is found, and what to do."""
