"""
EventBridge and Step Functions, for telling what has settled: our own account's, with the SDK's standard retries.

PutEvents answers 200 also where it takes nothing: the entry says so, and that is an error here. A task token never goes
into an error of ours.
"""

from datetime import datetime
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError

from workers.aws.clients import Clients
from workers.aws.errors import translate
from workers.core.errors import PrelaunchError

SOURCE = "prelaunch"


class AwsMessenger:
    """
    Tells by AWS.

    Parameters:
        clients: Those of the running loop.
        bus: The event bus, by name or ARN; empty: there are no events, only answers to tasks.
    """

    def __init__(self, clients: Clients, bus: str) -> None:
        self._clients = clients
        self._bus = bus

    async def announce(self, kind: str, detail: str, at: datetime) -> None:
        """Put one event on the bus, where there is one."""
        if not self._bus:
            return
        entry = {"EventBusName": self._bus, "Source": SOURCE, "DetailType": kind, "Detail": detail, "Time": at}
        answer = await self._call("events", "PutEvents", Entries=[entry])
        if answer["FailedEntryCount"]:
            (refused,) = answer["Entries"]
            said = {"Code": refused["ErrorCode"], "Message": refused.get("ErrorMessage", "")}
            raise translate(ClientError({"Error": said}, "PutEvents"), "events", "PutEvents")

    async def succeed_task(self, task_token: str, output: str) -> None:
        """Answer a waiting task with JSON."""
        await self._answer("SendTaskSuccess", taskToken=task_token, output=output)

    async def fail_task(self, task_token: str, error: str, cause: str) -> None:
        """Let a waiting task fail."""
        await self._answer("SendTaskFailure", taskToken=task_token, error=error, cause=cause)

    async def _answer(self, operation: str, **request: str) -> None:
        try:
            await self._call("stepfunctions", operation, **request)
        except PrelaunchError as error:
            # It goes into logs, and whoever has the token can answer in our place.
            error.message = error.message.replace(request["taskToken"], "(the token)")
            raise

    async def _call(self, service: str, operation: str, **request: Any) -> Any:
        client = await self._clients.own(service)
        try:
            return await getattr(client, xform_name(operation))(**request)
        except (BotoCoreError, ClientError) as error:
            raise translate(error, service, operation) from error
