"""What the producer and the workers share."""
