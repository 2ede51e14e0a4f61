"""
Where DRS is: the Regions that the SDK's own endpoint data names for it and for EC2.

A name of the right form that is not among them cannot be told from a slip of the pen, and no endpoint would ever answer
there. Nothing here makes a call.
"""

from functools import cache

from botocore.loaders import create_loader
from botocore.regions import EndpointResolver

NEEDED = ("drs", "ec2")


@cache
def list_regions() -> frozenset[str]:
    """List the Regions of every partition in which the SDK knows DRS and EC2."""
    resolver = EndpointResolver(create_loader().load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    known = ({r for p in partitions for r in resolver.get_available_endpoints(service, p)} for service in NEEDED)
    return frozenset(set.intersection(*known))
