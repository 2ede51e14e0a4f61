"""The queue against a real SQS API, with a real dramatiq worker, beside the plain dramatiq_sqs."""
