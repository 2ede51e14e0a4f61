"""What a launch config names, checked against the account and Region that it is for, before anything is stored."""
