"""The page's files through the doors that have addresses: whole, open to everybody, and allowed as little as can be."""

import base64
import hashlib
import re
from contextlib import nullcontext
from posixpath import join, normpath

import httpx
import pytest

from producer.access import Access
from producer.http import create_app
from producer.http.page import SignIn
from producer.operations import Asked
from tests.integration.doors.doors import Answered, Doors, make_context, make_event, read_headers

REFERENCES = re.compile(r"""(?:src|href)="([^"#]+)"|from "([^"]+)";""")
DOMAIN = "https://people.auth.eu-west-1.amazoncognito.com"


def read(doors: Doors, path: str) -> Answered:
    """Ask both doors without saying who asks; their answers are the same."""
    found = doors.function.run(doors.http.get(path))
    proxied = doors.function.handle(make_event(Asked("", "GET", path, "", None, {}), {}), make_context("api"))
    assert not proxied["isBase64Encoded"], "without binaryMediaTypes API Gateway hands it on as it stands here"
    headers = {**proxied["headers"], **{name: ", ".join(each) for name, each in proxied["multiValueHeaders"].items()}}
    own = {name: value for name, value in read_headers(found.headers).items() if name != "x-request-id"}
    assert (proxied["statusCode"], {**read_headers(headers), **own}) == (found.status_code, read_headers(headers))
    if found.status_code == 200 and not path.endswith(".json"):
        assert proxied["body"] == found.text
    return Answered(found.status_code, found.text, own)


def list_references(path: str, text: str) -> list[str]:
    """List what a file leads to, as addresses from the page's own."""
    folder = "" if path == "/" else "page"
    names = [first or second for first, second in REFERENCES.findall(text) if not first.startswith("data:")]
    for name in names:
        assert not name.startswith(("/", "http")), f"{path} leads to {name}, which is elsewhere behind a stage"
    return [f"/{normpath(join(folder, name))}" for name in names]


def test_every_file_that_the_page_is_made_of_is_there(doors: Doors) -> None:
    """Each by an address relative to the page's: behind API Gateway that has a stage before it."""
    open_paths, seen = ["/"], {"/"}
    while open_paths:
        path = open_paths.pop()
        answer = read(doors, path)
        assert answer.status == 200, path
        kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8"}
        assert answer.headers["content-type"] == kinds.get(path.rpartition(".")[2], "text/html; charset=utf-8")
        found = set(list_references(path, answer.document)) - seen
        seen |= found
        open_paths += sorted(found)
    assert len(seen) > 10
    assert {"/page/main.js", "/page/style.css", "/page/session.js"} <= seen


def test_the_page_may_run_what_is_shipped_and_nothing_else(doors: Doors) -> None:
    """No text that gets into the document can become a script, ask another place, or stand within another page."""
    answer = read(doors, "/")
    policy = dict(each.strip().split(" ", 1) for each in answer.headers["content-security-policy"].split(";"))
    (inline,) = re.findall(r"<script>(.*?)</script>", answer.document, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
    assert policy == {
        "default-src": "'none'",
        "script-src": f"'self' 'sha256-{digest}'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    assert "location.pathname" in inline
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "name", ["nothing.js", "index.html", "__init__.py", "..%2Fmain.py", "%2e%2e%2fmain.py", "a%00.js"]
)
def test_only_the_pages_own_files_are_served(doors: Doors, name: str) -> None:
    """No name leads out of the folder, or to what is no file of the page."""
    answer = doors.function.run(doors.http.get(f"/page/{name}"))
    assert answer.status_code == 404
    assert answer.json()["code"] == "NOT_FOUND"


def test_the_page_is_read_only(doors: Doors) -> None:
    """And says so."""
    answer = doors.function.run(doors.http.post("/"))
    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    head = doors.function.run(doors.http.head("/"))
    assert (head.status_code, head.content) == (200, b"")


def test_the_page_is_told_how_to_get_a_token(doors: Doors) -> None:
    """Where nobody is told apart none is asked for; else where to sign in, if there is such a place, and no more."""
    plain = doors.function.run(doors.http.get("/page/settings.json")).json()
    assert plain == {"version": "0.1.0", "asksForTokens": False, "signIn": None}
    proxied = doors.function.handle(
        make_event(Asked("", "GET", "/page/settings.json", "", None, {}), {}), make_context("api")
    )
    assert '"asksForTokens":true' in proxied["body"]
    access = Access("https://pool.example.com", "client")
    app = create_app(lambda: nullcontext(doors.function.app.state.services), access, sign_in=SignIn(DOMAIN, "client"))
    transport = httpx.ASGITransport(app)

    async def ask(path: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.get(path)

    told = doors.function.run(ask("/page/settings.json"))
    assert told.json() == {
        "version": "0.1.0",
        "asksForTokens": True,
        "signIn": {"domain": DOMAIN, "clientId": "client"},
    }
    page = doors.function.run(ask("/"))
    assert page.status_code == 200
    assert f"connect-src 'self' {DOMAIN};" in page.headers["content-security-policy"]
    access.close()
