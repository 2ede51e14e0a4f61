"""
Stand-ins forked off a process that has imported moto already.

To start one as a person does takes two seconds of a processor, nearly all of it for imports; that this works has tests
of its own. A stand-in must end with the one who asked for it, and so must the process that forks.
"""

import gc
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from infra.local.process import StandIn, StandInFailed, read_environment
from infra.local.server import DEFAULT_STACK, serve

STOP_SECONDS = 5
LONGEST_NUMBER = 32


class StandIns:
    """
    Forks stand-ins.

    Parameters:
        forker: This end of a socket, at whose other end the forking process waits.
    """

    def __init__(self, forker: socket.socket) -> None:
        self._forker = forker

    @contextmanager
    def run(self) -> Iterator[StandIn]:
        """
        Run a stand-in while the block runs: without source servers, latency and rates.

        Yields:
            The stand-in, once it accepts connections.

        Raises:
            StandInFailed: It did not start; its standard error says why.
        """
        # The pipe is the life line: whoever holds its other end lives, or it closes.
        life, held = os.pipe()
        told, telling = os.pipe()
        with open(held, "wb") as line, open(told, encoding="utf-8") as output:  # noqa: PTH123  # they have no path
            socket.send_fds(self._forker, [b"?"], [life, telling])
            os.close(life)
            os.close(telling)
            answer = self._forker.recv(LONGEST_NUMBER)
            if not answer:
                raise StandInFailed("The process that forks stand-ins has ended.")
            process_id = int(answer)
            # It lives as long as its line does. A pidfd becomes readable when its process has ended.
            watch = os.pidfd_open(process_id)
            try:
                environment = read_environment(output)
                if environment is None:
                    raise StandInFailed("The forked stand-in ended before it was ready.")
                yield StandIn(environment, process_id)
            finally:
                line.close()
                ended, _, _ = select.select([watch], [], [], STOP_SECONDS)
                if not ended:
                    signal.pidfd_send_signal(watch, signal.SIGKILL)
                os.close(watch)


@contextmanager
def open_stand_ins() -> Iterator[StandIns]:
    """
    Run the process that forks while the block runs.

    Yields:
        Who forks them.
    """
    ours, theirs = socket.socketpair()
    with (
        ours,
        subprocess.Popen([sys.executable, "-m", __name__], stdin=theirs.fileno(), start_new_session=True) as process,
    ):
        theirs.close()
        try:
            yield StandIns(ours)
        finally:
            ours.close()
            process.wait()


def fork_for_ever() -> None:
    """Fork a stand-in for each who asks at standard input, until nobody can ask any more."""
    _import_all()
    # What is there is every stand-in's: none looks through it for garbage, and so copies its pages.
    gc.freeze()
    # Nobody waits for them here.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=os.dup(sys.stdin.fileno())) as asked:
        while True:
            _, descriptors, _, _ = socket.recv_fds(asked, 1, 2)
            if not descriptors:
                return
            process_id = os.fork()
            if process_id == 0:
                asked.close()
                _serve(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            asked.send(str(process_id).encode())


def _import_all() -> None:
    from infra.local import drs, events, launch_templates, services, sts  # noqa: F401


def _serve(life: int, telling: int) -> NoReturn:
    status = 1
    try:
        os.setsid()
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.dup2(life, sys.stdin.fileno())
        os.dup2(telling, sys.stdout.fileno())
        os.close(life)
        os.close(telling)
        _choose_other_ids()
        serve(0, 0, 0.0, "off", stack=DEFAULT_STACK, until_stdin_closes=True)
        status = 0
    except BaseException:  # noqa: BLE001  # whatever it is: the code of the process that forks is not gone on with
        traceback.print_exc()
    finally:
        os._exit(status)


def _choose_other_ids() -> None:
    from moto.moto_api._internal import mock_random

    mock_random.seed()


if __name__ == "__main__":
    fork_for_ever()
