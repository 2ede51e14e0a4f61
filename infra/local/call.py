"""Which AWS call a request is: account, Region, service and operation. No I/O, no decision about the call."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal
from urllib.parse import parse_qs, unquote

from infra.local.aws_models import load_description
from infra.local.httpd import Request

DEFAULT_ACCOUNT_ID = "123456789012"

Protocol = Literal["ec2", "query", "json", "rest-json"]

_CREDENTIAL = re.compile(r"Credential=([^/\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_ACTION = re.compile(rb"(?:^|&)Action=([A-Za-z0-9]+)")
_SOURCE_SERVER = re.compile(r"(?<![0-9A-Za-z])s-[0-9a-zA-Z]{17}(?![0-9A-Za-z])")
_LAUNCH_TEMPLATE = re.compile(r"(?<![0-9A-Za-z])lt-[0-9a-f]{17}(?![0-9A-Za-z])")


@dataclass(frozen=True, slots=True)
class Call:
    """One call of an AWS API, as it was signed."""

    account_id: str
    region: str
    service: str
    """The name that requests are signed for: `drs`, `ec2`, `dynamodb`, `sqs`, `sts`, `iam`, say."""
    operation: str
    protocol: Protocol
    request: Request
    access_key_id: str
    signed_at: datetime | None

    @property
    def name(self) -> str:
        """Give the call's name as the control shows it, `drs.UpdateLaunchConfiguration`, say."""
        return f"{self.service}.{self.operation}"

    def source_server_ids(self) -> set[str]:
        """Find the source servers that the request names."""
        return set(_SOURCE_SERVER.findall(self._text()))

    def launch_template_ids(self) -> set[str]:
        """Find the launch templates that the request names."""
        return set(_LAUNCH_TEMPLATE.findall(self._text()))

    def _text(self) -> str:
        return unquote(self.request.target) + "\n" + unquote(self.request.body.decode("utf-8", "replace"))


def read_call(request: Request, account_of: Any) -> Call | None:
    """
    Recognise the AWS call in a request.

    Parameters:
        request: The request.
        account_of: Tells the account that an access key id belongs to.

    Returns:
        The call, or None where nothing is signed in AWS's manner.
    """
    credential = _CREDENTIAL.search(request.headers.get("authorization", ""))
    if credential is None:
        return None
    access_key_id, _, region, service = credential.groups()
    protocol, operation = _operation(service, request)
    return Call(
        account_id=account_of(access_key_id),
        region=region,
        service=service,
        operation=operation,
        protocol=protocol,
        request=request,
        access_key_id=access_key_id,
        signed_at=_signed_at(request.headers.get("x-amz-date", "")),
    )


def _operation(service: str, request: Request) -> tuple[Protocol, str]:
    target = request.headers.get("x-amz-target")
    if target:
        return "json", target.rpartition(".")[2]
    if _routes(service):
        return "rest-json", _rest_operation(service, request.method, request.path)
    action = _ACTION.search(request.body) or _ACTION.search(request.target.partition("?")[2].encode())
    if action:
        return "ec2" if service == "ec2" else "query", action[1].decode()
    return "rest-json", _rest_operation(service, request.method, request.path)


def _rest_operation(service: str, method: str, path: str) -> str:
    for route_method, pattern, operation in _routes(service):
        if route_method == method and pattern.fullmatch(path):
            return operation
    return method


@cache
def _routes(service: str) -> list[tuple[str, re.Pattern[str], str]]:
    """List a REST service's routes, those with the most fixed text first: they are the more exact ones."""
    routes = []
    description = load_description(service)
    if description is None or not description["metadata"]["protocol"].startswith("rest"):
        return []
    for name, operation in description["operations"].items():
        template = operation["http"]["requestUri"].partition("?")[0].rstrip("/")
        parts = re.split(r"\{[^}]+\}", template)
        pattern = "[^/]+".join(re.escape(part) for part in parts)
        greedy = pattern.replace("[^/]+", ".+") if "{" in template else pattern
        routes.append((sum(map(len, parts)), operation["http"]["method"], re.compile(greedy + "/?"), name))
    routes.sort(key=lambda route: -route[0])
    return [(method, pattern, name) for _, method, pattern, name in routes]


def _signed_at(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def form_values(request: Request) -> dict[str, str]:
    """Read the fields of a query-protocol body; of a repeated field the last."""
    return {name: values[-1] for name, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}
