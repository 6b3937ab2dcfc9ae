"""What an operator sets: flags of `airspace serve`, or environment variables with the prefix AIRSPACE_.

There is no setting that turns authentication or authorization off. Development is the default and stays on the loopback
interface; every other address needs production settings or the server does not start.
"""

import ipaddress
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from airspace_server.core import names
from airspace_server.core.loopback import is_loopback
from airspace_server.core.notifications import Reachable, email_problem


class SettingsError(ValueError):
    """The settings contradict each other or leave something open that must be decided. For the operator."""


class StartError(RuntimeError):
    """Something that a process needs is not there or does not come up. For the operator."""


MAX_WEIGHT: Final = 1000
"""Largest weight of a domain."""


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class Settings(BaseSettings):
    """The settings of every process of one server: they read the same ones and share the data folder."""

    model_config = SettingsConfigDict(env_prefix="AIRSPACE_", extra="forbid")

    data: Path
    """Where everything of this server is: database, keys, artifacts, work of tasks, client files."""
    mode: Literal["development", "production"] = "development"
    """Development seeds three accounts and needs no TLS; it listens on loopback only."""
    host: str = "127.0.0.1"
    """The address that every listener binds."""
    grpc_port: int = Field(8089, ge=0, le=65535)
    """Port of the admin listener, which Flyte's clients use for everything; 0 takes a free one."""
    http_port: int = Field(8088, ge=0, le=65535)
    """Port of artifact URLs and the token endpoint; 0 takes a free one."""
    execution_port: int = Field(8090, ge=0, le=65535)
    """Port of the execution listener where it is a process of its own; 0 takes a free one, and so does `serve`."""
    execution_target: str = ""
    """Where the admin process finds the execution listener; empty is this host and execution_port."""
    http_url: str = ""
    """The HTTP port's base URL as clients see it; empty makes it from host and http_port."""
    http_proxies: str = ""
    """Addresses or networks of reverse proxies, separated by commas, that say for whom they ask (X-Forwarded-For)."""
    database_url: str = ""
    """The database, as postgresql://USER:PASSWORD@HOST:PORT/NAME; empty is SQLite in the data folder."""
    tls_certificate: Path | None = None
    """PEM file of the certificate chain of every listener."""
    tls_key: Path | None = None
    """PEM file of its private key."""
    tls_roots: Path | None = None
    """PEM file of the authorities that the admin process trusts when it calls the execution listener over TLS."""
    tls_client_roots: Path | None = None
    """PEM file of the authorities of clients' certificates: the execution listener and mtls_port ask for one."""
    tls_client_accounts: Annotated[Mapping[str, str], NoDecode] = Field(default_factory=dict)
    """Which service accounts such certificates stand for: URI:NAME=ACCOUNT or DNS:NAME=ACCOUNT, separated by commas."""
    tls_client_certificate: Path | None = None
    """PEM file of the certificate chain that the admin process shows to the execution listener."""
    tls_client_key: Path | None = None
    """PEM file of its private key."""
    mtls_port: int | None = Field(None, ge=0, le=65535)
    """Port of one more admin listener, which asks clients for certificates; none if not set, 0 takes a free one."""
    domains: Annotated[tuple[str, ...], NoDecode] = ("development", "staging", "production")
    """The domains, separated by commas, in the order in which versions move through them."""
    built_in_issuer: bool | None = None
    """Whether service accounts get tokens here; must be said in production, and is so in development."""
    audience: str = "airspace"
    """The audience of the built-in issuer's tokens."""
    oidc_issuer: str = ""
    """URL of an external OIDC issuer whose tokens are accepted for users."""
    oidc_audience: str = ""
    """The audience that its tokens must be for."""
    oidc_groups_claim: str = "groups"
    """The claim that lists a user's groups."""
    oidc_member_claim: str = "sub"
    """The claim that a user's member id is made of."""
    oidc_client_id: str = "airspace"
    """The public client of the external issuer as which people log in with Flyte's clients."""
    oidc_scopes: str = "openid profile email offline_access"
    """What they ask it for, separated by spaces."""
    bootstrap_admin: str = ""
    """In production: the member that becomes the administrator when nobody is bound to anything yet."""
    shares: Annotated[Mapping[str, int], NoDecode] = Field(default_factory=dict)
    """Weights by which domains share a worker's slots: DOMAIN=N, separated by commas; empty gives the last one half."""
    slots: int = Field(default_factory=lambda: os.cpu_count() or 1, ge=1)
    """Task attempts that one worker runs at once."""
    smtp_host: str = ""
    """The mail server that notifications are handed to; empty sends no e-mail."""
    smtp_port: int = Field(587, ge=1, le=65535)
    """Its port."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection to it is encrypted; none is for a mail server on this machine."""
    smtp_sender: str = ""
    """The address that notifications come from."""
    smtp_username: str = ""
    """As whom this server logs in there; empty does not log in."""
    smtp_password_file: Path | None = None
    """The file that holds the password, for its owner alone."""
    webhook_networks: str = ""
    """Networks inside, with commas, that webhooks may lead to, over http too; all else must be public, and https."""
    calls_per_second: int = Field(200, ge=1, le=1_000_000)
    """How fast one caller's calls may come, in one process; ten seconds' worth at once."""
    project_calls_per_second: int = Field(500, ge=1, le=1_000_000)
    """The same of all calls about one project."""
    sandbox: bool | None = None
    """Whether tasks are shut in; must be said in production, and otherwise is so where the machine can."""

    @field_validator("http_proxies")
    @classmethod
    def _addresses(cls, proxies: str) -> str:
        named = [part.strip() for part in proxies.split(",") if part.strip()]
        for each in named:
            try:
                ipaddress.ip_network(each)
            except ValueError:
                raise ValueError(f"must be addresses or networks, separated by commas, and not {each}") from None
        return ",".join(named)

    @field_validator("webhook_networks")
    @classmethod
    def _reachable(cls, networks: str) -> str:
        named = [part.strip() for part in networks.split(",") if part.strip()]
        Reachable(named)
        return ",".join(named)

    @field_validator("database_url")
    @classmethod
    def _with_driver(cls, url: str) -> str:
        """Name the driver that this server has; what is wrong with a URL must not repeat it: it holds a password."""
        if not url:
            return url
        try:
            parsed = make_url(url)
        except (ArgumentError, ValueError):
            raise ValueError("must be a URL such as postgresql://user:password@host:5432/airspace") from None
        drivers = {"postgresql": "postgresql+psycopg", "sqlite": "sqlite"}
        if parsed.get_backend_name() not in drivers:
            raise ValueError("must be a postgresql:// URL")
        return parsed.set(drivername=drivers[parsed.get_backend_name()]).render_as_string(hide_password=False)

    @field_validator("tls_client_accounts", mode="before")
    @classmethod
    def _listed(cls, accounts: object) -> object:
        """Read the list; what is wrong with it is said with the entry: none is a secret."""
        if not isinstance(accounts, str):
            return accounts
        listed: dict[str, str] = {}
        for entry in filter(None, (part.strip() for part in accounts.split(","))):
            name, _, account = entry.rpartition("=")
            kind, _, value = name.partition(":")
            if kind not in ("URI", "DNS") or not value or names.account(account):
                raise ValueError(f"must be URI:NAME=ACCOUNT or DNS:NAME=ACCOUNT, separated by commas, and not {entry}")
            if kind == "DNS":
                name = f"DNS:{value.lower()}"
            if name in listed or "*" in name:
                raise ValueError(f"must name each certificate's name once, and whole: {entry}")
            listed[name] = account
        return listed

    @field_validator("shares", mode="before")
    @classmethod
    def _weighed(cls, shares: object) -> object:
        if not isinstance(shares, str):
            return shares
        weights: dict[str, int] = {}
        for entry in filter(None, (part.strip() for part in shares.split(","))):
            domain, _, weight = entry.partition("=")
            if not weight.isascii() or not weight.isdigit() or not 0 < int(weight) <= MAX_WEIGHT or domain in weights:
                raise ValueError(
                    f"must be DOMAIN=N, separated by commas, with N from 1 to {MAX_WEIGHT}, and not {entry}"
                )
            weights[domain] = int(weight)
        return weights

    @field_validator("domains", mode="before")
    @classmethod
    def _separated(cls, domains: object) -> object:
        return tuple(domain.strip() for domain in domains.split(",")) if isinstance(domains, str) else domains

    @field_validator("domains")
    @classmethod
    def _well_formed(cls, domains: tuple[str, ...]) -> tuple[str, ...]:
        if not domains or len(set(domains)) != len(domains) or any(names.domain(domain) for domain in domains):
            raise ValueError("must be different names of lower case letters, digits and inner hyphens, with commas")
        return domains

    @model_validator(mode="after")
    def _decided(self) -> Self:
        """Refuse anything that is not decided: no process can have such settings."""
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise SettingsError("tls_certificate and tls_key go together")
        if (self.tls_client_certificate is None) != (self.tls_client_key is None):
            raise SettingsError("tls_client_certificate and tls_client_key go together")
        if self.tls_client_certificate is not None and self.tls_roots is None:
            raise SettingsError("tls_client_certificate needs tls_roots: it is shown to listeners of those alone")
        if self.tls_client_roots is not None and self.tls_certificate is None:
            raise SettingsError("asking clients for certificates (tls_client_roots) needs tls_certificate and tls_key")
        if self.tls_client_roots is None and (self.tls_client_accounts or self.mtls_port is not None):
            raise SettingsError("tls_client_accounts and mtls_port need tls_client_roots: whose certificates count")
        if bool(self.oidc_issuer) != bool(self.oidc_audience):
            raise SettingsError("oidc_issuer and oidc_audience go together: tokens for anybody else must be refused")
        if not self.audience:
            raise SettingsError("audience must not be empty")
        if self.tls_client_accounts and not self.issues_tokens:
            raise SettingsError("tls_client_accounts names service accounts, which need built_in_issuer=true")
        if self.smtp_host and (problem := email_problem(self.smtp_sender)):
            raise SettingsError(f"smtp_host needs smtp_sender, which {problem}")
        if self.smtp_host and self.smtp_security == "none" and not is_loopback(self.smtp_host):
            raise SettingsError(f"e-mail goes to {self.smtp_host} encrypted: smtp_security must be starttls or tls")
        if bool(self.smtp_username) != (self.smtp_password_file is not None):
            raise SettingsError("smtp_username and smtp_password_file go together")
        if self.shares and set(self.shares) != set(self.domains):
            raise SettingsError(f"shares must name every domain and no other: {', '.join(self.domains)}")
        if self.mode == "development":
            if not self.loopback:
                raise SettingsError(
                    f"development mode listens on loopback only, not on {self.host}; set mode=production"
                )
            if self.built_in_issuer is False:
                raise SettingsError("development mode has the built-in issuer")
            return self
        if self.tls_certificate is None and not self.loopback:
            raise SettingsError(f"listening on {self.host} needs tls_certificate and tls_key")
        if not self.http_url and self.host in ("0.0.0.0", "::"):  # noqa: S104 -- compared, not bound
            raise SettingsError(f"listening on {self.host} needs http_url: clients must be told an address")
        if self.built_in_issuer is None:
            raise SettingsError("production needs built_in_issuer to be said: true or false")
        if self.sandbox is None:
            raise SettingsError("production needs sandbox to be said: true, or false if tasks may read all that it can")
        if not self.built_in_issuer and not self.oidc_issuer:
            raise SettingsError("production needs an issuer: oidc_issuer, or built_in_issuer=true")
        return self

    def require_apart(self) -> None:
        """Refuse what a process of its own cannot have: the others must know its ports beforehand.

        Raises SettingsError.
        """
        if not self.http_port or not self.grpc_port:
            raise SettingsError(
                "separate processes need a fixed http_port, which is part of every token's issuer, and a fixed "
                "grpc_port, where tasks call back"
            )

    def require_forwarding(self) -> None:
        """Refuse what an admin process cannot have that forwards to an execution listener. Raises SettingsError."""
        self.require_apart()
        if self.tls_certificate and self.tls_roots is None:
            raise SettingsError("the admin process needs tls_roots to call the execution listener over TLS")
        if self.tls_roots is None and not is_loopback(self.forwarded_to.rpartition(":")[0]):
            raise SettingsError(f"calling {self.forwarded_to} needs TLS, and so tls_roots: callers' tokens go there")
        if self.tls_client_roots is not None and self.tls_client_certificate is None:
            raise SettingsError(
                "the admin process needs tls_client_certificate and tls_client_key: the execution listener asks for "
                "certificates (tls_client_roots)"
            )

    @property
    def forwarded_to(self) -> str:
        """Where the admin process finds the execution listener."""
        return self.execution_target or self.address(self.execution_port)

    @property
    def loopback(self) -> bool:
        """Whether the listeners can be reached from this machine only."""
        return is_loopback(self.host)

    @property
    def issues_tokens(self) -> bool:
        """Whether the built-in issuer is on."""
        return self.mode == "development" or bool(self.built_in_issuer)

    @property
    def trusted(self) -> Path | None:
        """What the client files of development tell to trust: the named authorities, else the certificate itself."""
        return self.tls_roots or self.tls_certificate

    @property
    def weights(self) -> Mapping[str, int]:
        """How the domains share a worker's slots, in their order; the last one has as much as all others together."""
        others = len(self.domains) - 1
        last = self.domains[-1]
        return {domain: self.shares.get(domain, max(1, others if domain == last else 1)) for domain in self.domains}

    @property
    def database(self) -> str:
        """The database's SQLAlchemy URL."""
        return self.database_url or f"sqlite:///{self.data.absolute() / 'airspace.db'}"

    @property
    def grpc_endpoint(self) -> str:
        """Where clients find the admin listener: its port, on the host that clients are told for the HTTP port."""
        return _address(urlsplit(self.url(self.http_port)).hostname or self.host, self.grpc_port)

    @property
    def reachable(self) -> Reachable:
        """Where webhooks may go."""
        return Reachable(self.webhook_networks.split(",") if self.webhook_networks else ())

    def environment(self) -> dict[str, str]:
        """Return the variables from which another process, in whatever folder, reads the same settings."""
        values = self.model_dump(exclude_none=True)
        values["data"], values["domains"] = self.data.absolute(), ",".join(self.domains)
        values["shares"] = ",".join(f"{domain}={weight}" for domain, weight in self.shares.items())
        values["tls_client_accounts"] = ",".join(f"{name}={who}" for name, who in self.tls_client_accounts.items())
        return {f"AIRSPACE_{name.upper()}": str(value) for name, value in values.items()}

    def address(self, port: int) -> str:
        """Return host and port as gRPC wants them."""
        return _address(self.host, port)

    def url(self, http_port: int) -> str:
        """Return the base URL of the HTTP port as clients see it."""
        scheme = "https" if self.tls_certificate else "http"
        return self.http_url.rstrip("/") or f"{scheme}://{self.address(http_port)}"
