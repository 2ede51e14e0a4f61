"""
The way from an SDK's client to DynamoDB, on which a script refuses calls and loses answers.

It stands beneath the SDK's own retries, where the stand-in's front stands, reads the same script and answers in the
same words: a test need not know which database it runs over.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from aiobotocore.awsrequest import AioAWSResponse
from botocore.awsrequest import HeadersDict
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError

from infra.local.call import DEFAULT_ACCOUNT_ID, read_call
from infra.local.faults import FAULTS, FaultScript
from infra.local.front import CallCounts, render_fault
from infra.local.httpd import Answer, AnswerLost, Request


class ScriptedWire:
    """Takes the place of the HTTP session of an aiobotocore client."""

    def __init__(self, client: Any) -> None:
        self._session = client._endpoint.http_session
        self._script = FaultScript(lambda _: None)
        self._counts = CallCounts()
        client._endpoint.http_session = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def faults(self, faults: Sequence[dict[str, Any]]) -> None:
        """Replace the faults in force."""
        self._script.replace(FAULTS.validate_python(list(faults)))

    def calls(self) -> dict[str, int]:
        """Tell how often each operation was called, each try of the SDK's counted."""
        return {name: counts["count"] for name, counts in self._counts.totals().items()}

    def count_anew(self) -> None:
        """Forget the counts."""
        self._counts.clear()

    async def send(self, request: Any) -> Any:
        """Send a request, unless the script says otherwise."""
        headers = {name.lower(): _text(value) for name, value in request.headers.items()}
        call = read_call(
            Request(request.method, urlsplit(request.url).path, headers, request.body), lambda _: DEFAULT_ACCOUNT_ID
        )
        assert call is not None
        self._counts.add(call)
        fault = self._script.meet(call)
        if fault is None:
            return await self._session.send(request)
        assert fault.effect_delay_seconds is None, "a late effect is not built here"
        if fault.after_effect:
            await (await self._session.send(request)).content
        try:
            answer = render_fault(call, fault)
        except AnswerLost as lost:
            kind = ReadTimeoutError if lost.kind == "hang" else ConnectionClosedError
            raise kind(endpoint_url=request.url) from lost
        return _response(request.url, answer)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _response(url: str, answer: Answer) -> AioAWSResponse:
    response = AioAWSResponse(url, answer.status, HeadersDict(answer.headers), raw=None)
    response._content = answer.body
    return response
