"""Every door, knocked at with one and the same request: what goes in, and what comes out of it."""

import json
import uuid
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, nullcontext
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import httpx

from infra.local.process import StandIn
from producer.access import Access
from producer.http import create_app
from producer.lambda_handler import Function
from producer.operations import ENVELOPE, Asked, list_operations, read_message
from tests.integration.conftest import make_client
from workers.core.settings import Settings

FUNCTION_ARN = "arn:aws:lambda:us-east-1:123456789012:function:prelaunch"
ADMIN_ARN = "arn:aws:iam::123456789012:role/dr/administrators"
REPLIES = "replies-of-tests"


@dataclass(frozen=True, slots=True)
class Answered:
    """What a door answered."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)
    """By their names in lower case, without the length: a proxy's own."""


def read_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Read headers, which have no case, as they can be compared."""
    return {name.lower(): value for name, value in headers.items() if name.lower() != "content-length"}


def name_envelope(asked: Asked) -> dict[str, str]:
    """Name what stands in a message's envelope as a request does."""
    named = {"requestId": "X-Request-Id", "idempotencyKey": "Idempotency-Key"}
    return {header: asked.envelope[name] for name, header in named.items() if name in asked.envelope}


def make_context(alias: str | None = None) -> Any:
    """Make what Lambda hands a function beside the event."""
    arn = FUNCTION_ARN if alias is None else f"{FUNCTION_ARN}:{alias}"
    return SimpleNamespace(invoked_function_arn=arn, aws_request_id=str(uuid.uuid4()))


@dataclass
class Doors:
    """An installation with all its doors, on the event loop of its function."""

    aws: StandIn
    settings: Settings
    function: Function
    http: httpx.AsyncClient
    closing: AsyncExitStack = field(default_factory=AsyncExitStack)

    @classmethod
    def open(cls, aws: StandIn, settings: Settings) -> "Doors":
        function = Function(settings)
        opened = create_app(lambda: nullcontext(function.app.state.services))
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(opened, raise_app_exceptions=False), base_url="http://localhost"
        )
        doors = cls(aws, settings, function, client)
        function.run(doors.closing.enter_async_context(opened.router.lifespan_context(opened)))
        doors.sqs.create_queue(QueueName=doors.replies)
        return doors

    def close(self) -> None:
        self.sqs.delete_queue(QueueUrl=self.url(REPLIES))
        self.function.run(self.closing.aclose())
        self.function.close()

    @property
    def sqs(self) -> Any:
        return make_client("sqs", self.aws.url)

    @property
    def replies(self) -> str:
        return f"{self.settings.stack}-{REPLIES}"

    def url(self, queue: str) -> str:
        return str(self.sqs.get_queue_url(QueueName=f"{self.settings.stack}-{queue}")["QueueUrl"])

    def take(self, queue: str) -> list[dict[str, Any]]:
        """Take every message of a queue: a receive without a wait asks some of SQS's servers only."""
        taken: list[dict[str, Any]] = []
        asked = {"MaxNumberOfMessages": 10, "WaitTimeSeconds": 1, "MessageAttributeNames": ["All"]}
        while self.count(queue):
            for message in self.sqs.receive_message(QueueUrl=self.url(queue), **asked).get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url(queue), ReceiptHandle=message["ReceiptHandle"])
                taken.append(message)
        return taken

    def count(self, queue: str) -> int:
        """Count the messages of a queue that could be received now."""
        told = self.sqs.get_queue_attributes(QueueUrl=self.url(queue), AttributeNames=["ApproximateNumberOfMessages"])
        return int(told["Attributes"]["ApproximateNumberOfMessages"])

    # --- the doors

    def ask_http(self, message: Mapping[str, Any]) -> Answered:
        asked = read_message(dict(message), list_operations(self.function.app))
        path = f"{asked.path}?{asked.query}".rstrip("?")
        answer = self.function.run(self.http.request(asked.method, path, json=asked.body, headers=name_envelope(asked)))
        return Answered(answer.status_code, answer.json() if answer.content else None, read_headers(answer.headers))

    def ask_gateway(self, message: Mapping[str, Any], **who: Any) -> Answered:
        asked = read_message(dict(message), list_operations(self.function.app))
        return read_proxied(self.function.handle(make_event(asked, who), make_context("api")))

    def knock(self, method: str, path: str) -> Mapping[str, Answered]:
        """Ask for what is no operation through the two doors that have addresses."""
        asked = Asked("", method, path, "", None, {})
        identity = {"userArn": "arn:aws:sts::123456789012:assumed-role/administrators/alice"}
        proxied = self.function.handle(make_event(asked, {"identity": identity}), make_context("api"))
        assert not proxied["isBase64Encoded"], "without binaryMediaTypes API Gateway hands it on as it stands here"
        answer = self.function.run(self.http.request(method, path))
        found = Answered(answer.status_code, answer.json() if answer.content else None, read_headers(answer.headers))
        return {"http": found, "api gateway": read_proxied(proxied)}

    def ask_with_token(self, message: Mapping[str, Any], groups: str = "admin") -> Answered:
        claims = {"sub": "1", "cognito:username": "alice", "cognito:groups": groups}
        return self.ask_gateway(message, authorizer={"claims": claims})

    def ask_with_signature(self, message: Mapping[str, Any], name: str = "administrators") -> Answered:
        arn = f"arn:aws:sts::123456789012:assumed-role/{name}/alice"
        return self.ask_gateway(message, identity={"userArn": arn, "sourceIp": "192.0.2.7"})

    def ask_directly(self, message: Mapping[str, Any], alias: str | None = "admin") -> Answered:
        answer = self.function.handle(message, make_context(alias))
        return Answered(answer["statusCode"], answer["body"], read_headers(answer["headers"]))

    def ask_in_a_body(self, message: Mapping[str, Any]) -> Answered:
        beside = {name: value for name, value in message.items() if name in ENVELOPE}
        body = {name: value for name, value in message.items() if name not in ENVELOPE}
        return self.ask_directly({**beside, "body": body, "invokedBy": "alice"})

    def ask_by_message(self, message: Mapping[str, Any]) -> Answered:
        """Send it, let the function take it, and read the reply."""
        sent = {**message, "replyTo": self.replies, "correlationId": uuid.uuid4().hex}
        left = self.function.handle({"Records": [self.make_record(sent)]}, make_context("requests"))
        assert left == {"batchItemFailures": []}
        (reply,) = (json.loads(each["Body"]) for each in self.take(REPLIES))
        assert reply["correlationId"] == sent["correlationId"]
        # None: no request could be made of it.
        assert reply.get("operation") in {message["operation"], None}
        return Answered(reply["statusCode"], reply["body"], read_headers(reply["headers"]))

    def make_record(self, message: object) -> dict[str, Any]:
        """Send a message, and receive it as Lambda's event source mapping hands it on."""
        sent = self.sqs.send_message(QueueUrl=self.url("requests"), MessageBody=json.dumps(message))
        received = self._receive(sent["MessageId"])
        return {
            "messageId": received["MessageId"],
            "receiptHandle": received["ReceiptHandle"],
            "body": received["Body"],
            "attributes": received["Attributes"],
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": f"arn:aws:sqs:us-east-1:123456789012:{self.settings.stack}-requests",
            "awsRegion": "us-east-1",
        }

    def _receive(self, message_id: str) -> Any:
        """Receive one request; what an earlier test left there, and was hidden until now, is thrown away."""
        url = self.url("requests")
        while True:
            answer = self.sqs.receive_message(QueueUrl=url, MessageSystemAttributeNames=["All"], WaitTimeSeconds=1)
            for received in answer.get("Messages", []):
                if received["MessageId"] == message_id:
                    return received
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=received["ReceiptHandle"])


