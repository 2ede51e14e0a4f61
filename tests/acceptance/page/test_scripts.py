"""The page's scripts as they stand: types fit, and nothing is left over."""

import shutil
import subprocess
from pathlib import Path

from tests.browser.install import ADVICE, HOME, TYPESCRIPT

REPOSITORY = Path(__file__).parents[3]
SCRIPTS = REPOSITORY / "producer" / "page"
STRICT = (
    "--noEmit --allowJs --checkJs --strict --noUnusedLocals --noUnusedParameters --noImplicitReturns --target es2022 "
    "--module es2022 --moduleResolution bundler --lib es2023,dom,dom.iterable"
)


def test_types_fit_and_nothing_is_left_over() -> None:
    """As their comments declare them, strictly; a name that is not there or not used is an error."""
    compiler, node = HOME / TYPESCRIPT / "bin" / "tsc", shutil.which("node")
    assert compiler.exists(), ADVICE
    assert node
    scripts = sorted(map(str, SCRIPTS.glob("*.js")))
    assert len(scripts) > 10
    done = subprocess.run(
        [node, str(compiler), *STRICT.split(), *scripts], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


def test_nothing_is_put_in_as_markup() -> None:
    """What AWS or a sender says could be a script: there is no way here that would read it as one."""
    for script in SCRIPTS.glob("*.js"):
        text = script.read_text()
        for name in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "srcdoc",
        ):
            assert name not in text, f"{script.name} has {name}"
