"""DynamoDB items and their conditional writes. No counter is the truth here."""
