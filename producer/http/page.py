"""
The page of the people who administer recovery: files that the package ships, and how to sign in.

Nobody is asked who they are for them: they hold nothing of a stack. What the page shows it asks of the other routes, as
any client does, and may do what its reader may. It must never run what stands in a group's name or in an error.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from importlib.resources import files

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from workers.core.settings import Settings

PAGE = "/page"
SETTINGS = f"{PAGE}/settings.json"
INDEX = "index.html"
MEDIA_TYPES = {"css": "text/css", "html": "text/html", "js": "text/javascript"}
"""By the end of a file's name; another file is not served."""
_SLASH = "if(!location.pathname.endsWith('/'))location.replace(location.pathname+'/'+location.search+location.hash)"
"""What the document runs first: behind a stage of API Gateway's all its addresses are relative to where it is."""
_SLASH_PLACE = "/*slash*/"


@dataclass(frozen=True, slots=True)
class SignIn:
    """Where people sign in to get the tokens that the door asks for."""

    domain: str
    """The address of the user pool's domain, without a slash at its end."""
    client_id: str
    """Of the app client that the tokens have to be issued for."""


@dataclass(frozen=True, slots=True)
class _Shipped:
    content: bytes
    media_type: str


def find_sign_in(settings: Settings) -> SignIn | None:
    """Find where an installation's people sign in; None where it names no such place."""
    return SignIn(settings.auth_domain, settings.auth_audience) if settings.auth_domain else None


def add_page(app: FastAPI, *, asks_for_tokens: bool, sign_in: SignIn | None) -> None:
    """
    Add the routes of the page.

    Parameters:
        app: The application.
        asks_for_tokens: Whether the other routes tell callers apart.
        sign_in: Where tokens come from; None: the page's reader has to bring one.
    """
    headers = _make_headers(sign_in)
    told = {
        "version": version("prelaunch"),
        "asksForTokens": asks_for_tokens,
        "signIn": {"domain": sign_in.domain, "clientId": sign_in.client_id} if sign_in is not None else None,
    }

    @app.get("/", include_in_schema=False)
    async def get_page() -> Response:
        """Show the page."""
        return _answer(INDEX, headers)

    @app.get(SETTINGS, include_in_schema=False)
    async def get_page_settings() -> JSONResponse:
        """Tell the page how to get a token."""
        return JSONResponse(told, headers=headers)

    @app.get(PAGE + "/{name}", include_in_schema=False)
    async def get_page_file(name: str) -> Response:
        """Show a file of the page."""
        # Its addresses lead elsewhere from here.
        return _answer(name if name != INDEX else "", headers)


def _answer(name: str, headers: dict[str, str]) -> Response:
    shipped = read_page().get(name)
    if shipped is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    return Response(shipped.content, media_type=shipped.media_type, headers=headers)


@cache
def read_page() -> dict[str, _Shipped]:
    """Read the page's files, by name; the document with what it runs first in its place."""
    found = {}
    for file in files("producer").joinpath("page").iterdir():
        media_type = MEDIA_TYPES.get(file.name.rpartition(".")[2])
        if media_type is not None:
            content = file.read_bytes()
            if file.name == INDEX:
                content = content.replace(_SLASH_PLACE.encode(), _SLASH.encode())
            found[file.name] = _Shipped(content, media_type)
    return found


def _make_headers(sign_in: SignIn | None) -> dict[str, str]:
    """Say what the page may do: run what is shipped, ask its own door and the pool's, and stand in no other page."""
    digest = base64.b64encode(hashlib.sha256(_SLASH.encode()).digest()).decode()
    policy = {
        "default-src": "'none'",
        "script-src": f"'self' 'sha256-{digest}'",
        "style-src": "'self'",
        "img-src": "data:",
        "connect-src": f"'self' {sign_in.domain}" if sign_in is not None else "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        # Browsers that know it let nothing be put in as markup, whoever writes it.
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return {
        # Asked for anew each time: a page of an older release must not meet a newer door.
        "Cache-Control": "no-cache",
        "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
