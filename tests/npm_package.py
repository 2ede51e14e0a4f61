"""Fetch a package from npm, and make sure that it is the very one that was locked; nothing of it is installed."""

import base64
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

NPM_ADVICE = "npm, which fetches it (Debian: apt-get install npm)"


class NotFetched(Exception):
    """A package cannot be had; the message says why."""


def fetch(package: str, sha512: str) -> bytes:
    """
    Fetch a package.

    Parameters:
        package: Its name and version, as name@version.
        sha512: What it was locked by, in base64.

    Returns:
        The package as npm packs it, a compressed tar archive whose members stand under package/.

    Raises:
        NotFetched: npm is not there, npm cannot fetch it, or what it fetched is another package.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise NotFetched(f"{package} needs {NPM_ADVICE}.")
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [npm, "pack", package, "--loglevel=error"], cwd=directory, capture_output=True, text=True, check=False
        )
        packed = [*Path(directory).glob("*.tgz")]
        if done.returncode or not packed:
            raise NotFetched(f"npm pack {package} failed: {done.stderr.strip() or done.stdout.strip()}")
        content = packed[0].read_bytes()
    check(package, content, sha512)
    return content


def check(package: str, content: bytes, sha512: str) -> None:
    """Refuse a package that is not the one that was locked."""
    if base64.b64encode(hashlib.sha512(content).digest()).decode() != sha512:
        raise NotFetched(f"npm fetched another {package} than the one that is locked: its SHA-512 differs.")
