"""The command line: parses, calls one function, renders. No decision about a server is made here."""

from importlib.metadata import version

import typer

app = typer.Typer(name="prelaunch", no_args_is_help=True, add_completion=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prelaunch {version('prelaunch')}")
        raise typer.Exit


@app.callback()
def root(
    _version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Keep the launch settings of DRS source servers applied before they are needed."""


def main() -> None:
    """Run the command line."""
    app()
