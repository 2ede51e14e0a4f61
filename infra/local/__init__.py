"""A stand-in for AWS on one port of this machine. It shares no code with the product: that proves nothing."""
