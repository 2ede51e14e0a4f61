"""
The session of an assumed role, whose credentials are replaced before they end.

The SDK's own way to renew them would do so while it signs a call: in that call's time, and under its guard, which
would take the AssumeRole for the write. A call must never be what renews its own session.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import aioboto3
from aiobotocore.credentials import AioCredentials
from aiobotocore.session import AioSession

RENEW_FROM = timedelta(minutes=15)
"""So long before its end a session is renewed, while calls go on with what there is."""
RENEW_BY = timedelta(minutes=2)
"""So long before its end nobody gets it any more: a call and two clocks that differ must fit in."""
REST = timedelta(seconds=60)
"""So long after a try that failed nobody renews a session that still serves: every call asks whether to."""


class RoleSession:
    """
    Credentials of one role, and the SDK's session that signs with them.

    Parameters:
        credentials: As STS answers them.
        models: The SDK's models of the services, as another session has loaded them: EC2's takes 30 MB.
    """

    def __init__(self, credentials: Mapping[str, Any], models: Any) -> None:
        self._credentials = AioCredentials("", "", method="sts-assume-role")
        self.take(credentials)
        session = AioSession()
        session._credentials = self._credentials  # noqa: SLF001  # no public door
        session.register_component("data_loader", models)
        self.session = aioboto3.Session(botocore_session=session)

    def take(self, credentials: Mapping[str, Any]) -> None:
        """Sign with these, as STS answers them, from now on in every client of the session."""
        self._credentials.access_key = credentials["AccessKeyId"]
        self._credentials.secret_key = credentials["SecretAccessKey"]
        self._credentials.token = credentials["SessionToken"]
        self._ends_at: datetime = credentials["Expiration"]
        self._failed_at: datetime | None = None

    def note_failure(self, now: datetime) -> None:
        """Note that a try to renew it has failed."""
        self._failed_at = now

    def is_due(self, now: datetime) -> bool:
        """Tell whether it is time to renew it."""
        rests = self._failed_at is not None and now - self._failed_at < REST
        return self.is_over(now) or (self._ends_at - now <= RENEW_FROM and not rests)

    def is_over(self, now: datetime) -> bool:
        """Tell whether no call may begin with what there is."""
        return self._ends_at - now <= RENEW_BY
