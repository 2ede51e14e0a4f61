"""
The SDK's HTTP session with a TLS context that all clients share, and with an end.

The SDK loads the certificate authorities anew for each client, at its first call and on the event loop: some twenty
milliseconds in which a worker at work for others stands still. And of a client that was closed it takes one more call,
over connections that nobody closes.
"""

import ssl
from functools import cache
from typing import Any

import aiohttp
from aiobotocore.httpsession import AIOHTTPSession
from botocore.httpsession import create_urllib3_context, get_cert_path

from workers.core.errors import SetupError


class SharedTlsSession(AIOHTTPSession):  # type: ignore[misc]  # the SDK is not typed
    """One client's connections; made where the client is made, beside the loop."""

    def __init__(self, verify: bool | str = True, **more: Any) -> None:
        super().__init__(verify, **more)
        self._shared = _make_context(get_cert_path(verify)) if verify and not self._cert_file else None
        self._is_closed = False

    async def __aexit__(self, *exc: object) -> None:
        self._is_closed = True
        await super().__aexit__(*exc)

    async def _get_session(self, proxy_url: str | None) -> Any:
        if self._is_closed:
            raise RuntimeError("The client is closed.")
        return await super()._get_session(proxy_url)

    def _create_connector(self, proxy_url: str | None) -> Any:
        if proxy_url or self._shared is None:
            return super()._create_connector(proxy_url)
        return aiohttp.TCPConnector(limit=self._max_pool_connections, ssl=self._shared, **self._connector_args)


@cache
def _make_context(authorities: str | None) -> ssl.SSLContext:
    """Make it as the SDK does."""
    context: ssl.SSLContext = create_urllib3_context()
    try:
        if authorities:
            context.load_verify_locations(authorities)
    except OSError as error:
        raise SetupError(
            f"The certificate authorities of {authorities} cannot be read: {error}. AWS_CA_BUNDLE, or the profile's"
            " ca_bundle, names them."
        ) from error
    return context
