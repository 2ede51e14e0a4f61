"""The command line: parses, calls one function, renders. No decision about a server is made here."""

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from typing import Annotated, Any

import dramatiq.cli
import typer
from pydantic import ValidationError

from producer.http import create_app
from producer.listen import listen, serve
from producer.main import open_services
from producer.preflight import check_stack, check_worker_stack
from workers.core.errors import PrelaunchError, SetupError
from workers.core.logs import configure_logs
from workers.core.settings import Settings

NOT_REACHABLE = 3
WRONG_USE = 2
WORKER_GRACE_MILLISECONDS = 30_000
OURS = {"producer", "workers", "infra"}

app = typer.Typer(
    name="prelaunch",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    # Frames would cut a message into several lines.
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"prelaunch {version('prelaunch')}")
        raise typer.Exit


@app.callback()
def root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Keep the launch settings of DRS source servers applied before they are needed."""


@app.command()
def local(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 4566,
    servers: Annotated[int, typer.Option(min=0, max=4000, help="Source servers from the start.")] = 0,
    latency: Annotated[float, typer.Option(min=0, help="Seconds that a DRS or EC2 call takes.")] = 0.0,
    rates: Annotated[str, typer.Option(help="Token buckets: real, off, or a factor.")] = "real",
) -> None:
    """Run a stand-in for AWS and print what to export."""
    with _local_extra():
        from infra.local import server  # noqa: PLC0415  # an extra
        from infra.local.buckets import parse_rates  # noqa: PLC0415  # an extra

        if not math.isfinite(latency):
            raise typer.BadParameter(f"{latency} is no number of seconds", param_hint="--latency")
        try:
            numbers = parse_rates(rates)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--rates") from error
        try:
            server.serve(port, servers, latency, numbers, stack=Settings().stack)
        except server.PortTaken as error:
            raise SetupError(str(error)) from error


@app.command()
def api(
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8080,
) -> None:
    """Serve the HTTP door on this machine."""
    configure_logs()
    settings = Settings()
    with listen(port) as listener:
        check_stack(settings)
        serve(create_app(partial(open_services, settings)), listener)


@app.command()
def worker(
    processes: Annotated[
        int, typer.Option(min=1, max=64, help="Worker processes; several overdraw one account's rates together.")
    ] = 1,
    threads: Annotated[int | None, typer.Option(min=1, max=512, help="Source servers at once, a process.")] = None,
) -> None:
    """Run workers in front; SIGTERM ends them in order."""
    settings = Settings()
    check_worker_stack(settings)
    arguments = [
        "workers.main:set_up",
        *("--processes", str(processes)),
        *("--threads", str(threads or settings.threads)),
        *("--worker-shutdown-timeout", str(WORKER_GRACE_MILLISECONDS)),
        "--skip-logging",
    ]
    run_dramatiq: Any = dramatiq.cli
    raise typer.Exit(run_dramatiq.main(run_dramatiq.make_argument_parser().parse_args(arguments)))


@app.command()
def demo(
    json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Show it all at work, on a stand-in for AWS."""
    with _local_extra():
        # The stand-in is a process of its own: what it lacks has to be found out here.
        import moto  # noqa: F401, PLC0415  # an extra

        from producer.demo.run import run_demo  # noqa: PLC0415  # an extra
    raise typer.Exit(run_demo(as_json=json))


@contextmanager
def _local_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        needed = f"{error.name} is missing. This command needs the local extra: pip install 'prelaunch[local]'."
        raise SetupError(needed) from error


def main() -> None:
    """Run the command line: 0 all well, 1 something failed, 2 wrong use, 3 not reachable."""
    try:
        app()
    except PrelaunchError as error:
        typer.echo(f"prelaunch: {error.message}", err=True)
        sys.exit(NOT_REACHABLE)
    except ValidationError as error:
        wrong = "; ".join(f"PRELAUNCH_{str(e['loc'][0]).upper()}: {e['msg']}" for e in error.errors())
        typer.echo(f"prelaunch: the settings are wrong: {wrong}.", err=True)
        sys.exit(WRONG_USE)


if __name__ == "__main__":
    main()
