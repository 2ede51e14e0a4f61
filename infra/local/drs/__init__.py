"""
AWS Elastic Disaster Recovery for moto, which has none.

It is laid out as a service of moto's own (`models`, `responses`, `urls`) and reached through moto's
dispatcher. `control` is what the stand-in's own routes do to it.
"""

import re
import sys

import moto
from moto import backend_index

from infra.local.drs.control import (
    add_source_servers,
    apply_background_changes,
    delete_source_server,
    launch_sources_of,
    patch_source_server,
    set_initialised,
    source_server_of,
    template_id_of,
)
from infra.local.drs.models import DRSBackend, drs_backends

__all__ = [
    "DRSBackend",
    "add_source_servers",
    "apply_background_changes",
    "delete_source_server",
    "drs_backends",
    "install",
    "launch_sources_of",
    "patch_source_server",
    "set_initialised",
    "source_server_of",
    "template_id_of",
]

_HOST = re.compile("https?://drs\\.(.+)\\.amazonaws\\.com")


def install() -> None:
    """Make moto's server know DRS. It may be called twice; moto's own services are left alone."""
    sys.modules["moto.drs"] = sys.modules[__name__]
    moto.drs = sys.modules[__name__]  # type: ignore[attr-defined]  # what an import of moto.drs would bind
    if all(service != "drs" for service, _ in backend_index.backend_url_patterns):
        backend_index.backend_url_patterns.append(("drs", _HOST))
