"""
Who may ask: the tokens of a Cognito user pool, and the roles that its groups stand for.

A token counts only if its signature, issuer, audience, kind and time are right; the algorithm is ours to choose,
never the token's. A token is never logged, nor is anything that it claims before it was checked.
"""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum
from typing import Any

import jwt
import structlog

from producer.pool_keys import PoolKeys
from workers.core.identities import without_path
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


ROLES: Mapping[str, Role] = {role.name.lower(): role for role in Role}
"""By the names that groups of a user pool, aliases and settings say them with, to the letter."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks, as the token that was checked says, or whoever else told callers apart."""

    name: str
    role: Role | None
    """None: none of the groups is a role of ours, or no setting names the identity."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks through a door of ours that has told callers apart before a request reaches its route."""

    door: str
    principal: Principal | None
    """None: nobody did; then why stands in `reason`."""
    reason: str = ""
    key: str | None = None
    """What the request is named by where its caller gave it no name: a message's id, or the invocation's."""
    claimed: str = ""
    """What is known of whoever asks where nobody may, for the log."""

    @property
    def name(self) -> str:
        """Tell who asks, for the log."""
        return self.principal.name if self.principal is not None else self.claimed or "unauthenticated"


CALLER = "prelaunch.caller"
"""Where a request's ASGI scope holds its Caller: no client can put anything there."""


class Unauthenticated(RequestRefused):
    """Nobody knows who asks."""

    code = "UNAUTHENTICATED"


class Forbidden(RequestRefused):
    """The one who asks may not do that."""

    code = "FORBIDDEN"


def find_principal(caller: Caller) -> Principal:
    """Answer who asks; Unauthenticated where the door in front could not tell."""
    if caller.principal is None:
        raise Unauthenticated(caller.reason)
    return caller.principal


def check_role(principal: Principal, role: Role) -> None:
    """Refuse who has not the role that something needs; Forbidden names both."""
    if principal.role is None or principal.role < role:
        held = principal.role.name.lower() if principal.role else "none of the roles"
        raise Forbidden(f"This needs the role {role.name.lower()}; {principal.name} is {held}.")


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
        return read_token(claims, self._audience)

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


def read_claims(claims: Mapping[str, Any]) -> Principal:
    """Read who asks from the claims of a token that somebody else has checked: shape {claim: value}."""
    name = claims.get("username") or claims.get("cognito:username") or claims.get("sub") or "unknown"
    groups = claims.get("cognito:groups")
    named = groups if isinstance(groups, list) else []
    return Principal(str(name), max((role for said, role in ROLES.items() if said in named), default=None))


def read_identity(arn: str, roles: Mapping[str, str]) -> Principal:
    """
    Read who asks from an IAM identity that AWS has checked.

    Parameters:
        arn: The caller's: of a user, or of a session of an assumed role.
        roles: The installation's: ARNs of users and roles, and the name of a role of ours for each.

    Returns:
        Who asks; without a role where no setting names the identity.
    """
    known = {without_path(each): name for each, name in roles.items()}
    name = known.get(without_path(arn))
    return Principal(arn, ROLES[name] if name is not None else None)


def read_token(claims: Mapping[str, Any], audience: str) -> Principal:
    """
    Read who asks from the claims of a token of the pool, which must have been issued for us.

    Parameters:
        claims: Of a token that somebody has checked, but for whom it is: shape {claim: value}.
        audience: The id of our app client.

    Returns:
        Who asks.

    Raises:
        Unauthenticated: It was issued for another application, or is of another kind.
    """
    audience_claim = _AUDIENCE_CLAIM.get(str(claims.get("token_use")))
    if audience_claim is None:
        raise Unauthenticated("The token is neither an access token nor an ID token.")
    if claims.get(audience_claim) != audience:
        raise Unauthenticated("The token was issued for another application.")
    return read_claims(claims)
