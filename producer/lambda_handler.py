"""
The doors of a Lambda function: API Gateway, direct invocation, and the queue `<stack>-requests`.

Lambda does not say who invokes a function: an invocation can claim anything, also to be API Gateway with an
administrator's claims. What an invocation is taken for therefore depends on the alias that it came through, and IAM
says who may invoke which alias. Nothing is ever trusted for what stands in the event alone.
"""

import asyncio
import functools
import json
import logging
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, TypeVar

import structlog
from mangum import Mangum
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from producer.access import CALLER, ROLES, Caller, Principal, Unauthenticated, read_claims, read_identity, read_token
from producer.ask import CONTENT_TYPE, JSON, Answer, Operations
from producer.http import create_app
from producer.http.exchange import PROBLEM, REQUEST_ID_HEADER
from producer.http.metrics import OPEN_METRICS
from producer.http.page import find_sign_in
from producer.http.shipped import SCHEMA_TYPE
from producer.main import open_services
from producer.operations import read_named
from producer.problems import RETRY_AFTER_SECONDS, render_error
from producer.requests import RequestsDoor
from producer.services import Services, new_request_id
from workers.core.contract import REQUESTS
from workers.core.errors import PrelaunchError, ServiceUnavailable, SetupError
from workers.core.logs import configure_logs
from workers.core.queue.job import Delivery
from workers.core.queue.names import name_queue
from workers.core.queue.source import read_delivery
from workers.core.settings import Settings, explain_settings

log = structlog.get_logger()

API_ALIAS = "api"
"""API Gateway's alone: what comes through it is an event of API Gateway's, and its identities are believed."""
REQUESTS_ALIAS = "requests"
"""The event source mapping's alone."""
DIRECT = "lambda"
API = "http"
NOBODY = "API Gateway has not told who asks: give its method an authorizer of the kind Cognito, or AWS_IAM."
TEXTS = ["text/", JSON, PROBLEM, SCHEMA_TYPE, OPEN_METRICS]
"""What goes to API Gateway as text: without binaryMediaTypes it hands on what is encoded as it is, encoded."""
UNOPENED = "prelaunch could not be opened; its log says why."
"""All that a stranger is told: what is missing names tables, queues and accounts."""
UNTOLD = (
    "This invocation came through no alias that says what it may: invoke the function by one of its aliases reader, "
    "operator or admin."
)

Event = Mapping[str, Any]
T = TypeVar("T")


class Function:
    """
    One execution environment: opened once, for as many invocations as Lambda sends it.

    Parameters:
        settings: The installation's.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._closing = AsyncExitStack()
        self.app = create_app(
            partial(open_services, settings),
            has_callers=True,
            sign_in=find_sign_in(settings),
            metrics_open=settings.metrics_open,
        )
        self._runner.get_loop()  # it is the thread's from here on, which Mangum asks for
        self._gateway = Mangum(self._call_as_gateway, lifespan="off", text_mime_types=TEXTS)
        lifespan = self.app.router.lifespan_context(self.app)
        try:
            self.run(self._closing.enter_async_context(lifespan))
        except BaseException:
            self._runner.close()
            raise
        self._operations = Operations(self.app)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on the function's loop."""
        return self._runner.run(work)

    def close(self) -> None:
        """Close what was opened; the loop too."""
        self.run(self._closing.aclose())
        self._runner.close()

    def handle(self, event: Any, context: Any) -> Any:
        """
        Answer one invocation.

        Parameters:
            event: What it was invoked with.
            context: Lambda's: of it the function's ARN as it was invoked and the request's id are read.

        Returns:
            What the kind of event is answered with; a refusal is an answer too.

        Raises:
            SetupError: Messages that came through another alias, or from another queue.
        """
        alias = _find_alias(context)
        match _find_kind(event):
            case "gateway" if alias in {None, API_ALIAS}:
                return self._gateway(dict(event), context)
            case "messages":
                self._check_queue(event["Records"], alias)
                return self.run(self._take(event["Records"]))
            case _:
                return self.run(self._invoke(event, alias, context))

    def _check_queue(self, records: list[Event], alias: str | None) -> None:
        """Refuse messages by an error: any answer without failures would tell SQS to delete them all."""
        queue = name_queue(self._settings.stack, REQUESTS)
        sources = {str(record.get("eventSourceARN")) for record in records}
        if alias in {None, REQUESTS_ALIAS} and all(source.endswith(f":{queue}") for source in sources):
            return
        log.warning("requests.misdirected", alias=alias, queues=sorted(sources))
        raise SetupError(
            f"Messages are taken from the queue {queue} alone, through the alias {REQUESTS_ALIAS}: let the event source"
            f" mapping of that queue invoke that alias. These came through {alias or 'no alias'} from"
            f" {', '.join(sorted(sources))}, and stay there."
        )

    async def _call_as_gateway(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, CALLER: _find_gateway_caller(scope["aws.event"], self._settings)}, receive, send)

    async def _invoke(self, event: object, alias: str | None, context: Any) -> dict[str, Any]:
        request_id = _find_request_id(context)
        role = ROLES.get(alias) if alias is not None else None
        said = read_named(event, "invokedBy")
        who = (f"alias {alias}" if alias is not None else "no alias") + (f" on behalf of {said}" if said else "")
        principal = Principal(who, role) if role is not None else None
        caller = Caller(DIRECT, principal, reason=UNTOLD, key=request_id, claimed=who)
        return (await self._operations.ask(event, caller, request_id)).render()

    async def _take(self, records: list[Event]) -> dict[str, Any]:
        services: Services = self.app.state.services
        door = RequestsDoor(self._operations, services.requests, self._settings)
        deliveries = [_read_record(record) for record in records]
        over = await asyncio.gather(*(door.take(each) for each in deliveries))
        left = [each.message_id for each, is_over in zip(deliveries, over, strict=True) if not is_over]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in left]}


