"""Clients of the plain SDK, as somebody who does not use prelaunch makes them."""

from typing import Any

import boto3
from botocore.config import Config

from tests.benchmarks.stage import Bench


def connect(service: str, bench: Bench, retries: Any, threads: int) -> Any:
    """Make a client of the stand-in, with retries in the words of the SDK's configuration."""
    environment = bench.stage.aws.environment
    return boto3.client(
        service,
        endpoint_url=bench.stage.aws.url,
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
        config=Config(retries=retries, max_pool_connections=threads),
    )
