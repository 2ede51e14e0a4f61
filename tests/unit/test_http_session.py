"""The SDK's connections: as it makes them itself, but for the TLS context, which is made once."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import certifi
import pytest
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError

from workers.aws import http_session
from workers.aws.http_session import SharedTlsSession


@pytest.fixture(autouse=True)
def _anew() -> Iterator[None]:
    http_session._make_context.cache_clear()
    yield
    http_session._make_context.cache_clear()


async def find_context(session: SharedTlsSession, proxy_url: str | None = None) -> object:
    connector = session._create_connector(proxy_url)
    assert isinstance(connector, aiohttp.TCPConnector)
    try:
        return connector._ssl
    finally:
        await connector.close()


async def test_all_clients_share_one_context_that_checks_whom_it_speaks_to() -> None:
    """The same authorities are loaded once, and certificates and names are checked as ever."""
    first, second = [await find_context(SharedTlsSession()) for _ in range(2)]
    assert first is second
    assert isinstance(first, ssl.SSLContext)
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert first.get_ca_certs()


async def test_somebody_s_own_authorities_are_the_only_ones(tmp_path: Path) -> None:
    """AWS_CA_BUNDLE names other authorities: these are asked, and no others."""
    one = certifi.contents().split("-----END CERTIFICATE-----")[0] + "-----END CERTIFICATE-----\n"
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(one[one.index("-----BEGIN") :])
    context = await find_context(SharedTlsSession(str(bundle)))
    assert isinstance(context, ssl.SSLContext)
    assert len(context.get_ca_certs()) == 1
    assert context is not await find_context(SharedTlsSession())


async def test_what_is_not_shared_is_the_sdk_s_own() -> None:
    """Without verification, and for a proxy, the connector is as the SDK makes it."""
    assert await find_context(SharedTlsSession(False)) is False
    assert await find_context(SharedTlsSession(), "http://127.0.0.1:3128") is False


async def test_no_context_is_made_at_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there when the session is: a loop at work has nothing to load."""
    session = SharedTlsSession()
    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", None)
    assert isinstance(await find_context(session), ssl.SSLContext)


async def test_of_a_client_that_was_closed_nothing_is_sent_any_more() -> None:
    """A call that others were not waited for comes late, when a command ends: nobody would close its connections."""
    async with SharedTlsSession(False) as session:
        opened = await session._get_session(None)
    assert opened.closed
    request = AWSRequest("GET", "http://127.0.0.1:1/").prepare()
    with pytest.raises(HTTPClientError, match="closed"):
        await session.send(request)
    assert not session._sessions
