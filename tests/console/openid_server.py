"""A small OpenID provider with real signatures, whose answers a test may falsify."""

from __future__ import annotations

import json
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CLIENT, SECRET = "holdfast", "a client's secret of enough length"


@dataclass
class OpenIdServer:
    """A provider, which has one person.

    Attributes:
        claims: of the person; they replace those of the token, None removes one.
        issued: codes that were given, with the query of the authorization.
        sign_with: another key than the one that it publishes, and its algorithm.
    """

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    issued: dict[str, Mapping[str, str]] = field(default_factory=dict)
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    sign_with: tuple[Any, str] | None = None

    def authorize(self, address: str) -> dict[str, str]:
        """Return the query of the answer to an authorization request, as if the person had signed in."""
        query = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert query["response_type"] == "code"
        code = f"code-{len(self.issued)}"
        self.issued[code] = query
        return {"code": code, "state": query["state"], "iss": self.issuer}

    def redeem(self, form: Mapping[str, str], authorization: str) -> dict[str, Any] | None:
        """Return the tokens for a code; None where the code, the verifier or the client is wrong."""
        asked = self.issued.pop(form["code"], None)
        proof = urlsafe_b64encode(sha256(form["code_verifier"].encode()).digest()).rstrip(b"=").decode()
        client = b64decode(authorization.removeprefix("Basic ")).decode()
        if asked is None or proof != asked["code_challenge"] or client != f"{CLIENT}:{SECRET}":
            return None
        if form["redirect_uri"] != asked["redirect_uri"]:
            return None
        now = int(time.time())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "sub": "person-1",
            "iat": now,
            "exp": now + 60,
            "nonce": asked["nonce"],
            **self.claims,
        }
        key, algorithm = self.sign_with or (self.key, "ES256")
        kept = {name: value for name, value in claims.items() if value is not None}
        header = {"alg": algorithm, "kid": self.key.kid}
        return {"id_token": jwt.encode(header, kept, key, algorithms=[algorithm]), "token_type": "Bearer"}

    def describe(self) -> dict[str, Any]:
        """Return the metadata."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }


def foreign_signatures() -> dict[str, tuple[Any, str]]:
    """Return keys that a token must not be signed with."""
    return {
        "another key": (ECKey.generate_key("P-256"), "ES256"),
        "the client's secret": (OctKey.import_key(SECRET), "HS256"),
    }


@contextmanager
def serve_openid() -> Iterator[OpenIdServer]:
    """Serve a provider meanwhile."""
    provider = OpenIdServer()
    provider.key.ensure_kid()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/.well-known/openid-configuration": provider.describe(),
                "/keys": KeySet([provider.key]).as_dict(private=False),
            }
            self._answer(pages.get(self.path))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(provider.redeem(form, self.headers["Authorization"]))

        def _answer(self, content: Any) -> None:
            self.send_response(200 if content is not None else 400)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    provider.issuer = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
