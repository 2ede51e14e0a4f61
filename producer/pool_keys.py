"""
The keys that a user pool publishes, kept while they are fresh, and longer where the pool does not answer.

No token opens anything by a key that the pool never published. Everything here may block: it is called on threads.
"""

import threading
import time
from collections.abc import Callable, Mapping
from datetime import timedelta

import jwt
import structlog

from workers.core.errors import ServiceUnavailable

log = structlog.get_logger()

KEYS_LIVE = timedelta(minutes=5)
"""How long keys are used before they are fetched again: how soon a withdrawn one opens nothing, if the pool answers."""
KEYS_KEPT = timedelta(hours=24)
"""How long the last keys are used at most while the pool does not answer."""
COOLDOWN = timedelta(seconds=30)
"""How often keys are fetched at most while some are known: anybody can send tokens that name unknown ones."""
FETCH_SECONDS = 5


class PoolKeys:
    """The keys of one user pool."""

    def __init__(
        self, issuer: str, *, cooldown: timedelta = COOLDOWN, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        # Its own cache ends with its lifespan, whether the pool answers then or not.
        self._client = jwt.PyJWKClient(f"{issuer}/.well-known/jwks.json", cache_jwk_set=False, timeout=FETCH_SECONDS)
        self._cooldown = cooldown
        self._monotonic = monotonic
        self._fetching = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at = 0.0
        self._tried_at = 0.0
        self._has_failed = False
        self._fetches = 0
        """How many have ended, well or not."""

    def find(self, key_id: str) -> jwt.PyJWK | None:
        """
        Find a key, and fetch the pool's keys for it where that may help.

        Parameters:
            key_id: What the token calls it.

        Returns:
            The key; None where the pool has none of that name.

        Raises:
            ServiceUnavailable: The keys cannot be had, and it is not among those that are known.
        """
        self._renew(KEYS_LIVE)
        if self._keys and key_id not in self._keys:
            # The pool may have made it since.
            self._renew(timedelta(0))
        found = self._keys.get(key_id)
        if found is None and self._has_failed:
            raise ServiceUnavailable(
                "The user pool's keys cannot be fetched, so nobody can be told apart now. Try again."
            )
        return found

    def _renew(self, age: timedelta) -> None:
        """Fetch the keys if those that are known are older than that."""
        seen = self._fetches
        # Whoever has keys goes on with them while another one fetches; who has none waits for those of the other.
        if not self._needs(age) or not self._fetching.acquire(blocking=not self._has_keys()):
            return
        try:
            if seen == self._fetches:
                self._fetch()
                self._fetches += 1
        finally:
            self._fetching.release()

    def _has_keys(self) -> bool:
        return bool(self._keys) and self._monotonic() - self._fetched_at < KEYS_KEPT.total_seconds()

    def _needs(self, age: timedelta) -> bool:
        if not self._has_keys():
            return True
        now = self._monotonic()
        return now - self._fetched_at >= age.total_seconds() and now - self._tried_at >= self._cooldown.total_seconds()

    def _fetch(self) -> None:
        self._tried_at = self._monotonic()
        try:
            fetched = self._client.get_signing_keys(refresh=True)
        except (jwt.PyJWTError, ValueError, OSError) as error:
            self._has_failed = True
            if not self._has_keys():
                self._keys = {}
            log.warning("access.keys_not_renewed", known=len(self._keys), reason=str(error))
        else:
            self._keys = {key.key_id: key for key in fetched if key.key_id}
            self._fetched_at = self._tried_at
            self._has_failed = False
