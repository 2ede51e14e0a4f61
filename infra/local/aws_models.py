"""
botocore's own models of AWS's services and of where they are, each loaded once for the whole process.

Loading EC2's takes half a second of CPU: sixty clients that come at once must not load it sixty times.
"""

import threading
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ServiceModel
from botocore.regions import EndpointResolver

_lock = threading.Lock()
_loader = Loader()
_loaded: dict[str, Any] = {}


def load_description(service: str) -> Any:
    """
    Load the description of a service.

    Parameters:
        service: botocore's name of it.

    Returns:
        The model's JSON, or None for a service that botocore does not know.
    """
    with _lock:
        if service not in _loaded:
            known = service in _loader.list_available_services("service-2")
            _loaded[service] = _loader.load_service_model(service, "service-2") if known else None
        return _loaded[service]


def load_model(service: str) -> ServiceModel:
    """
    Load the model of a service that botocore knows.

    Parameters:
        service: botocore's name of it.

    Returns:
        Its operations and shapes.
    """
    return ServiceModel(load_description(service), service)


@cache
def list_regions(service: str) -> frozenset[str]:
    """
    List the Regions of all partitions that a service is in.

    Parameters:
        service: The name that its requests are signed for.

    Returns:
        The Regions; none where it is in no Region of its own, as IAM, or botocore does not know it.
    """
    with _lock:
        resolver = EndpointResolver(_loader.load_data("endpoints"))
    partitions = resolver.get_available_partitions()
    return frozenset(region for each in partitions for region in resolver.get_available_endpoints(service, each))
