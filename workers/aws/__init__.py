"""Adapters: DRS, EC2 launch templates, sessions, rate buckets: where botocore's errors become ours."""
