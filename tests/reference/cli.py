"""docs/cli.md: every command of `prelaunch` with its options, as `--help` has them."""

import typer.cli
import typer.main

from producer.cli.app import app

HEAD = "<!-- Written from the code by `make docs`. -->\n\n"


def render() -> str:
    """Render the page."""
    command = typer.main.get_command(app)
    page = typer.cli.get_docs_for_click(obj=command, ctx=typer.Context(command), name="prelaunch", title="prelaunch")
    return HEAD + "\n".join(line.rstrip() for line in page.splitlines()) + "\n"
