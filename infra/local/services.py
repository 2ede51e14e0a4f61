"""
Everything behind the front: moto's services, mended, and our own in moto's manner.

The patches of moto are applied here, once a process, before the first call. Nothing here listens or counts.

Backends are called one at a time, that of SQS excepted: one that waits stops all others. moto, which makes its routes
at a service's first call, is glad of it; no backend of ours may rely on it, for its locks are tested without.
"""

import contextlib
import io
import logging
import re
import sys
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

from moto.cloudformation.models import cloudformation_backends
from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.sqs.exceptions import QueueDoesNotExist
from moto.sqs.models import sqs_backends

from infra.local import describes, dynamodb, left_out, metrics, policies, quotas, simulation, speed, sqs, sts
from infra.local.call import DEFAULT_ACCOUNT_ID
from infra.local.httpd import Answer, Request, wsgi_environ

_TEMPLATE = Path(__file__).parent.parent / "template.yaml"
_ACCOUNT_ID = re.compile(r"\d{12}")


def install() -> None:
    """Mend moto."""
    dynamodb.install()
    sqs.install()
    sts.install()
    speed.install()
    simulation.install()
    quotas.install()
    describes.install()
    policies.install()
    left_out.install()
    metrics.install()


def account_of(access_key_id: str) -> str:
    """
    Tell the account that an access key belongs to.

    Parameters:
        access_key_id: One that STS or IAM gave out, or an account's own id: its root.

    Returns:
        The account's id; the default account's for a key that nobody gave out.
    """
    if _ACCOUNT_ID.fullmatch(access_key_id):
        return access_key_id
    for account_id, partitions in list(iam_backends.items()):
        if access_key_id in partitions["aws"].access_keys:
            return account_id
    return DEFAULT_ACCOUNT_ID


def deploy(stack: str, region: str, account_id: str = DEFAULT_ACCOUNT_ID) -> None:
    """Deploy production's own template: tables and queues on the laptop are production's."""
    with warnings.catch_warnings(), _silence(logging.getLogger("moto")):
        # moto says of each kind of resource that it leaves out; a test lists them by name.
        warnings.filterwarnings("ignore", "Tried to parse .* not supported by moto")
        cloudformation_backends[account_id][region].create_stack(
            name=stack, template=_TEMPLATE.read_text(encoding="utf-8"), parameters={"Stack": stack}
        )


@contextlib.contextmanager
def _silence(logger: logging.Logger) -> Iterator[None]:
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def send(queue_name: str, body: str, region: str, account_id: str = DEFAULT_ACCOUNT_ID) -> None:
    """Put a message on a queue, as a service of AWS does; one that was deleted gets nothing."""
    with contextlib.suppress(QueueDoesNotExist):
        sqs_backends[account_id][region].send_message(queue_name, body)


class Services:
    """All services, called as one function."""

    one_at_a_time: ClassVar[bool] = True
    """Turned off by the tests of the locks beneath: where calls never meet, a lock is not missed."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._dispatcher = DomainDispatcherApplication(create_backend_app)
        self._applications: dict[str, Callable[..., Iterable[bytes]]] = {}
        self._turn = threading.Lock()

    def __call__(self, request: Request, account_id: str, service: str = "") -> Answer:
        """
        Answer a request.

        Parameters:
            request: The request.
            account_id: Who calls; empty if the request is not signed.
            service: What the request is signed for; empty if it is not signed.

        Returns:
            The service's answer.
        """
        environ = wsgi_environ(request, self._address)
        environ |= {"wsgi.input": io.BytesIO(request.body), "wsgi.errors": sys.stderr}
        if account_id:
            environ["HTTP_X_MOTO_ACCOUNT_ID"] = account_id
        # A hundred threads that share one interpreter spend their time on fighting for it. But the long polls of SQS
        # wait, and what is not signed may be anything.
        free = service in ("", "sqs") or not self.one_at_a_time
        with contextlib.nullcontext() if free else self._turn:
            return self._call(service, environ)

    def _call(self, service: str, environ: dict[str, Any]) -> Answer:
        return _call_wsgi(self._application(service, environ), environ)

    def _application(self, service: str, environ: dict[str, Any]) -> Callable[..., Iterable[bytes]]:
        # moto looks through its directories for every request; what is signed for a service goes one way only.
        name = f"{service}/{environ.get('HTTP_X_AMZ_TARGET', '').partition('.')[0]}"
        application = self._applications.get(name) if service else None
        if application is None:
            application = self._dispatcher.get_application(environ)
            self._applications[name] = application
        return application


def _call_wsgi(application: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> Answer:
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(status: str, headers: list[tuple[str, str]], _: Any = None) -> Callable[[bytes], object]:
        started.append((status, headers))
        return lambda _: None

    chunks = application(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        if hasattr(chunks, "close"):
            chunks.close()
    status, headers = started[-1]
    hidden = {"content-length", "connection", "date", "status"}
    return Answer(int(status.split()[0]), body, {name: value for name, value in headers if name.lower() not in hidden})
