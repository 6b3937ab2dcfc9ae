"""Certificates: the PEM files that an operator names, and what is read from those that clients show.

The files are looked at before anything listens: grpc would serve nothing and not say why.
"""

import ssl
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from airspace_server.settings import SettingsError

_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


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
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension, x509.UnsupportedGeneralNameType):
        return Shown(frozenset(), 0.0)
    uris = (f"URI:{uri}" for uri in found.get_values_for_type(x509.UniformResourceIdentifier))
    hosts = (f"DNS:{host.lower()}" for host in found.get_values_for_type(x509.DNSName))
    return Shown(frozenset((*uris, *hosts)), certificate.not_valid_after_utc.timestamp())


def identity(certificate: Path, key: Path) -> tuple[bytes, bytes]:
    """Return a certificate chain and its private key.

    Raises SettingsError for files that are not such, a certificate that is not valid today, and a key that others than
    its owner may use.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key)
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
    return chain, private


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
    except ValueError:
        raise SettingsError(f"{path} holds no certificates in PEM that can be read") from None


def _problem(certificate: x509.Certificate) -> str:
    """Say why a certificate is not valid today, "" when it is."""
    now = datetime.now(UTC)
    if now >= certificate.not_valid_after_utc:
        return f"expired on {certificate.not_valid_after_utc:%Y-%m-%d}"
    if now < certificate.not_valid_before_utc:
        return f"is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on"
    return ""