def handle(event: Any, context: Any) -> Any:
    """
    Answer an invocation of the function; the entry point that Lambda is given.

    Parameters:
        event: An event of an API Gateway REST API, a batch of SQS messages, or `{"operation": …}`.
        context: Lambda's.

    Returns:
        To API Gateway its proxy response, to SQS which messages come again, to others {statusCode, headers, body}.

    Raises:
        PrelaunchError: The function could not be opened for messages; all of them come again. Others are answered 503.
    """
    try:
        function = _open()
    except PrelaunchError as error:
        log.error("function.not_opened", code=error.code, reason=error.message)  # noqa: TRY400  # it says it all
        if _find_kind(event) == "messages":
            raise
        return _answer_unopened(event, context)
    return function.handle(event, context)


@functools.cache
def _open() -> Function:
    configure_logs()
    logging.getLogger("mangum").setLevel(logging.WARNING)
    try:
        settings = Settings()
    except ValidationError as error:
        # Its own words repeat the values, and Lambda tells whoever invoked what was raised.
        raise SetupError(f"The settings are wrong: {explain_settings(error)}.") from None
    return Function(settings)


def _answer_unopened(event: object, context: Any) -> dict[str, Any]:
    """Answer as every door does what cannot be had now: the next invocation tries to open the function again."""
    request_id = _find_request_id(context)
    status, document = render_error(ServiceUnavailable(UNOPENED))
    headers = {REQUEST_ID_HEADER: request_id, CONTENT_TYPE: PROBLEM, "Retry-After": str(RETRY_AFTER_SECONDS)}
    answer = Answer(status, {**document, "requestId": request_id}, headers, None).render()
    if _find_kind(event) != "gateway":
        return answer
    return {**answer, "body": json.dumps(answer["body"])}


def _find_request_id(context: Any) -> str:
    return str(getattr(context, "aws_request_id", "") or new_request_id())


def _find_kind(event: object) -> str:
    if not isinstance(event, dict):
        return "invocation"
    if "requestContext" in event and "httpMethod" in event and "resource" in event:
        return "gateway"
    records = event.get("Records")
    if isinstance(records, list) and records and all(_is_message(record) for record in records):
        return "messages"
    return "invocation"


def _is_message(record: object) -> bool:
    return isinstance(record, dict) and record.get("eventSource") == "aws:sqs"


def _find_alias(context: Any) -> str | None:
    """Read by which alias or version a function was invoked; None: by none. Source: Lambda, the context object."""
    parts = str(getattr(context, "invoked_function_arn", "") or "").split(":")
    # arn:aws:lambda:<Region>:<account>:function:<name>[:<qualifier>]
    return parts[7] if len(parts) > 7 and parts[7] != "$LATEST" else None  # noqa: PLR2004  # its place


def _find_gateway_caller(event: Event, settings: Settings) -> Caller:
    """Read whom API Gateway has let in: by a user pool's token, or by IAM's signature."""
    context = event["requestContext"]
    authorizer, identity = context.get("authorizer") or {}, context.get("identity") or {}
    claims = authorizer.get("claims")
    if isinstance(claims, dict) and claims:
        told = {**claims, "cognito:groups": _split(claims.get("cognito:groups"))}
        return _find_token_caller(told, settings.auth_audience)
    arn = identity.get("userArn")
    if isinstance(arn, str) and arn:
        return Caller(API, read_identity(arn, settings.iam_roles))
    return Caller(API, None, reason=NOBODY)


def _find_token_caller(claims: Mapping[str, Any], audience: str) -> Caller:
    """Read who asks by the pool's token; its authorizer takes those of every app client of the pool."""
    if not audience:
        return Caller(API, read_claims(claims))
    try:
        return Caller(API, read_token(claims, audience))
    except Unauthenticated as refused:
        return Caller(API, None, reason=refused.detail)


def _split(groups: object) -> list[str]:
    """
    Read the groups of a token, which API Gateway hands on as one text.

    A REST API puts commas between them, an HTTP API brackets around them and blanks between them. No name holds a blank
    (botocore's model of CreateGroup), so a comma between brackets is a name's own; without brackets nobody can tell.
    """
    if not isinstance(groups, str):
        return []
    if groups.startswith("[") and groups.endswith("]"):
        return groups[1:-1].split()
    return [name.strip() for name in groups.split(",")]


def _read_record(record: Event) -> Delivery:
    """Read a message as Lambda hands it on: as SQS answers it, but in camelCase."""
    return read_delivery(
        {
            "MessageId": record["messageId"],
            "ReceiptHandle": record["receiptHandle"],
            "Body": record["body"],
            "Attributes": record.get("attributes", {}),
        }
    )
