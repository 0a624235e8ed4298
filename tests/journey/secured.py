"""Services with authentication and TLS: certificates, a Kafka with TLS and SASL, and a TLS proxy for other servers."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its types hide names that its manual gives
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from console.embedded.kafka import KafkaServer
from console.embedded.ports import choose_ports
from console.embedded.process import ServerProcess
from console.embedded.watchdog import Watchdog

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

USER, PASSWORD = "worker", "ri9ht-pa55word"
LISTENERS = ("SASL_SSL", "SASL_PLAINTEXT", "SSL")
MODULES = {
    "plain": f'org.apache.kafka.common.security.plain.PlainLoginModule required user_{USER}="{PASSWORD}";',
    "scram-sha-256": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
    "scram-sha-512": "org.apache.kafka.common.security.scram.ScramLoginModule required;",
}


@dataclass(frozen=True, slots=True)
class Certificates:
    """Two certificate authorities, and certificates of the first for 127.0.0.1 and for a client."""

    folder: Path

    def path(self, name: str) -> Path:
        """Return the path of a file: ca.pem, other-ca.pem, and .pem and .key of server and client."""
        return self.folder / name


@dataclass(frozen=True, slots=True)
class Issued:
    """The subject of a certificate, and its key for signing others."""

    name: x509.Name
    key: rsa.RSAPrivateKey


def make_certificates(folder: Path) -> Certificates:
    """Create all certificates, valid for a day."""
    authorities = {name: _issue(folder, name, name) for name in ("ca", "other-ca")}
    _issue(folder, "server", "server", authorities["ca"])
    _issue(folder, "client", USER, authorities["ca"])
    return Certificates(folder)


def _issue(folder: Path, file: str, subject: str, issuer: Issued | None = None) -> Issued:
    """Write FILE.pem and FILE.key; without an issuer the certificate is self-signed."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    signer = issuer or Issued(name, key)
    now = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder(issuer_name=signer.name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.key.public_key()), critical=False)
    )
    certificate = builder.sign(signer.key, hashes.SHA256())
    (folder / f"{file}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / f"{file}.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return Issued(name, key)


class GuardedKafka(KafkaServer):
    """Kafka with three additional listeners, one for each protocol with authentication."""

    ports: dict[str, int]
    certificates: Certificates

    def locate(self, listener: str) -> str:
        """Return the bootstrap server of a listener."""
        return f"127.0.0.1:{self.ports[listener]}"

    def add_users(self) -> None:
        """Give the user a password for both SCRAM mechanisms; PLAIN has it from the configuration."""
        admin = AdminClient({"bootstrap.servers": self.broker})
        for mechanism in (ScramMechanism.SCRAM_SHA_256, ScramMechanism.SCRAM_SHA_512):
            change = UserScramCredentialUpsertion(USER, ScramCredentialInfo(mechanism, 4096), PASSWORD.encode())
            for future in admin.alter_user_scram_credentials([change]).values():
                future.result(30)

    def grant(self, resource: ResourceType, name: str, *operations: AclOperation, prefixed: bool = False) -> None:
        """Grant operations to the SASL and certificate user on a resource of this name, or with this prefix."""
        pattern = ResourcePatternType.PREFIXED if prefixed else ResourcePatternType.LITERAL
        granted = [
            AclBinding(resource, name, pattern, f"User:{user}", "*", operation, AclPermissionType.ALLOW)
            for user in (USER, f"CN={USER}")
            for operation in operations
        ]
        admin = AdminClient({"bootstrap.servers": self.broker})
        for future in admin.create_acls(granted).values():
            future.result(30)

    def _write_properties(self, name: str, logs: Path) -> Path:
        path = super()._write_properties(name, logs)
        # The last occurrence of a repeated property wins.
        settings = dict(line.partition("=")[::2] for line in path.read_text().splitlines())
        path.write_text("".join(f"{key}={value}\n" for key, value in (settings | self._guards(settings)).items()))
        return path

    def _guards(self, settings: dict[str, str]) -> dict[str, str]:
        more = "".join(f",{listener}://{self.locate(listener)}" for listener in LISTENERS)
        protocols = "".join(f",{listener}:{listener}" for listener in LISTENERS)
        keystore = self.certificates.path("server-keystore.pem")
        keystore.write_text("".join(self.certificates.path(f"server{end}").read_text() for end in (".key", ".pem")))
        return {
            "listeners": settings["listeners"] + more,
            "advertised.listeners": settings["advertised.listeners"] + more,
            "listener.security.protocol.map": settings["listener.security.protocol.map"] + protocols,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(keystore),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.certificates.path("ca.pem")),
            "listener.name.ssl.ssl.client.auth": "required",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            # Clients of the plaintext listener, including this test and the broker itself.
            "super.users": "User:ANONYMOUS",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            **{
                f"listener.name.{listener}.{mechanism}.sasl.jaas.config": module
                for listener in ("sasl_ssl", "sasl_plaintext")
                for mechanism, module in MODULES.items()
            },
        }


@contextmanager
def run_guarded_kafka(folder: Path, certificates: Certificates) -> Iterator[GuardedKafka]:
    """Run the broker."""
    ports = choose_ports(("kafka", "controller", *LISTENERS), folder / "ports.json")
    watchdog = Watchdog()
    process = ServerProcess("kafka", runs=folder, log=folder / "kafka.log", watchdog=watchdog)
    server = GuardedKafka(
        folder / "kafka",
        port=ports["kafka"],
        controller_port=ports["controller"],
        process=process,
        report=lambda _: None,
    )
    server.ports, server.certificates = ports, certificates
    with ExitStack() as stack:
        watchdog.start()
        stack.callback(watchdog.stop)
        stack.callback(process.stop)
        server.start(Event())
        server.add_users()
        yield server


class TlsFront:
    """Terminates TLS on loopback for a server without TLS, on its own thread.

    Args:
        context: TLS context with the server certificate.
        port: port of the server.
        asks_first: whether clients request TLS in plaintext first, as those of PostgreSQL do.
    """

    def __init__(self, context: ssl.SSLContext, port: int, *, asks_first: bool) -> None:
        self.taken = 0
        self.port = 0
        self._context = context
        self._server_port = port
        self._asks_first = asks_first
        self._ready = Event()
        self._thread = Thread(target=lambda: asyncio.run(self._serve()), name="tls-front", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        tls = None if self._asks_first else self._context
        server = await asyncio.start_server(self._take, "127.0.0.1", 0, ssl=tls)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server: asyncio.StreamWriter | None = None
        try:
            if self._asks_first:
                await reader.readexactly(8)
                writer.write(b"S")
                await writer.start_tls(self._context)
            answers, server = await asyncio.open_connection("127.0.0.1", self._server_port)
            self.taken += 1
            await asyncio.wait(
                [asyncio.ensure_future(_pass(reader, server)), asyncio.ensure_future(_pass(answers, writer))],
                return_when=asyncio.FIRST_COMPLETED,
            )
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
            if server is not None:
                server.close()


async def _pass(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while received := await source.read(65536):
            target.write(received)
            await target.drain()
    except OSError:
        return
