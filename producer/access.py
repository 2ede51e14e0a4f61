"""
Who may ask: the tokens of a Cognito user pool, and the roles that its groups stand for.

A token counts only if its signature, issuer, audience, kind and time are right; the algorithm is ours to choose,
never the token's. A token is never logged, nor is anything that it claims before it was checked.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any

import jwt
import structlog

from producer.pool_keys import PoolKeys
from workers.core.requests import RequestRefused
from workers.core.settings import Settings

log = structlog.get_logger()

ALGORITHM = "RS256"
LEEWAY = timedelta(seconds=10)
"""How far the clock of the one who signed may be from ours."""
THREADS = 8
_AUDIENCE_CLAIM = {"access": "client_id", "id": "aud"}
"""Where each kind of token says for whom it is.

Source: Amazon Cognito, "Verifying JSON web tokens": access tokens carry client_id where ID tokens carry aud.
"""


class Role(IntEnum):
    """What somebody may do; each may all that the one before it may."""

    READER = 1
    """Read everything."""
    OPERATOR = 2
    """Apply launch configs and start waves."""
    ADMIN = 3
    """Create, change and delete groups."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the token that was checked says."""

    name: str
    role: Role | None
    """None: none of the groups is a role of ours."""


class Unauthenticated(RequestRefused):
    """Nobody knows who asks."""

    code = "UNAUTHENTICATED"


class Forbidden(RequestRefused):
    """The one who asks may not do that."""

    code = "FORBIDDEN"


class Access:
    """Checks tokens."""

    def __init__(self, issuer: str, audience: str, keys: PoolKeys | None = None) -> None:
        self._issuer = issuer
        self._audience = audience
        self._keys = keys or PoolKeys(issuer)
        # Of their own: keys that do not come must not take the threads that names are looked up in.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="access")

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def authenticate(self, token: str) -> Principal:
        """
        Check a token; keys are fetched on a thread, never on the event loop.

        Parameters:
            token: What stood after `Bearer`.

        Returns:
            Who asks.

        Raises:
            Unauthenticated: It proves nothing; the reason is safe to show.
            ServiceUnavailable: The pool's keys cannot be had.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._check, token)

    def _check(self, token: str) -> Principal:
        try:
            claims = jwt.decode(
                token,
                self._find_key(token),
                algorithms=[ALGORITHM],
                issuer=self._issuer,
                leeway=LEEWAY,
                options={"require": ["exp", "iat", "iss", "sub", "token_use"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError as error:
            raise Unauthenticated("The token has expired.") from error
        except jwt.InvalidIssuerError as error:
            raise Unauthenticated("The token is another issuer's.") from error
        except jwt.PyJWTError as error:
            raise Unauthenticated("The token is none that the user pool has signed.") from error
        return _read_principal(claims, self._audience)

    def _find_key(self, token: str) -> jwt.PyJWK:
        header = jwt.get_unverified_header(token)
        key_id = header.get("kid")
        # Looked at before any key is fetched: a token that can never be right must cost nothing.
        if header.get("alg") != ALGORITHM or not key_id:
            raise Unauthenticated("The token is not signed with a key of the user pool.")
        known = self._keys.find(key_id)
        if known is None:
            raise Unauthenticated("The token names a key that the user pool does not have.")
        return known


def open_access(settings: Settings) -> Access | None:
    """
    Make the check of tokens that an installation asks for.

    Parameters:
        settings: The installation's.

    Returns:
        None where nobody is told apart; the log says so.
    """
    if settings.auth_issuer:
        return Access(settings.auth_issuer, settings.auth_audience)
    log.warning("access.open", host=settings.api_host, reason="PRELAUNCH_AUTH_ISSUER is not set: no token is asked for")
    return None


def _read_principal(claims: dict[str, Any], audience: str) -> Principal:
    audience_claim = _AUDIENCE_CLAIM.get(str(claims["token_use"]))
    if audience_claim is None:
        raise Unauthenticated("The token is neither an access token nor an ID token.")
    if claims.get(audience_claim) != audience:
        raise Unauthenticated("The token was issued for another application.")
    name = claims.get("username") or claims.get("cognito:username") or claims["sub"]
    groups = claims.get("cognito:groups")
    named = {str(each).upper() for each in groups} if isinstance(groups, list) else set()
    return Principal(str(name), max((role for role in Role if role.name in named), default=None))
