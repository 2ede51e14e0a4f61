"""Two steps of `make mutants`: leave out the mutants that say nothing, and report what became of all the others."""

import sys
from pathlib import Path

from tests.mutation.report import LEAST, find_share, render, write_part
from tests.mutation.results import MutatedModule, read_modules
from tests.mutation.survivors import NOT_JUDGED, explain, read_reasons, render_survivors

ROOT, DOCUMENT = Path("mutants"), Path("docs/quality.md")


def main(arguments: list[str]) -> int:
    """Do one step; 1 where too few mutants were killed, or one was not run."""
    modules = read_modules(ROOT)
    if arguments == ["leave-out"]:
        at_import, texts = (
            sum(module.leave_out(kind(module)) for module in modules)
            for kind in (MutatedModule.at_import, MutatedModule.texts)
        )
        _say(f"Left out: {at_import} mutants in functions that run at import alone, {texts} that change a text only.")
        return 0
    table = render(modules)
    survivors = explain(
        (module.show(each) for module in modules if module.is_ended for each in module.survivors()), read_reasons()
    )
    write_part(DOCUMENT, "figures", table)
    write_part(DOCUMENT, "survivors", render_survivors(survivors))
    _say("\n".join([table, "", *(f"{NOT_JUDGED} {each}" for each in survivors.get(NOT_JUDGED, []))]))
    share = find_share(modules)
    unrun = [mutant for module in modules for mutant in module.unrun()]
    if share < LEAST or unrun:
        _say(f"{share:.1f} % killed, {len(unrun)} not run; at least {LEAST} % and all of them are wanted.")
        return 1
    return 0


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
