"""Signs people in with an OpenID provider: authorization code with PKCE, state and nonce.

OpenID Connect Core 1.0, sections 3.1.2 and 3.1.3; RFC 7636 (PKCE); RFC 9207 (the issuer in the answer).
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from console.access.names import is_name, normalize_name
from console.access.roles import Role
from console.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Mapping

TIMEOUT_S = 10.0
LEEWAY_S = 60
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures that only the provider can make; with HS256 anyone who knows the client's secret could."""
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")
_METADATA = "/.well-known/openid-configuration"


class SignInRefusedError(AccessError):
    """The provider's answer does not sign anyone in; the message says why."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who has signed in.

    Attributes:
        subject: what never changes: the issuer and its id of the person.
        name: for an account.
        role: from the claim.
    """

    subject: str
    name: str
    role: Role


@dataclass(frozen=True, slots=True)
class SignInFlow:
    """One way to the provider and back. All is derived from a secret that only this browser's cookie has."""

    secret: str

    @property
    def state(self) -> str:
        """Return what the answer must repeat, so that an answer to another person's request is refused."""
        return self._derive("state")

    @property
    def nonce(self) -> str:
        """Return what the token must repeat, so that a stolen one is of no use."""
        return self._derive("nonce")

    @property
    def verifier(self) -> str:
        """Return what the code is redeemed with, so that a stolen one is of no use."""
        return self._derive("verifier")

    def _derive(self, purpose: str) -> str:
        return _encode(sha256(f"{purpose}:{self.secret}".encode()).digest())


class OpenIdProvider:
    """An OpenID provider; safe for threads.

    Args:
        issuer: its address, with https; http only on this machine.
        client_id: of the console.
        client_secret: of the console.
        role_claim: the claim that has the role, or a list with it; dots lead into objects.

    Raises:
        AccessError: the issuer has no TLS.
    """

    def __init__(self, issuer: str, client_id: str, client_secret: str, role_claim: str) -> None:
        self.issuer = issuer.rstrip("/")
        _check_tls("HOLDFAST_CONSOLE_OIDC_ISSUER", issuer)
        self._issuers = {issuer, self.issuer}
        self._client_id = client_id
        self._client_secret = client_secret
        self._role_claim = role_claim
        self._http = httpx.Client(timeout=TIMEOUT_S)
        self._metadata: Mapping[str, Any] | None = None

    def find_authorization(self, flow: SignInFlow, redirect_uri: str) -> str:
        """Return the address at the provider to send a browser to.

        Raises:
            SignInRefusedError: the provider cannot be used.
        """
        query = {
            "response_type": "code",
            "client_id": self._client_id,
            "redirect_uri": redirect_uri,
            "scope": "openid profile email",
            "state": flow.state,
            "nonce": flow.nonce,
            "code_challenge": _encode(sha256(flow.verifier.encode()).digest()),
            "code_challenge_method": "S256",
        }
        endpoint = str(self._find_metadata()["authorization_endpoint"])
        return f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{urlencode(query)}"

    def redeem(self, code: str, flow: SignInFlow, redirect_uri: str, issuer: str | None) -> Identity:
        """Return who has signed in.

        Args:
            code: of the answer.
            flow: of this browser.
            redirect_uri: as in the address that the browser was sent to.
            issuer: of the answer, where it names one.

        Raises:
            SignInRefusedError: the provider refuses the code, its token cannot be trusted, or has no role.
        """
        metadata = self._find_metadata()
        if issuer is not None and issuer not in self._issuers:
            raise SignInRefusedError("the answer comes from another issuer")
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": flow.verifier,
        }
        basic = httpx.BasicAuth(self._client_id, self._client_secret)
        answer = _read_object(_ask(self._http, "POST", metadata["token_endpoint"], data=form, auth=basic))
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise SignInRefusedError("the provider gave no ID token")
        return self._identify(self._verify(token, metadata, flow.nonce))

    def _find_metadata(self) -> Mapping[str, Any]:
        if self._metadata is None:
            metadata = _read_object(_ask(self._http, "GET", self.issuer + _METADATA))
            if metadata.get("issuer") not in self._issuers:
                raise SignInRefusedError("the provider's metadata is of another issuer")
            for name in _ENDPOINTS:
                _check_tls(name, str(metadata.get(name)))
            self._metadata = metadata
        return self._metadata

    def _verify(self, token: str, metadata: Mapping[str, Any], nonce: str) -> Mapping[str, Any]:
        claims_of = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": metadata["issuer"]},
            aud={"essential": True, "value": self._client_id},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True, "value": nonce},
        )
        known = _read_object(_ask(self._http, "GET", metadata["jwks_uri"]))
        try:
            claims = jwt.decode(token, _find_keys(known), algorithms=ALGORITHMS).claims
            claims_of.validate(claims)
        except (JoseError, ValueError) as error:
            raise SignInRefusedError(f"the provider's ID token cannot be trusted: {error}") from error
        if claims.get("azp", self._client_id) != self._client_id:
            raise SignInRefusedError("the provider's ID token is for another client")
        return claims

    def _identify(self, claims: Mapping[str, Any]) -> Identity:
        role = _find_role(claims, self._role_claim)
        if role is None:
            raise SignInRefusedError(f"you have no role here: the claim {self._role_claim} names none")
        email = claims.get("email") if claims.get("email_verified") is True else None
        name = normalize_name(str(email or claims.get("preferred_username") or claims["sub"]))
        if not is_name(name):
            raise SignInRefusedError(f"no account can have the name {name!r}")
        return Identity(f"{self.issuer} {claims['sub']}", name, role)


def _find_role(claims: Mapping[str, Any], path: str) -> Role | None:
    """Return the role that a claim names; of several the one that may most, in the order of `Role`."""
    found: Any = claims
    for part in [path] if path in claims else path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    named = found if isinstance(found, list) else [found]
    return next((role for role in reversed(Role) if role.value in named), None)


def _find_keys(known: Mapping[str, Any]) -> KeySet:
    """Return the keys that sign; there may be others."""
    keys = known.get("keys")
    return KeySet.import_key_set({"keys": [each for each in keys if each.get("use", "sig") == "sig"] if keys else []})


def _ask(http: httpx.Client, method: str, address: str, **more: Any) -> httpx.Response:
    try:
        answer = http.request(method, address, **more)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SignInRefusedError("the provider cannot be reached, or refuses") from error
    return answer


def _read_object(answer: httpx.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError as error:
        raise SignInRefusedError("the provider does not answer in JSON") from error
    if not isinstance(content, dict):
        raise SignInRefusedError("the provider's answer is no JSON object")
    return content


def _check_tls(name: str, address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme == "https" and parts.hostname:
        return
    if parts.scheme != "http" or not parts.hostname or not _is_this_machine(parts.hostname):
        raise AccessError(f"{name}={address}: must begin with https://; http:// is for a provider on this machine only")


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _encode(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()
