"""What a route is given: the operations, who asks and whether they may, how long to wait, the request's own name."""

import hashlib
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

import rfc8785
import structlog
from fastapi import Depends, Header, Path, Query, Request
from fastapi.dependencies.models import Dependant

from producer.access import (
    CALLER,
    Access,
    Caller,
    Forbidden,
    Principal,
    Role,
    Unauthenticated,
    check_role,
    find_principal,
)
from producer.http.exchange import exchange_of
from producer.services import MAX_WAIT, Services
from workers.core.model.bodies import read_task_token
from workers.core.model.errors import FieldError, InvalidBody, show
from workers.core.requests import Requester, RequestKey

log = structlog.get_logger()

GroupId = Annotated[str, Path(max_length=64, description="The group's id.")]
RunId = Annotated[str, Path(max_length=64, description="The run's id, or its generation.")]
WaveId = Annotated[str, Path(max_length=64, description="The wave's id.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="How many a page shows at most.")]
NextToken = Annotated[
    str | None,
    Query(max_length=1024, description="What the page before answered, to the same question but for the limit."),
]
Live = Annotated[
    bool,
    Query(description="Read DRS and EC2 now, and say of each source server that is shown what is not as it is wanted."),
]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        description="Names this request for 24 hours: its repetition has no second effect, and is answered by what the"
        " first one did (the group that it created, the version that it made of one, its run, its wave), where these"
        " stand as of now; with 404 once the group is deleted, but for a wave. A redrive that is repeated does what the"
        " first one left: it takes the letters that were there then and still are, and is answered by what became of"
        " them.",
        pattern=r"^[!-~]([ -~]{0,253}[!-~])?$",
    ),
]


async def operations_of(request: Request) -> Services:
    """Answer the operations that the application was opened with."""
    services = request.app.state.services
    assert isinstance(services, Services)  # noqa: S101  # nosec B101  # the lifespan put it there
    return services


async def requester_of(request: Request) -> Requester:
    """Answer who asks; they were admitted before."""
    exchange = exchange_of(request)
    caller = _caller_of(request)
    return Requester(
        principal=exchange.principal or "unknown",
        door=caller.door if caller is not None else "http",
        reason="requested",
        request_id=exchange.request_id,
    )


@dataclass(frozen=True, slots=True)
class Patience:
    """How long the caller waits."""

    until: float
    """On the monotonic clock."""

    def left(self) -> timedelta:
        """Tell how much of it is left; it runs from the moment that the request came in."""
        return timedelta(seconds=self.until - time.monotonic())


async def patience_of(
    request: Request,
    wait: Annotated[
        float,
        Query(
            ge=0,
            le=MAX_WAIT.total_seconds(),
            description="Seconds to wait until the run settles, from when the request came in; then what there is.",
        ),
    ] = 0,
) -> Patience:
    """Read the parameter `wait`."""
    return Patience(exchange_of(request).arrived_at + wait)


# Coroutines, though they wait for nothing: FastAPI would send plain functions to a thread each, three for a request.
Operations = Annotated[Services, Depends(operations_of)]
Asker = Annotated[Requester, Depends(requester_of)]
Wait = Annotated[Patience, Depends(patience_of)]


def name_request(requester: Requester, key: str | None, request: Request, body: object) -> Requester:
    """
    Add the caller's own name for a request, what tells two requests of one name apart, and who waits for its end.

    Parameters:
        requester: Who asks.
        key: The header Idempotency-Key, if there is one.
        request: The request.
        body: Its body, found right.

    Returns:
        The requester with the request's key, and the task token that its body holds.
    """
    requester = replace(requester, task_token=read_task_token(body))
    caller = _caller_of(request)
    key = key if key is not None or caller is None else caller.key
    if key is None:
        return requester
    asked: bytes = rfc8785.dumps([request.method, request.url.path, body])  # type: ignore[list-item]  # JSON was read
    return replace(requester, key=RequestKey(key, hashlib.sha256(asked).hexdigest()))


def require(role: Role) -> Callable[[Request], Awaitable[None]]:
    """
    Make the check that a route begins with.

    Parameters:
        role: What the caller must be allowed.

    Returns:
        A dependency; it raises Unauthenticated or Forbidden.
    """

    async def admit(request: Request) -> None:
        exchange = exchange_of(request)
        client = request.client.host if request.client else "unknown"
        access, caller = request.app.state.access, _caller_of(request)
        exchange.principal = (caller.claimed if caller is not None else "") or f"unauthenticated@{client}"
        if access is None and caller is None:
            # Nobody is told apart then, and the door listens on loopback only: the address is all that is known.
            return
        try:
            principal = find_principal(caller) if caller is not None else await _authenticate(access, request)
            exchange.principal = principal.name
            check_role(principal, role)
        except (Unauthenticated, Forbidden) as error:
            log.warning(
                "access.refused",
                principal=exchange.principal,
                client=client,
                method=request.method,
                route=request.scope["route"].path,
                path_parameters=request.path_params,
                code=error.code,
                reason=error.detail,
            )
            raise

    return admit


def _caller_of(request: Request) -> Caller | None:
    """Answer who asks where a door of ours told callers apart before the request came here."""
    caller = request.scope.get(CALLER)
    assert caller is None or isinstance(caller, Caller)  # noqa: S101  # nosec B101  # only our own doors put it there
    return caller


async def _authenticate(access: Access, request: Request) -> Principal:
    given = request.headers.getlist("Authorization")
    if len(given) != 1:
        raise Unauthenticated("Send one header Authorization: Bearer <token>.")
    scheme, _, token = given[0].partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthenticated("Send the header Authorization: Bearer <token>.")
    return await access.authenticate(token.strip())


async def refuse_unknown_parameters(request: Request) -> None:
    """
    Refuse parameters that the route does not take, or that are given twice: what was meant would not happen.

    Parameters:
        request: The request, routed.

    Raises:
        InvalidBody: It names each of them.
    """
    known = sorted(query_names(request.scope["route"].dependant))
    given = [name for name, _ in request.query_params.multi_items()]
    errors = [_wrong_parameter(name, known) for name in dict.fromkeys(given) if name not in known]
    errors += [
        FieldError("", "INVALID_BODY", f"The parameter {show(name)} is given twice; leave one out.", None)
        for name in known
        if given.count(name) > 1
    ]
    if errors:
        raise InvalidBody(tuple(errors))


def _wrong_parameter(name: str, known: list[str]) -> FieldError:
    accepted = f"accepted are {', '.join(known)}" if known else "none is taken here"
    return FieldError("", "INVALID_BODY", f"The parameter {show(name)} is not known here; {accepted}.", None)


def query_names(dependant: Dependant) -> Iterator[str]:
    """Answer the parameters that a route takes in its query, also those that only its dependencies read."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for dependency in dependant.dependencies:
        yield from query_names(dependency)
