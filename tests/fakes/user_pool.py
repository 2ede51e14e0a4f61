"""A user pool of the tests' own: real keys, real tokens, and the address where the keys are fetched."""

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

AUDIENCE = "1example23456789"
KEYS_PATH = "/.well-known/jwks.json"


def make_key() -> rsa.RSAPrivateKey:
    """Make a key."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class UserPool:
    """Signs tokens as Amazon Cognito does."""

    def __init__(self) -> None:
        self.issuer = ""
        self.keys: dict[str, rsa.RSAPrivateKey] = {"first": make_key()}
        """What is published, by key id."""
        self.fetched = 0
        self.down = False

    def publish(self) -> bytes:
        """Answer the key set."""
        shown = []
        for key_id, key in self.keys.items():
            numbers = key.public_key().public_numbers()
            shown.append(
                {
                    "kid": key_id,
                    "kty": "RSA",
                    "alg": "RS256",
                    "use": "sig",
                    "n": _base64(numbers.n),
                    "e": _base64(numbers.e),
                }
            )
        return json.dumps({"keys": shown}).encode()

    def public_pem(self, key_id: str = "first") -> bytes:
        """Answer a public key as everybody can write it down."""
        return (
            self.keys[key_id]
            .public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        )

    def claims(self, *groups: str, **changes: Any) -> dict[str, Any]:
        """Write an access token's claims; a change to None leaves that one out."""
        now = int(time.time())
        claims = {
            "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee",
            "iss": self.issuer,
            "client_id": AUDIENCE,
            "token_use": "access",
            "username": "ada",
            "iat": now,
            "exp": now + 3600,
            "cognito:groups": list(groups),
            **changes,
        }
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], key_id: str = "first", key: rsa.RSAPrivateKey | None = None) -> str:
        """Sign claims."""
        return jwt.encode(claims, key or self.keys[key_id], algorithm="RS256", headers={"kid": key_id})


@contextmanager
def user_pool() -> Iterator[UserPool]:
    """Run a user pool while the block runs."""
    pool = UserPool()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pool.fetched += self.path == KEYS_PATH
            found = self.path == KEYS_PATH and not pool.down
            content = pool.publish() if found else b""
            self.send_response(200 if found else 503)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as pool.issuer:
        yield pool


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests on a free port of this machine while the block runs; yield the address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
