"""Hours of a fleet in seconds: the product's own limiter, and the SDK's, against AWS's token bucket in virtual time."""
