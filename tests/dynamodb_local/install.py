"""
Fetch DynamoDB Local with npm, check that it is the very package that was locked, and unpack what runs.

Of the package only the jars are wanted: nothing of it or of its dependencies is installed or run by npm.
"""

import base64
import hashlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

PACKAGE = "amplify-dynamodb-simulator@2.9.30"
SHA512 = "xTeeRLvzEfqyd5lh3bH4c0kHvSHHmmhD5ZDsHFKAQ5g2Zl6JqlFdutaQhCLHzxEp6Ry1o7TB6niIoXuQAnSewQ=="
INSIDE = "package/emulator/"
HOME = Path(sys.prefix) / "dynamodb-local"
"""Where it is unpacked: in the virtual environment, which is never committed."""
JAR = "DynamoDBLocal.jar"
JAVA_VERSION = 17
JAVA_ADVICE = f"Java {JAVA_VERSION} or newer (Debian: apt-get install openjdk-17-jre-headless)"
NPM_ADVICE = "npm, which fetches it (Debian: apt-get install npm)"
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
        Missing: Java or npm is not there, npm cannot fetch it, or what it fetched is another package.
    """
    npm = shutil.which("npm")
    missing = [] if find_java() else [JAVA_ADVICE]
    missing += [] if npm else [NPM_ADVICE]
    if missing or npm is None:
        raise explain(missing)
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        done = subprocess.run(
            [npm, "pack", PACKAGE, "--loglevel=error"], cwd=directory, capture_output=True, text=True, check=False
        )
        packed = [*Path(directory).glob("*.tgz")]
        if done.returncode or not packed:
            raise Missing(f"npm pack {PACKAGE} failed: {done.stderr.strip() or done.stdout.strip()}")
        check(packed[0].read_bytes())
        unpacked = Path(directory) / "unpacked"
        unpack(packed[0], unpacked)
        shutil.rmtree(home, ignore_errors=True)
        unpacked.rename(home)


def check(package: bytes) -> None:
    """Refuse a package that is not the one that was locked."""
    if base64.b64encode(hashlib.sha512(package).digest()).decode() != SHA512:
        raise Missing(f"npm fetched another {PACKAGE} than the one that is locked: its SHA-512 differs.")


def unpack(package: Path, home: Path) -> None:
    """Unpack the jars, and what they need, of a package that was checked."""
    with tarfile.open(package) as archive:
        members = [member for member in archive.getmembers() if member.name.startswith(INSIDE)]
        for member in members:
            member.name = member.name.removeprefix(INSIDE)
        archive.extractall(home, members, filter="data")


if __name__ == "__main__":
    try:
        install()
    except Missing as error:
        sys.exit(str(error))
