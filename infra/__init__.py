"""What is deployed, and the same on a laptop."""
