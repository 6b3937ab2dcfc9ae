"""The client file: the very YAML that pyflyte and flytectl read, and where it is looked for.

Of the file only `admin` is read: endpoint, insecure, authType (ClientSecret or ExternalCommand), clientId,
clientSecretLocation or clientSecretEnvVar, tokenUrl, scopes, audience, caCertFilePath and command. As with the other
two clients, relative paths start in the working directory and a missing `insecure` means TLS.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from airspace_client._auth import ClientCredentials, CommandToken, TokenSource
from airspace_client._errors import ConfigError
from airspace_client._tls import TLS

CONFIG_VARIABLE: Final = "AIRSPACE_CONFIG"
"""Names the client file."""
DATA_VARIABLE: Final = "AIRSPACE_DATA"
"""Names the data folder of a server on this machine."""
DEFAULT_DATA: Final = "airspace-data"
"""The data folder of a server that was started here without naming one."""
ADMIN_FILE: Final = Path("clients", "admin.yaml")
"""Where a server leaves its administrator's client file, in its data folder."""


@dataclass(frozen=True, slots=True)
class Config:
    """What a client file says: where the server is, how to reach it and as whom. `tls` is None for plain text."""

    target: str
    tls: TLS | None
    credentials: TokenSource


def find_config(path: str | Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """Return the client file to use: `path`, $AIRSPACE_CONFIG, or the administrator's file in a data folder.

    Raises ConfigError when there is none, and never goes on to the next source past one that was named.
    """
    data = environment.get(DATA_VARIABLE)
    named = path or environment.get(CONFIG_VARIABLE) or (Path(data) / ADMIN_FILE if data else None)
    if named is not None:
        return Path(named)
    local = Path(DEFAULT_DATA) / ADMIN_FILE
    if local.is_file():
        return local
    raise ConfigError(
        f"no client file: pass --config FILE, set {CONFIG_VARIABLE} to a file or {DATA_VARIABLE} to a server's data "
        f"folder, or run where ./{local} is"
    )


def read_config(path: Path, environment: Mapping[str, str] = os.environ) -> Config:
    """Read a client file. Raises ConfigError that names the file and the key."""
    import yaml  # slow to import, and needed only here

    try:
        document = yaml.safe_load(_read(path, "the client file"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not YAML: {error}") from error
    admin = document.get("admin") if isinstance(document, dict) else None
    if not isinstance(admin, dict):
        raise ConfigError(f"{path} has no section 'admin'")
    return _Section(path, admin, environment).config()


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror or error}") from error


_T = TypeVar("_T", bool, str)


class _Section:
    """The section `admin` of one file."""

    def __init__(self, path: Path, values: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._path = path
        self._values = values
        self._environment = environment

    def config(self) -> Config:
        target = self._required("endpoint")
        if self._value("insecureSkipVerify", False):
            raise self._wrong("insecureSkipVerify", "is not supported: name the certificate with caCertFilePath")
        insecure = self._value("insecure", False)
        ca = self._value("caCertFilePath", "")
        tls = TLS(_read(Path(ca), "caCertFilePath") if ca else None)
        return Config(target, None if insecure else tls, self._credentials(tls, insecure))

    def _credentials(self, tls: TLS, insecure: bool) -> TokenSource:
        match self._required("authType"):
            case "ClientSecret":
                return ClientCredentials(
                    self._required("tokenUrl"),
                    self._required("clientId"),
                    self._secret(),
                    scopes=self._words("scopes"),
                    audience=self._value("audience", ""),
                    tls=tls,
                    insecure=insecure,
                )
            case "ExternalCommand":
                command = self._words("command")
                if not command:
                    raise self._wrong("command", "is missing")
                return CommandToken(command)
            case other:
                raise self._wrong("authType", f"is {other!r}; it must be ClientSecret or ExternalCommand")

    def _secret(self) -> str:
        if location := self._value("clientSecretLocation", ""):
            secret = _read(Path(location), "clientSecretLocation").decode(errors="replace").strip()
            if not secret:
                raise self._wrong("clientSecretLocation", f"names an empty file, {location}")
            return secret
        if variable := self._value("clientSecretEnvVar", ""):
            secret = self._environment.get(variable, "")
            if not secret:
                raise self._wrong("clientSecretEnvVar", f"names {variable}, which is not set")
            return secret
        raise self._wrong("clientSecretLocation", "is missing")

    def _value(self, key: str, default: _T) -> _T:
        value = self._values.get(key)
        if value is None:
            return default
        if type(value) is not type(default):
            raise self._wrong(key, f"must be {'true or false' if isinstance(default, bool) else 'text'}")
        return value

    def _required(self, key: str) -> str:
        value = self._value(key, "")
        if not value:
            raise self._wrong(key, "is missing")
        return value

    def _words(self, key: str) -> list[str]:
        value = self._values.get(key) or []
        if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
            raise self._wrong(key, "must be a list of texts")
        return value

    def _wrong(self, key: str, problem: str) -> ConfigError:
        return ConfigError(f"{self._path}: admin.{key} {problem}")
