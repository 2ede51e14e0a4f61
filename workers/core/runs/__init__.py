"""Apply runs: what they list, how they are opened and sent, how they settle."""
