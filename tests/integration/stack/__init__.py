"""What runs over DynamoDB, SQS, DRS and EC2 together, in process, against the stand-in."""
