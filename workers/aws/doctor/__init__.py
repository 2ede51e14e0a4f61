"""What the doctor asks of AWS, over the SDK's clients. Reads, dry runs and simulations alone."""
