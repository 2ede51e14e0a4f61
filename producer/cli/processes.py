"""The commands that run a process in front: the stand-in, the HTTP door, the workers, the demo, all of it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Annotated, Any

import structlog
import typer

from producer.cli.options import AwsChoice, Profile, RegionName, read_settings
from workers.core.environment import choose_aws, choose_threads
from workers.core.errors import SetupError
from workers.core.logs import configure_logs

log = structlog.get_logger()

WORKER_GRACE_MILLISECONDS = 30_000
OURS = {"producer", "workers", "infra"}

Port = Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")]
Latency = Annotated[float, typer.Option(min=0, help="Seconds that a DRS or EC2 call takes.")]


def local(
    *,
    port: Port = 4566,
    servers: Annotated[int, typer.Option(min=0, max=4000, help="Source servers from the start.")] = 0,
    latency: Latency = 0.0,
    rates: Annotated[str, typer.Option(help="Token buckets: real, off, or a factor.")] = "real",
) -> None:
    """
    Run a stand-in for AWS and print what to export.

    It has the tables and queues of PRELAUNCH_STACK, keeps everything in memory, touches no AWS account, and ends at
    SIGTERM or Ctrl-C.
    """
    with _local_extra():
        from infra.local import server  # noqa: PLC0415  # an extra
        from infra.local.buckets import parse_rates  # noqa: PLC0415  # an extra

        _check_latency(latency)
        try:
            numbers = parse_rates(rates)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--rates") from error
        try:
            server.serve(port, servers, latency, numbers, stack=read_settings().stack)
        except server.PortTaken as error:
            raise SetupError(str(error)) from error


def api(*, port: Port = 8080, profile: Profile = None, region: RegionName = None) -> None:
    """
    Serve the HTTP door on this machine.

    It needs the stack's tables and queues and AWS credentials, and says where it listens once it does. SIGTERM or
    Ctrl-C ends it: requests that are under way are answered first.
    """
    # FastAPI takes most of a second to import, which no other command should wait for.
    from producer.access import open_access  # noqa: PLC0415  # see above
    from producer.http import create_app  # noqa: PLC0415  # see above
    from producer.http.page import find_sign_in  # noqa: PLC0415  # see above
    from producer.listen import listen, serve  # noqa: PLC0415  # see above
    from producer.main import open_services  # noqa: PLC0415  # see above
    from producer.preflight import check_stack  # noqa: PLC0415  # see above
    from producer.requests import consuming  # noqa: PLC0415  # see above

    configure_logs()
    settings = read_settings()
    with listen(settings.api_host, port) as listener:
        check_stack(settings, AwsChoice(profile, region))
        opening = partial(open_services, settings, region=region, profile=profile)
        app = create_app(
            consuming(opening, settings),
            open_access(settings),
            host=settings.api_host,
            sign_in=find_sign_in(settings),
            metrics_open=settings.metrics_open,
        )
        serve(app, listener, settings.client_patience)


def worker(
    *,
    processes: Annotated[
        int | None,
        typer.Option(min=1, max=64, help="Worker processes; all of a stack's draw on the same rates. Default: enough."),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1, max=512, help="Source servers at once, a process. Default: PRELAUNCH_THREADS, else enough."
        ),
    ] = None,
    profile: Profile = None,
    region: RegionName = None,
) -> None:
    """
    Run workers, which apply what is asked for.

    They need the stack's tables and queues, and AWS credentials that may use DRS and EC2 or assume the groups' roles.
    Enough is what uses up one account's quotas in a Region, PRELAUNCH_RATE_FACTOR times those that AWS publishes; the
    processes share it. For many accounts at once say --threads 64, and run more of them.
    SIGTERM or Ctrl-C ends them in order: what runs gets 30 seconds, the rest goes back to the queue.
    """
    import dramatiq.cli  # noqa: PLC0415  # slow to import, as its like in `api`

    from producer.main import choose_workers  # noqa: PLC0415  # see above
    from producer.preflight import check_worker_stack  # noqa: PLC0415  # see above

    settings = read_settings()
    choose_aws(profile, region)
    check_worker_stack(settings, AwsChoice(profile, region))
    size = choose_workers(settings, processes)
    chosen = threads or (settings.threads if "threads" in settings.model_fields_set else size.threads)
    choose_threads(chosen)
    configure_logs()
    log.info("worker.starts", processes=size.processes, threads=chosen, rate_factor=settings.rate_factor)
    arguments = [
        "workers.main:set_up",
        *("--processes", str(size.processes)),
        *("--threads", str(chosen)),
        *("--worker-shutdown-timeout", str(WORKER_GRACE_MILLISECONDS)),
        "--skip-logging",
    ]
    run_dramatiq: Any = dramatiq.cli
    raise typer.Exit(run_dramatiq.main(run_dramatiq.make_argument_parser().parse_args(arguments)))


def demo(json: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False) -> None:
    """Show it all at work, on a stand-in for AWS."""
    with _local_extra():
        # The stand-in is a process of its own: what it lacks has to be found out here.
        import moto  # noqa: F401, PLC0415  # an extra

        from producer.demo.run import run_demo  # noqa: PLC0415  # an extra
    raise typer.Exit(run_demo(as_json=json))


def serve(
    *,
    port: Annotated[int, typer.Option(min=0, max=65535, help="The API's and the page's; 0 takes a free one.")] = 8080,
    servers: Annotated[
        int, typer.Option(min=0, max=4000, help="Source servers, of which two groups are made; 0 makes none.")
    ] = 120,
    latency: Latency = 0.0,
) -> None:
    """
    Run everything at once, on a stand-in for AWS.

    The stand-in, the API with the page, and a worker. The source servers of two groups become ready, but for one, which
    is refused so that there is one. It prints where everything is and what to export, touches no AWS account, starts
    API and worker anew where they end, and ends all in order at SIGTERM or Ctrl-C; Ctrl-C twice does so at once.
    """
    _check_latency(latency)
    with _local_extra():
        import moto  # noqa: F401, PLC0415  # as in `demo`

        from producer.serve.run import run_serve  # noqa: PLC0415  # an extra
    raise typer.Exit(run_serve(port, servers, latency))


def _check_latency(latency: float) -> None:
    if not math.isfinite(latency):
        raise typer.BadParameter(f"{latency} is no number of seconds", param_hint="--latency")


@contextmanager
def _local_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in OURS:
            raise
        needed = f"{error.name} is missing. This command needs the local extra: pip install 'prelaunch[local]'."
        raise SetupError(needed) from error
