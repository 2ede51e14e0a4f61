"""
The stand-in as one process on one port: wiring, start, stop.

It must never say that it is ready before it accepts connections, and it listens on this machine only.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.local.buckets import Buckets, Rates
from infra.local.call import DEFAULT_ACCOUNT_ID
from infra.local.control import Control
from infra.local.control_bodies import DEFAULT_REGION
from infra.local.faults import FaultScript
from infra.local.front import CallCounts, Front
from infra.local.httpd import Httpd
from infra.local.late import LateEffects
from infra.local.world import WORLD, ServiceWrite

if TYPE_CHECKING:
    from infra.local.events import Events
    from infra.local.services import Services

DEFAULT_STACK = "prelaunch"
ACCESS_KEY_ID = "AKIAPRELAUNCHLOCAL00"
"""Of the default account. Any other key that nobody gave out is of that account too."""
_SECRET = "local"  # noqa: S105 - signatures are not checked  # nosec B105
_HOST = "127.0.0.1"
_STOPPING = {signal.SIGTERM, signal.SIGINT}


class PortTaken(Exception):
    """Another process listens on the port."""

    def __init__(self, port: int) -> None:
        super().__init__(f"Port {port} on {_HOST} is taken; choose another one with --port.")
        self.port = port


def environment(port: int, stack: str = DEFAULT_STACK) -> dict[str, str]:
    """Give the variables that point every AWS SDK, and prelaunch, at the stand-in."""
    return {
        "AWS_ENDPOINT_URL": f"http://{_HOST}:{port}",
        "AWS_ACCESS_KEY_ID": ACCESS_KEY_ID,
        "AWS_SECRET_ACCESS_KEY": _SECRET,
        "AWS_DEFAULT_REGION": DEFAULT_REGION,
        "AWS_REGION": DEFAULT_REGION,
        "PRELAUNCH_STACK": stack,
    }


def serve(
    port: int,
    servers: int,
    latency_seconds: float,
    rates: Rates,
    *,
    stack: str = DEFAULT_STACK,
    until_stdin_closes: bool = False,
) -> None:
    """
    Serve until SIGTERM or SIGINT; print what to export once connections are accepted.

    Call it in the main thread: it waits for signals. Raises PortTaken if another process listens there.

    Parameters:
        port: The port on 127.0.0.1; 0 takes a free one.
        servers: How many source servers there are from the start.
        latency_seconds: How long a call of DRS or EC2 takes.
        rates: AWS's bucket numbers, none, or a factor.
        stack: Prefix of tables and queues.
        until_stdin_closes: Stop also when standard input ends, as it does when the starter dies.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
    try:
        httpd = _listen(port)
        with httpd:
            taken_port = int(httpd.server_address[1])
            httpd.app = build(taken_port, servers, latency_seconds, rates, stack)
            threading.Thread(target=httpd.serve_forever, name="httpd", daemon=True).start()
            if until_stdin_closes:
                threading.Thread(target=_stop_at_end_of_input, name="stdin", daemon=True).start()
            _announce(environment(taken_port, stack))
            signal.sigwait(_STOPPING)
            httpd.shutdown()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _listen(port: int) -> Httpd:
    def not_yet(_: object) -> "Services":
        raise RuntimeError("The stand-in is still starting.")

    try:
        return Httpd((_HOST, port), not_yet)  # type: ignore[arg-type]  # replaced before the first request
    except OSError as error:
        raise PortTaken(port) from error


def build(port: int, servers: int, latency_seconds: float, rates: Rates, stack: str) -> Front:
    """Wire the stand-in: mends, front, control, stack and source servers."""
    for profile in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"):
        # moto looks for its settings, though nothing here is anybody's account.
        os.environ.pop(profile, None)  # noqa: TID251
    # Imported late: a taken port is told at once, not after moto's two seconds.
    from infra.local import drs, launch_templates, services, sts  # noqa: PLC0415

    services.install()
    late = LateEffects(WORLD)
    drs.install()
    launch_templates.install()
    events = _make_events(stack)
    fronts: list[Front] = []
    control = Control(
        front=lambda: fronts[0],
        world=WORLD,
        late=late,
        source_servers=drs,
        events=events,
        put_role=lambda account, name, external_id: sts.put_role(account, name, external_id, DEFAULT_ACCOUNT_ID),
    )
    buckets = Buckets(rates, lambda: time.monotonic() + WORLD.clock_offset_seconds)
    front = Front(
        services=services.Services((_HOST, port)),
        control=control,
        account_of=services.account_of,
        counts=CallCounts(),
        faults=FaultScript(drs.template_id_of),
        buckets=buckets,
        late=late,
        observe=events.observe_call,
        latency_seconds=latency_seconds,
    )
    fronts.append(front)
    WORLD.on_service_write = lambda write: _observe(write, buckets, events)
    services.deploy(stack, DEFAULT_REGION)
    if servers:
        drs.add_source_servers(DEFAULT_ACCOUNT_ID, DEFAULT_REGION, servers, {})
    return front


def _make_events(stack: str) -> "Events":
    from infra.local import services, sts  # noqa: PLC0415
    from infra.local.events import Events  # noqa: PLC0415

    return Events(
        WORLD, sts.identify, lambda queue, body: services.send(queue, body, DEFAULT_REGION), f"{stack}-requests"
    )


def _observe(write: ServiceWrite, buckets: Buckets, events: "Events") -> None:
    # DRS comes back later where a bucket is empty; that it waits is not seen from outside.
    buckets.take((write.account_id, write.region, "ec2", write.operation))
    events.observe_service_write(write)


def _announce(variables: dict[str, str]) -> None:
    write: Callable[[str], int] = sys.stdout.write
    for name, value in variables.items():
        write(f"export {name}={value}\n")
    sys.stdout.flush()


def _stop_at_end_of_input() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
