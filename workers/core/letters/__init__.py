"""Dead letters: looked at, done again, thrown away; over a port, so that no SQS word stands here."""
