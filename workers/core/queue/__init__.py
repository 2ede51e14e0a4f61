"""SQS: batched sends for every door, broker and consumer for dramatiq."""
