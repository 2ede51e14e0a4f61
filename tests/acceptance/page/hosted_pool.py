"""A user pool with the pages on which people sign in, as Amazon Cognito hosts them: codes, and tokens for them."""

import base64
import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.user_pool import AUDIENCE, UserPool, serving


@dataclass
class HostedPool:
    """Who signs in here is let in as whoever the test says, without a word."""

    pool: UserPool
    domain: str = ""
    groups: tuple[str, ...] = ("operator",)
    lives_seconds: int = 3600
    """How long a token lives that is given out now."""
    challenges: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By code: the challenge that it was asked for with, and where it was sent to."""
    granted: list[str] = field(default_factory=list)
    """The kinds of grants that tokens were given out for."""
    left: int = 0
    """How often somebody signed out."""

    def authorize(self, query: dict[str, str]) -> str:
        """Let somebody in; answer where the browser goes."""
        assert query["client_id"] == AUDIENCE
        assert query["response_type"] == "code"
        assert query["code_challenge_method"] == "S256"
        code = uuid.uuid4().hex
        self.challenges[code] = (query["code_challenge"], query["redirect_uri"])
        return f"{query['redirect_uri']}?{urlencode({'code': code, 'state': query['state']})}"

    def grant(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        """Give out tokens. Source: RFC 6749 and 7636; Cognito, token endpoint."""
        if form["grant_type"] == "authorization_code":
            challenge, address = self.challenges.pop(form["code"], ("", ""))
            digest = hashlib.sha256(form["code_verifier"].encode()).digest()
            made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if (made, form["redirect_uri"]) != (challenge, address):
                return 400, {"error": "invalid_grant"}
        elif form != {"grant_type": "refresh_token", "refresh_token": "renews", "client_id": AUDIENCE}:
            return 400, {"error": "invalid_grant"}
        self.granted.append(form["grant_type"])
        claims = self.pool.claims(*self.groups, token_use="id", aud=AUDIENCE, client_id=None)
        claims["exp"] = claims["iat"] + self.lives_seconds
        token = self.pool.sign({**claims, "cognito:username": "ada"})
        return 200, {"id_token": token, "access_token": "unused", "refresh_token": "renews", "token_type": "Bearer"}


@contextmanager
def hosted_pool(pool: UserPool) -> Iterator[HostedPool]:
    """Run the pages of a user pool while the block runs."""
    hosted = HostedPool(pool)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            if parts.path == "/logout":
                hosted.left += 1
            self.send_response(302)
            self.send_header("Location", query["logout_uri"] if parts.path == "/logout" else hosted.authorize(query))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(content).items()}
            status, document = hosted.grant(form)
            answer = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Access-Control-Allow-Origin", "*")
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as hosted.domain:
        yield hosted
