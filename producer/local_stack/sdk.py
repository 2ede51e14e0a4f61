"""The plain SDK's clients, for whoever is not prelaunch: the serial way, and somebody else's hand."""

from collections.abc import Mapping
from typing import Any

import boto3


def plain_client(service: str, environment: Mapping[str, str]) -> Any:
    """
    Make a client with the SDK's own settings.

    Parameters:
        service: The SDK's name of the service.
        environment: Endpoint, Region and credentials.

    Returns:
        The client.
    """
    return boto3.client(
        service,
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
