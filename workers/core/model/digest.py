"""
Measure what "applied" means: two configs have one digest exactly if they ask for the same.

A change of the form below makes every applied server look changed: raise the schema version, knowingly.
"""

import hashlib
from collections.abc import Mapping

import rfc8785

from workers.core.model.launch_config import Json, LaunchConfig

SCHEMA_VERSION = 1
"""Stands inside each digest; grows when a field changes its meaning."""


def digest_launch_config(effective: LaunchConfig) -> str:
    """
    Digest an effective launch config.

    The order of members and of sets makes no difference, nor do int and Decimal; absent and null differ.

    Parameters:
        effective: Group defaults and override, merged.

    Returns:
        `sha256:` and 64 hexadecimal digits, over RFC 8785 canonical JSON.
    """
    return _digest({"schemaVersion": SCHEMA_VERSION, "launchConfig": effective.to_json()})


def digest_group(hashes: Mapping[str, str]) -> str:
    """
    Digest a group: which servers it has, and what each is to have.

    Parameters:
        hashes: Source server id to the digest of its effective launch config.

    Returns:
        `sha256:` and 64 hexadecimal digits, over the pairs in order of the ids.
    """
    pairs: list[Json] = [[source_server_id, hashes[source_server_id]] for source_server_id in sorted(hashes)]
    return _digest({"schemaVersion": SCHEMA_VERSION, "servers": pairs})


def _digest(document: Json) -> str:
    canonical: bytes = rfc8785.dumps(document)
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"
