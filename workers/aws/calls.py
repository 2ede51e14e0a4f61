"""
One call to AWS in a target account: paced, bounded in time, retried where that is all it takes, errors ours.

A throttle answer costs no attempt; it slows the API's bucket for the whole fleet. A write is sent only after its guard
agreed, at the last moment before the send.
"""

import asyncio
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from botocore import xform_name
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from workers.aws.audit import audited, is_write, tell_answered
from workers.aws.clients import Clients
from workers.aws.errors import translate
from workers.aws.guarding import guarded
from workers.aws.pacing.lanes import SharedBucket
from workers.aws.pacing.pacing import Pacing
from workers.core.errors import (
    CredentialsExpired,
    OutOfTurns,
    PrelaunchError,
    RetryableError,
    ServiceUnavailable,
    Throttled,
)
from workers.core.model.group import Target
from workers.core.ports import Guard
from workers.core.priority import read_priority
from workers.core.retry import back_off

TRANSIENT_TRIES = 3
THROTTLED_TRIES = 20
LONGEST_WAIT = timedelta(seconds=10)
"""A longer wait is handed back to the queue, for it holds one of the worker's slots."""
FIRST_WAIT = timedelta(milliseconds=400)


@dataclass(slots=True)
class _Tries:
    throttle: Throttled | None = None
    """AWS's last throttle answer."""
    throttled: int = 0
    transient: int = 0
    expired: int = 0

    def plan_wait(self, error: PrelaunchError) -> timedelta | None:
        """Tell how long to wait before the next try; None where this layer gives up."""
        if isinstance(error, Throttled):
            self.throttle = error
            self.throttled += 1
            count, limit = self.throttled, THROTTLED_TRIES
        elif isinstance(error, ServiceUnavailable):
            self.transient += 1
            count, limit = self.transient, TRANSIENT_TRIES
        else:
            return None
        wait = back_off(count, first=FIRST_WAIT, longest=LONGEST_WAIT)
        wait = max(wait, error.retry_after or timedelta(0))
        return wait if count < limit and wait <= LONGEST_WAIT else None


class Calls:
    """
    Calls AWS on behalf of groups.

    Parameters:
        clients: Those of the running loop.
        pacing: The fleet's rates.
        timeout: How long a call may take.
        log_reads: Whether the log has a line too for each call that changes nothing.
    """

    def __init__(self, clients: Clients, pacing: Pacing, *, timeout: timedelta, log_reads: bool = False) -> None:
        self._clients = clients
        self._pacing = pacing
        self._timeout = timeout
        self._log_reads = log_reads

    async def call(
        self,
        target: Target,
        service: str,
        operation: str,
        request: dict[str, Any],
        *,
        guard: Guard | None = None,
        repeatable: bool = True,
    ) -> Any:
        """
        Call an operation, named as AWS names it, and answer what botocore parsed.

        Parameters:
            target: The account and Region, and how we get there.
            service: The SDK's name of the service.
            operation: AWS's name of the operation.
            request: Its parameters.
            guard: Asked in the instant before the send, and told where no answer came.
            repeatable: Whether a call that was not answered may be sent again here.

        Returns:
            What botocore parsed.

        Raises:
            PrelaunchError: As `workers.aws.errors` translates AWS's answer.
        """
        tries = _Tries()
        while True:
            try:
                return await self._call_once(target, service, operation, request, guard)
            except CredentialsExpired:
                # Refused before it had any effect; once, for a role whose sessions die young would loop for ever.
                tries.expired += 1
                if tries.expired > 1:
                    raise
            except OutOfTurns as error:
                # What AWS said last tells more than that our own turn has not come since.
                raise tries.throttle or error from error
            except RetryableError as error:
                wait = tries.plan_wait(error)
                # A throttled call never happened.
                if wait is None or not (repeatable or isinstance(error, Throttled)):
                    raise
                await asyncio.sleep(wait.total_seconds())

    async def find_input_shape(self, target: Target, service: str, operation: str) -> Any:
        """Find the shape of an operation's parameters in the model that the SDK's client holds."""
        client = await self._clients.target(service, target)
        return client.meta.service_model.operation_model(operation).input_shape

    async def _call_once(
        self, target: Target, service: str, operation: str, request: dict[str, Any], guard: Guard | None
    ) -> Any:
        # Outside the call's time and guard: neither a role's session nor a client's making is this call on its way.
        # Made before the turn, which would else be over when it is used; and asked for again when the turn has come,
        # for by then the client may be forgotten, and all who waited would learn one by one that its session is over.
        await self._clients.target(service, target)
        bucket = self._bucket(target, service, operation)
        turn = await bucket.take(read_priority(), LONGEST_WAIT)
        client = await self._clients.target(service, target)
        called, writes = f"{service}:{operation}", is_write(operation, request)
        is_logged = writes or self._log_reads
        try:
            with guarded(guard) as sending, audited(sending, target, called) if is_logged else nullcontext():
                async with asyncio.timeout(self._timeout.total_seconds()):
                    answer = await getattr(client, xform_name(operation))(**request)
        except (ClientError, BotoCoreError, ResponseParserError, TimeoutError) as error:
            translated = translate(error, service, operation)
            if isinstance(translated, CredentialsExpired):
                self._clients.forget(client)
            if isinstance(translated, Throttled):
                # What AWS said to one caller it says to all of them.
                await bucket.report_throttle(turn, translated.retry_after)
            raise translated from error
        if is_logged:
            tell_answered(target, called, answer, is_write=writes)
        return answer

    def _bucket(self, target: Target, service: str, operation: str) -> SharedBucket:
        return self._pacing.bucket(target.account_id, target.region, service, operation)
