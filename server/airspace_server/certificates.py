"""Certificates: the PEM files that an operator names, and what is read from those that clients show.

The files are looked at before anything listens: grpc would serve nothing and not say why. They are read again when they
change, so that new certificates need no restart.
"""

import logging
import ssl
import stat
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Generic, TypeVar

from cryptography import x509

from airspace_server.settings import SettingsError

LOOK_SECONDS: Final = 1.0
"""How often it is looked whether files have changed, at most."""

# What the library raises over bytes that are no certificate, or one that TLS takes and the library does not.
_UNREADABLE: Final = (ValueError, x509.InvalidVersion)
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO
_log: Final = logging.getLogger(__name__)

T = TypeVar("T")


class Watched(Generic[T]):
    """What some files hold now. Safe to share between threads.

    When they change to what cannot be used, what they held before stays, and the log says why: files are not always
    changed together, and a server with an old certificate is better than none. `clock` counts seconds. Raises what
    `read` does.
    """

    def __init__(
        self, files: Sequence[Path], read: Callable[[], T], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._files = files
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_at = clock()
        self._stamps = self._look()  # before reading: whatever changes from here on is seen as changed
        self._content = read()
        self._problem = ""

    def __call__(self) -> T:
        """Return it, as of a second ago at most."""
        with self._lock:
            if self._clock() - self._looked_at >= LOOK_SECONDS:
                self._looked_at = self._clock()
                stamps = self._look()
                # What could not be used may have become so by itself: a certificate of tomorrow.
                if stamps != self._stamps or self._problem:
                    self._stamps = stamps
                    self._reread()
            return self._content

    def _reread(self) -> None:
        try:
            self._content, self._problem = self._read(), ""
        except SettingsError as error:
            if str(error) != self._problem:
                _log.error("certificates have changed and cannot be used; the old ones stay: %s", error)
            self._problem = str(error)
        else:
            _log.info("certificates have changed", extra={"airspace": {"files": [str(path) for path in self._files]}})

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what differs once a file was changed or replaced; None for one that is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


@dataclass(frozen=True, slots=True)
class Shown:
    """What a client's certificate says: its names, as "URI:..." and "DNS:...", and when it expires, in seconds."""

    names: frozenset[str]
    expires_at: float


def shown(pem: bytes) -> Shown:
    """Read a certificate. One whose names cannot be read has none."""
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (*_UNREADABLE, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Shown(frozenset(), 0.0)
    uris = (f"URI:{uri}" for uri in found.get_values_for_type(x509.UniformResourceIdentifier))
    hosts = (f"DNS:{host.lower()}" for host in found.get_values_for_type(x509.DNSName))
    return Shown(frozenset((*uris, *hosts)), certificate.not_valid_after_utc.timestamp())


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate chain and its private key, PEM, and the same for Python's own TLS as a server."""

    certificate: bytes
    key: bytes
    context: ssl.SSLContext = field(compare=False)


def identity(certificate: Path, key: Path) -> Identity:
    """Read a certificate chain and its private key.

    Raises SettingsError for files that are not such, a certificate that is not valid today, and a key that others than
    its owner may use.
    """
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        if key.stat().st_mode & _OTHERS:
            raise SettingsError(f"{key} is open to other users; what it holds must be replaced, then chmod 600 it")
        private = key.read_bytes()
    except ssl.SSLError:
        raise SettingsError(f"{certificate} and {key} do not hold a certificate and its own key, in PEM") from None
    except OSError as error:
        raise SettingsError(f"{certificate} and {key} cannot be read: {error.strerror}") from None
    chain, (own, *_) = _read(certificate)
    problem = _problem(own)
    if problem:
        raise SettingsError(f"the certificate in {certificate} {problem}")
    return Identity(chain, private, context)


def choosing(identity: Callable[[], Identity]) -> ssl.SSLContext:
    """Return a context that shows every client what `identity` returns when it connects."""

    def choose(connection: ssl.SSLObject, _host: str | None, _context: ssl.SSLContext) -> None:
        connection.context = identity().context

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.sni_callback = choose
    return context


def authorities(path: Path) -> bytes:
    """Return the certificates of authorities. Raises SettingsError for a file in which none is valid today.

    An old one may stand beside its successor.
    """
    content, found = _read(path)
    problems = [_problem(each) for each in found]
    if all(problems):
        raise SettingsError(f"of the certificates in {path} none is valid today; the first {problems[0]}")
    return content


def _read(path: Path) -> tuple[bytes, list[x509.Certificate]]:
    """Read a file of at least one certificate. Raises SettingsError."""
    try:
        content = path.read_bytes()
        return content, x509.load_pem_x509_certificates(content)
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror}") from None
    except _UNREADABLE:
        raise SettingsError(f"{path} holds no certificates in PEM that can be read") from None


def _problem(certificate: x509.Certificate) -> str:
    """Say why a certificate is not valid today, "" when it is."""
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on"
    return ""
