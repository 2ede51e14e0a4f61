"""What the image is made of: what is tested, all that the product imports, and no more."""

import re
import subprocess
import sys
from pathlib import Path

from tests.fakes.stack_template import INFRA

IMPORTED = """
import importlib.metadata, re, sys
there = {re.sub("[-_.]+", "-", name).lower() for name in sys.argv[1:]} | {"prelaunch"}
def is_left_out(distributions):
    return not any(re.sub("[-_.]+", "-", name).lower() in there for name in distributions)
left_out = {"infra"} | {
    module for module, owners in importlib.metadata.packages_distributions().items() if is_left_out(owners)
}
class Refuse:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in left_out:
            raise ModuleNotFoundError(f"{name} is not in the image", name=name)
sys.meta_path.insert(0, Refuse())
import dramatiq.cli, producer.cli.app, producer.lambda_handler, workers.main
try:
    import moto
except ModuleNotFoundError:
    sys.exit(0)
sys.exit("nothing was left out")
"""
LOCK = re.compile(r"^([a-z0-9._-]+==\S+)", re.MULTILINE)


def test_the_image_is_made_of_what_is_tested() -> None:
    """The same versions, by their hashes; and of no more than the product needs."""
    requirements = Path(INFRA).parent / "requirements"
    runtime, local = (LOCK.findall((requirements / f"{name}.txt").read_text("utf-8")) for name in ("runtime", "local"))
    assert {*runtime} <= {*local}
    assert not [each for each in runtime if each.startswith(("moto", "docker", "pytest"))]
    dockerfile = (INFRA / "Dockerfile").read_text("utf-8")
    assert "--require-hashes" in dockerfile
    assert "requirements/runtime.txt" in dockerfile


def test_the_image_holds_all_that_is_imported() -> None:
    """By the function, the workers and the command, without what only tests and the stand-in have."""
    lock = (Path(INFRA).parent / "requirements" / "runtime.txt").read_text("utf-8")
    names = [each.partition("==")[0] for each in LOCK.findall(lock)]
    ran = subprocess.run([sys.executable, "-c", IMPORTED, *names], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