@dataclass
class Guarded:
    """The HTTP door of an installation that asks for tokens, on the loop of its function."""

    doors: Doors
    client: httpx.AsyncClient
    closing: AsyncExitStack

    @classmethod
    def open(cls, doors: Doors, access: Access) -> "Guarded":
        app = create_app(lambda: nullcontext(doors.function.app.state.services), access)
        closing = AsyncExitStack()
        doors.function.run(closing.enter_async_context(app.router.lifespan_context(app)))
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        return cls(doors, httpx.AsyncClient(transport=transport, base_url="http://localhost"), closing)

    def close(self) -> None:
        self.doors.function.run(self.closing.aclose())

    def ask(self, method: str, path: str, token: str) -> Answered:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = self.doors.function.run(self.client.request(method, path, headers=headers))
        return Answered(answer.status_code, answer.json() if answer.content else None, read_headers(answer.headers))


def read_proxied(answer: Mapping[str, Any]) -> Answered:
    """Read what API Gateway hands on of a function's answer."""
    headers = {**answer["headers"], **{name: ", ".join(each) for name, each in answer["multiValueHeaders"].items()}}
    return Answered(answer["statusCode"], json.loads(answer["body"]) if answer["body"] else None, read_headers(headers))


def make_event(asked: Asked, who: Mapping[str, Any]) -> dict[str, Any]:
    """Make the event of an API Gateway REST API with Lambda proxy integration."""
    query = dict(parse_qsl(asked.query, keep_blank_values=True))
    headers = {"Content-Type": "application/json", "Host": "api.example.com", **name_envelope(asked)}
    return {
        "resource": "/{proxy+}",
        "path": asked.path,
        "httpMethod": asked.method,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": query or None,
        "multiValueQueryStringParameters": {name: [value] for name, value in query.items()} or None,
        "requestContext": {"identity": {"sourceIp": "192.0.2.7"}, "stage": "prod", **who},
        "body": json.dumps(asked.body) if asked.body is not None else None,
        "isBase64Encoded": False,
    }


DOORS: Mapping[str, Callable[[Doors, Mapping[str, Any]], Answered]] = {
    "http": Doors.ask_http,
    "api gateway with a token": Doors.ask_with_token,
    "api gateway with a signature": Doors.ask_with_signature,
    "invocation": Doors.ask_directly,
    "invocation with body": Doors.ask_in_a_body,
    "message": Doors.ask_by_message,
}
