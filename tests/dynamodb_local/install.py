"""
Fetch DynamoDB Local with npm, check that it is the very package that was locked, and unpack what runs.

Of the package only the jars are wanted: nothing of it or of its dependencies is installed or run by npm.
"""

import io
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.npm_package import NPM_ADVICE, NotFetched, fetch

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
INSIDE = "package/emulator/"
HOME = Path(sys.prefix) / "dynamodb-local"
"""Where it is unpacked: in the virtual environment, which is never committed."""
JAR = "DynamoDBLocal.jar"
JAVA_VERSION = 17
JAVA_ADVICE = f"Java {JAVA_VERSION} or newer (Debian: apt-get install openjdk-17-jre-headless)"
FETCH_ADVICE = "its jar (run: make .venv/.dynamodb)"


class Missing(Exception):
    """Something that DynamoDB Local needs is not on this machine; the message says what to install."""


def find_java() -> str | None:
    """Find a Java that is new enough."""
    java = shutil.which("java")
    if java is None:
        return None
    told = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    version = re.search(r'version "(\d+)', told.stderr + told.stdout)
    return java if version and int(version[1]) >= JAVA_VERSION else None


def explain(missing: list[str]) -> Missing:
    """Say in one sentence what is to be installed."""
    return Missing(f"The tests run against Amazon's DynamoDB Local, which lacks {' and '.join(missing)}.")


def require() -> str:
    """
    Look for all that it takes to run it.

    Returns:
        The path of Java.

    Raises:
        Missing: Something is not there.
    """
    java = find_java()
    missing = [] if java else [JAVA_ADVICE]
    missing += [] if (HOME / JAR).exists() else [FETCH_ADVICE]
    if missing or java is None:
        raise explain(missing)
    return java


def install(home: Path = HOME) -> None:
    """
    Fetch the package and unpack it; what was there before is replaced.

    Parameters:
        home: The directory that it is unpacked into.

    Raises:
        Missing: Java is not there, or the package cannot be had.
    """
    missing = [] if find_java() else [JAVA_ADVICE]
    missing += [] if shutil.which("npm") else [NPM_ADVICE]
    if missing:
        raise explain(missing)
    try:
        fetched = fetch(PACKAGE, SHA512)
    except NotFetched as error:
        raise Missing(str(error)) from error
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        unpacked = Path(directory) / "unpacked"
        unpack(fetched, unpacked)
        shutil.rmtree(home, ignore_errors=True)
        unpacked.rename(home)


def unpack(package: bytes, home: Path) -> None:
    """Unpack the jars, and what they need, of a package that was checked."""
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(INSIDE)]
        for member in members:
            member.name = member.name.removeprefix(INSIDE)
        archive.extractall(home, members, filter="data")


if __name__ == "__main__":
    try:
        install()
    except Missing as error:
        sys.exit(str(error))
