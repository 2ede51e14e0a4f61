"""
Fetch what the page is tested with by npm, check that it is the very packages that were locked, and unpack what runs.

Chromium is the one that is packed for AWS Lambda: a single program without a window, and the few libraries that a slim
Linux does not have. axe-core finds what keeps people from using a page. TypeScript checks its scripts.
"""

import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.npm_package import NotFetched, fetch

PACKAGE = "@sparticuz/chromium@147.0.0"
SHA512 = "4ZKeAQQa8up2mt675qSitztLdbQrlf8BKdC5naeap+5Mv1OV1OlJdPoU+EJC/p5sQUJUQmN4r+q5+EhaaOUHpQ=="
INSIDE = "package/"
AXE_PACKAGE = "axe-core@4.14.1"
AXE_SHA512 = "FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
TYPESCRIPT_PACKAGE = "typescript@5.9.3"
TYPESCRIPT_SHA512 = "jl1vZzPDinLr9eUt3J/t7V6FgNEw9QjvBPdysz9KfQDD41fQrC2Y4vKQdiaUpFT4bXlb1RHhLpp8wtm6M5TgSw=="
HOME = Path(sys.prefix) / "browser"
"""Where it is unpacked: in the virtual environment, which is never committed."""
PROGRAM = "chromium"
AXE = "axe.min.js"
TYPESCRIPT = "typescript"
LIBRARIES = "lib"
ADVICE = "The tests of the page run in Chromium, which is not there; run: make .venv/.browser"
UNPACK = "process.stdin.pipe(require('zlib').createBrotliDecompress()).pipe(process.stdout)"
"""What Node runs: npm needs it anyway, and Python has no Brotli."""


def install(home: Path = HOME) -> None:
    """
    Fetch the package and unpack it; what was there before is replaced.

    Parameters:
        home: The directory that it is unpacked into.

    Raises:
        NotFetched: It cannot be had.
    """
    packed, axe = fetch(PACKAGE, SHA512), fetch(AXE_PACKAGE, AXE_SHA512)
    typescript = fetch(TYPESCRIPT_PACKAGE, TYPESCRIPT_SHA512)
    with tempfile.TemporaryDirectory(dir=home.parent) as directory:
        unpacked = Path(directory) / "unpacked"
        unpacked.mkdir()
        (unpacked / AXE).write_bytes(_read(axe, AXE))
        program = unpacked / PROGRAM
        program.write_bytes(_decompress(_read(packed, "bin/chromium.br")))
        program.chmod(0o755)
        with tarfile.open(fileobj=io.BytesIO(_decompress(_read(packed, "bin/al2023.tar.br")))) as archive:
            archive.extractall(unpacked, filter="data")
        with tarfile.open(fileobj=io.BytesIO(typescript)) as archive:
            archive.extractall(unpacked, filter="data")
        (unpacked / INSIDE).rename(unpacked / TYPESCRIPT)
        shutil.rmtree(home, ignore_errors=True)
        unpacked.rename(home)


def _read(package: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        member = archive.extractfile(INSIDE + name)
        assert member is not None, f"the package has no {name}"
        return member.read()


def _decompress(content: bytes) -> bytes:
    node = shutil.which("node")
    if node is None:
        raise NotFetched(f"{PACKAGE} needs node, which unpacks it (Debian: apt-get install nodejs).")
    return subprocess.run([node, "-e", UNPACK], input=content, capture_output=True, check=True).stdout


if __name__ == "__main__":
    try:
        install()
    except NotFetched as error:
        sys.exit(f"The page cannot be tested. {error}")
