"""What mutmut leaves in `mutants/`: every mutant, its code, and what became of it."""

import ast
import importlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.mutation.survivors import Survivor
from tests.mutation.texts import is_text_only

PASSED_OVER = 34
"""mutmut's exit code of a mutant that is to be passed over."""
AT_IMPORT = frozenset(
    f"workers.core.{function}__mutmut"
    for function in (
        "model.conflicts.x__launch_into_with",
        "model.launch_config.x__specs",
        "model.shape.x__description",
        "model.shape.x__descriptions",
        "model.shape.x_members_of",
        "plan.template.x__members",
        "plan.template.x__nested",
        "plan.template.x__on_interface",
        "plan.template.x__scalar",
    )
)
"""Functions that run at import alone: mutmut chooses its mutant after that, so none of theirs would ever run."""
KILLED = frozenset({1, 3})
TIMEOUTS = frozenset({-24, 24, 36, 152, 255})
"""mutmut's exit codes, of `mutmut.stats.status_by_exit_code`; every other one is a mutant that nobody noticed."""
_METHOD = "ǁ"


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of mutants."""

    killed: int
    timeouts: int
    survived: int
    left_out: int

    @property
    def share(self) -> float:
        """Tell how many per cent were noticed: by a failure, or by never coming to an end."""
        noticed = self.killed + self.timeouts
        return 100 * noticed / max(noticed + self.survived, 1)


@dataclass(frozen=True)
class MutatedModule:
    """One module of which mutants were made."""

    root: Path
    meta_path: Path

    @cached_property
    def path(self) -> Path:
        """Tell where its source is."""
        return self.meta_path.relative_to(self.root).with_suffix("")

    @cached_property
    def meta(self) -> dict[str, Any]:
        """Tell what mutmut wrote down."""
        return dict(json.loads(self.meta_path.read_text()))

    @property
    def codes(self) -> dict[str, int | None]:
        """Tell each mutant's exit code; None where it was not run."""
        return dict(self.meta["exit_code_by_key"])

    @cached_property
    def functions(self) -> Mapping[str, ast.AST]:
        """Tell the functions that mutmut made: each original and each mutant of it."""
        tree = ast.parse(self.meta_path.with_suffix("").read_text())
        made = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
        return {node.name: node for node in made if "__mutmut_" in node.name}

    def at_import(self) -> Iterator[str]:
        """Name the mutants of functions that run at import alone."""
        return (mutant for mutant in self.codes if mutant.rpartition("_")[0].rstrip("_") in AT_IMPORT)

    def texts(self) -> Iterator[str]:
        """Name the mutants that change a text for people only."""
        names = vars(importlib.import_module(".".join(self.path.with_suffix("").parts)))
        for mutant in self.codes:
            name = mutant.rpartition(".")[2]
            function = name.partition("__mutmut_")[0]
            owner = names.get(function.split(_METHOD)[1]) if _METHOD in function else None
            original = self.functions[f"{function}__mutmut_orig"]
            if is_text_only(original, self.functions[name], names, owner):
                yield mutant

    @property
    def counts(self) -> Counts:
        """Count what became of them."""
        codes = [*self.codes.values()]
        killed, timeouts = (sum(code in known for code in codes) for known in (KILLED, TIMEOUTS))
        return Counts(killed, timeouts, len([*self.survivors()]), codes.count(PASSED_OVER))

    def survivors(self) -> Iterator[str]:
        """Name the mutants that nothing noticed, those among them that no test comes by."""
        noticed = {*KILLED, *TIMEOUTS, PASSED_OVER, None}
        return (mutant for mutant, code in self.codes.items() if code not in noticed)

    @property
    def is_ended(self) -> bool:
        """Tell whether every mutant was tried."""
        return None not in self.codes.values()

    def unrun(self) -> Iterator[str]:
        """Name the mutants that were not tried."""
        return (mutant for mutant, code in self.codes.items() if code is None)

    def leave_out(self, mutants: Iterable[str]) -> int:
        """Have mutmut pass over these mutants; tell how many they are."""
        passed_over = dict.fromkeys(mutants, PASSED_OVER)
        self.meta["exit_code_by_key"].update(passed_over)
        self.meta_path.write_text(json.dumps(self.meta, indent=4))
        return len(passed_over)

    def show(self, mutant: str) -> Survivor:
        """Tell what a mutant changes: the lines of its function that differ, before and after."""
        name = mutant.rpartition(".")[2]
        function = name.partition("__mutmut_")[0]
        where = function.removeprefix("x_") if _METHOD not in function else ".".join(function.split(_METHOD)[1:])
        before, after = (_lines(self.functions[each]) for each in (f"{function}__mutmut_orig", name))
        gone, new = [each for each in before if each not in after], [each for each in after if each not in before]
        package = ".".join(self.path.with_suffix("").parts[-2:])
        return Survivor(f"{package}.{where}", " ".join(gone), " ".join(new))


def _lines(function: ast.AST) -> list[str]:
    return [re.sub(r"\b\w+__mutmut_\w+", "", line).strip() for line in ast.unparse(function).splitlines()]


def read_modules(root: Path) -> list[MutatedModule]:
    """Find the modules of which mutants were made, in order of their paths."""
    found = [MutatedModule(root, path) for path in sorted(root.rglob("*.py.meta"))]
    return [module for module in found if module.codes]
