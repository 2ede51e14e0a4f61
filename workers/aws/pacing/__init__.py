"""
The rate of our calls to AWS: one token bucket an (account, Region, API) that all processes of a fleet draw on.

`quotas` says what AWS grants, `law` decides (pure), `store` keeps a bucket's state in DynamoDB, `lanes` hands turns to
the callers of one process, `server_clock` aligns its time to DynamoDB's, `pacing` puts them together.
"""
