"""What a server refuses to start on: one clear line for the operator, exit code 2, and nothing listens."""

import os
import re
import socket
import stat
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from click.testing import CliRunner
from deployment_processes import BIN, environment, free_ports
from deployment_tls import certificate

from airspace_server.commands import serve
from airspace_server.settings import Settings

FREE = ("--grpc-port", "0", "--http-port", "0", "--execution-port", "0")


@dataclass(frozen=True)
class Case:
    """Settings, and what the operator must be told; a start fills in the {words}."""

    says: str
    settings: Mapping[str, str] = field(default_factory=dict)
    flags: tuple[str, ...] = FREE
    part: tuple[str, ...] = ()


SETTINGS = {
    "another address in development": Case("loopback only", {"host": "0.0.0.0"}),
    "no address at all": Case("loopback only", {"host": ""}),
    "a certificate without its key": Case("tls_certificate and tls_key go together", {"tls_certificate": "c.pem"}),
    "a key without its certificate": Case("tls_certificate and tls_key go together", {"tls_key": "k.pem"}),
    "another issuer without an audience": Case("oidc_audience go together", {"oidc_issuer": "https://issuer.example"}),
    "an audience without an issuer": Case("oidc_audience go together", {"oidc_audience": "airspace"}),
    "no audience of its own": Case("audience must not be empty", {"audience": ""}),
    "development without its issuer": Case("built-in issuer", {"built_in_issuer": "false"}),
    "production that does not say who issues tokens": Case("built_in_issuer", {"mode": "production"}),
    "production that does not say whether tasks are shut in": Case(
        "sandbox", {"mode": "production", "built_in_issuer": "true"}
    ),
    "production with nobody who issues tokens": Case(
        "needs an issuer", {"mode": "production", "built_in_issuer": "false", "sandbox": "false"}
    ),
    "production on every address without TLS": Case(
        "tls_certificate", {"mode": "production", "built_in_issuer": "true", "host": "0.0.0.0"}
    ),
    "a mode that there is not": Case("setting mode:", {"mode": "insecure"}),
    "a port that is no number": Case("setting http_port:", {"http_port": "many"}, ()),
    "a domain that no domain can be called": Case("setting domains:", {"domains": "development,Production"}),
    "a domain twice": Case("setting domains:", {"domains": "development,development"}),
    "no domain": Case("setting domains:", {"domains": ""}),
    "domains as a list in JSON": Case("setting domains:", {"domains": '["development"]'}),
    "a share that is no number": Case("setting shares:", {"shares": "production=half"}),
    "a share of nothing": Case("setting shares:", {"shares": "production=0"}),
    "a domain with two shares": Case("setting shares:", {"shares": "production=1,production=2"}),
    "shares of some domains": Case("shares must name every domain", {"shares": "production=1"}),
    "a share of a domain that there is not": Case(
        "shares must name every domain", {"shares": "development=1,staging=1,production=1,lab=1"}
    ),
    "mail from nobody": Case("needs smtp_sender", {"smtp_host": "127.0.0.1"}),
    "mail from what is no address": Case(
        "plain e-mail address", {"smtp_host": "127.0.0.1", "smtp_sender": "a@example.com\r\nBcc: b@example.com"}
    ),
    "mail in plain text to another machine": Case(
        "must be starttls or tls",
        {"smtp_host": "mail.example", "smtp_sender": "a@example.com", "smtp_security": "none"},
    ),
    "a mail password without a user": Case("go together", {"smtp_password_file": "password"}),
    "webhooks to what is no network": Case("setting webhook_networks:", {"webhook_networks": "example.com"}),
    "webhooks to where clouds tell secrets": Case("link-local", {"webhook_networks": "10.0.0.0/8,169.254.0.0/16"}),
    "everybody as a proxy": Case("setting http_proxies:", {"http_proxies": "*"}),
    "a proxy without its address": Case("setting http_proxies:", {"http_proxies": "127.0.0.1, proxy.example"}),
    "another kind of database": Case("setting database_url:", {"database_url": "mysql://u:s3cret@localhost/db"}),
    "a database URL that is none": Case("setting database_url:", {"database_url": "s3cret"}),
    "a database port that is none": Case("setting database_url:", {"database_url": "postgresql://u:s3cret@h:p/db"}),
    "a client key without its certificate": Case("tls_client_key go together", {"tls_client_key": "k.pem"}),
    "a certificate to show to servers that nobody vouches for": Case(
        "needs tls_roots", {"tls_client_certificate": "c.pem", "tls_client_key": "k.pem"}
    ),
    "clients asked for certificates in plain text": Case("needs tls_certificate", {"tls_client_roots": "c.pem"}),
    "a port for certificates that nobody vouches for": Case("need tls_client_roots", {"mtls_port": "0"}),
    "accounts of certificates that nobody vouches for": Case(
        "need tls_client_roots", {"tls_client_accounts": "URI:spiffe://example.org/ci=ci"}
    ),
    "accounts of certificates and no issuer of accounts": Case(
        "built_in_issuer=true",
        {
            "mode": "production",
            "built_in_issuer": "false",
            "oidc_issuer": "https://issuer.example",
            "oidc_audience": "airspace",
            "tls_client_accounts": "URI:spiffe://example.org/ci=ci",
            **dict.fromkeys(("tls_certificate", "tls_key", "tls_client_roots"), "c.pem"),
        },
    ),
    **{
        f"an account of a certificate as {entry}": Case("setting tls_client_accounts:", {"tls_client_accounts": entry})
        for entry in (
            "spiffe://example.org/ci=ci",
            "CN:ci=ci",
            "dns:ci.example.org=ci",
            "URI:=ci",
            "URI:spiffe://example.org/ci",
            "URI:spiffe://example.org/ci=",
            "URI:spiffe://example.org/ci=Not An Account",
            "DNS:*.example.org=ci",
            "DNS:ci.example.org=ci, DNS:CI.example.org=runner",
        )
    },
}
"""What the settings alone show."""
PROCESSES = {
    "a certificate that is not there": Case("nowhere.pem", {"tls_certificate": "{nowhere}", "tls_key": "{key}"}),
    "the key of another certificate": Case("in PEM", {"tls_certificate": "{cert}", "tls_key": "{other_key}"}),
    "a certificate that has expired": Case("expired on", {"tls_certificate": "{expired}", "tls_key": "{expired_key}"}),
    "a certificate of tomorrow": Case("is valid from", {"tls_certificate": "{future}", "tls_key": "{future_key}"}),
    "a TLS key that others may read": Case(
        "is open to other users", {"tls_certificate": "{cert}", "tls_key": "{exposed_key}"}
    ),
    "an admin process that trusts what is no certificate": Case(
        "holds no certificates", {"tls_certificate": "{cert}", "tls_key": "{key}", "tls_roots": "{key}"}, (), ("admin",)
    ),
    "an admin process that trusts what has expired alone": Case(
        "none is valid today",
        {"tls_certificate": "{cert}", "tls_key": "{key}", "tls_roots": "{expired}"},
        (),
        ("admin",),
    ),
    "an admin process that would send tokens in plain text": Case(
        "needs TLS", {"execution_target": "execution.example:8090"}, (), ("admin",)
    ),
    "an administrator that is no member": Case(
        "bootstrap_admin",
        {"mode": "production", "built_in_issuer": "true", "sandbox": "false", "bootstrap_admin": "root"},
    ),
    "a database that does not answer": Case(
        "the database cannot be used", {"database_url": "postgresql://u:s3cret@127.0.0.1:{closed}/db"}
    ),
    "a key file that others may read": Case("is open to other users", {"data": "{exposed}"}),
    "a gRPC port that is in use": Case("cannot listen on 127.0.0.1:{used}", {}, ("--grpc-port", "{used}", *FREE[2:])),
    "an HTTP port that is in use": Case("cannot listen on 127.0.0.1:{used}", {}, (*FREE[:2], "--http-port", "{used}")),
    "an execution process without a fixed HTTP port": Case("http_port", {}, FREE, ("execution",)),
    "an admin process with TLS that trusts nobody": Case(
        "tls_roots", {"tls_certificate": "{cert}", "tls_key": "{key}"}, (), ("admin",)
    ),
    "authorities of clients that are none": Case(
        "holds no certificates", {"tls_certificate": "{cert}", "tls_key": "{key}", "tls_client_roots": "{key}"}
    ),
    "an admin process with nothing to show where certificates are asked for": Case(
        "needs tls_client_certificate",
        {"tls_certificate": "{cert}", "tls_key": "{key}", "tls_roots": "{cert}", "tls_client_roots": "{cert}"},
        (),
        ("admin",),
    ),
    "an admin process that forwards calls as somebody": Case(
        "must not have DNS:localhost",
        {
            **dict.fromkeys(("tls_certificate", "tls_roots", "tls_client_roots", "tls_client_certificate"), "{cert}"),
            **dict.fromkeys(("tls_key", "tls_client_key"), "{key}"),
            "tls_client_accounts": "URI:spiffe://example.org/ci=ci, DNS:LocalHost=admin",
        },
        (),
        ("admin",),
    ),
}
"""What only a start shows, each in a process of its own."""
_AT_ONCE = 2
_OF_GRPC = re.compile(r"[EWI][0-9]{4} ")  # gRPC's own log, beside ours in JSON


def check(code: int, out: str, err: str, says: str) -> None:
    told = [line for line in err.splitlines() if not line.startswith("{") and not _OF_GRPC.match(line)]
    assert code == 2, err
    assert len(told) == 1, err
    assert told[0].startswith("error: ")
    assert says in told[0]
    assert "Traceback" not in err
    assert "s3cret" not in err
    assert "ready" not in out


@pytest.mark.parametrize("name", SETTINGS)
def test_settings_are_refused_that_have(name: str, tmp_path: Path):
    case = SETTINGS[name]
    settings = {f"AIRSPACE_{key.upper()}": value for key, value in case.settings.items()}
    unset = dict.fromkeys((each for each in os.environ if each.startswith("AIRSPACE_")), None)
    ended = CliRunner().invoke(serve, ["--data", str(tmp_path / "data"), *case.flags], env={**unset, **settings})
    check(ended.exit_code, ended.stdout, ended.stderr, case.says)
    assert not (tmp_path / "data").exists()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("refused")


@pytest.fixture(scope="module")
def outcomes(folder: Path) -> Iterator[dict[str, tuple[int, str, str, str]]]:
    """Every case's exit code, stdout, stderr and what it was to say; some processes run side by side."""
    certificate(folder / "cert.pem", folder / "key.pem")
    certificate(folder / "other.pem", folder / "other-key.pem")
    certificate(folder / "expired.pem", folder / "expired-key.pem", begins=-3, days=2)
    certificate(folder / "future.pem", folder / "future-key.pem", begins=1)
    exposed_key = folder / "exposed-key.pem"
    exposed_key.write_bytes((folder / "key.pem").read_bytes())
    exposed_key.chmod(0o640)
    exposed = folder / "exposed" / "keys"
    exposed.mkdir(parents=True)
    (exposed / "page-tokens.key").write_bytes(os.urandom(32))
    (exposed / "page-tokens.key").chmod(0o644)
    with socket.socket() as used:
        used.bind(("127.0.0.1", 0))
        used.listen()
        words = {
            "cert": folder / "cert.pem",
            "key": folder / "key.pem",
            "other_key": folder / "other-key.pem",
            "expired": folder / "expired.pem",
            "expired_key": folder / "expired-key.pem",
            "future": folder / "future.pem",
            "future_key": folder / "future-key.pem",
            "exposed_key": exposed_key,
            "nowhere": folder / "nowhere.pem",
            "exposed": folder / "exposed",
            "used": used.getsockname()[1],
            "closed": free_ports(1)[0],
        }

        def run(place: int, case: Case) -> tuple[int, str, str, str]:
            settings = {"data": str(folder / f"data{place}"), **case.settings}
            ended = subprocess.run(
                [BIN / "airspace", "serve", *(flag.format(**words) for flag in case.flags), *case.part],
                env=environment({key: value.format(**words) for key, value in settings.items()}),
                capture_output=True,
                text=True,
                timeout=120,
            )
            return ended.returncode, ended.stdout, ended.stderr, case.says.format(**words)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            yield dict(zip(PROCESSES, pool.map(run, range(len(PROCESSES)), PROCESSES.values()), strict=True))


@pytest.mark.parametrize("name", PROCESSES)
def test_a_server_does_not_start_with(outcomes: dict[str, tuple[int, str, str, str]], name: str):
    check(*outcomes[name])


@pytest.mark.parametrize(
    ("named", "endpoint"),
    [
        ({}, "127.0.0.1:7000"),
        ({"host": "::1"}, "[::1]:7000"),
        ({"http_url": "https://airspace.example"}, "airspace.example:7000"),
        ({"http_url": "https://airspace.example:8443/base/"}, "airspace.example:7000"),
        ({"http_url": "https://[2001:db8::1]:8443"}, "[2001:db8::1]:7000"),
    ],
)
def test_tasks_call_back_at_the_host_that_clients_are_told(named: dict[str, str], endpoint: str, tmp_path: Path):
    assert Settings(data=tmp_path, grpc_port=7000, **named).grpc_endpoint == endpoint


def test_a_process_reads_what_another_hands_on(monkeypatch, tmp_path: Path):
    settings = Settings(
        data=tmp_path,
        mode="production",
        built_in_issuer=True,
        sandbox=True,
        host="0.0.0.0",
        tls_certificate=tmp_path / "c.pem",
        tls_key=tmp_path / "k.pem",
        oidc_issuer="https://issuer.example",
        oidc_audience="airspace",
        domains=("dev", "prod"),
        shares={"dev": 1, "prod": 3},
        tls_client_roots=tmp_path / "r.pem",
        tls_client_accounts={"URI:https://example.org/?team=ci": "ci", "DNS:runner.example.org": "runner"},
        mtls_port=8443,
        http_url="https://airspace.example",
        database_url="postgresql://u:s3cret@127.0.0.1/db",
        grpc_port=4443,
        smtp_host="mail.example",
        smtp_sender="airspace@example.com",
        smtp_username="airspace",
        smtp_password_file=tmp_path / "password",
        webhook_networks="10.1.0.0/16, 10.2.0.0/16",
    )
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)
    assert Settings() == settings


def test_domains_are_said_with_commas_and_a_database_without_a_driver(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("AIRSPACE_DOMAINS", "dev, prod")
    monkeypatch.setenv("AIRSPACE_DATABASE_URL", "postgresql://u:s3cret@127.0.0.1/db")
    settings = Settings(data=tmp_path)
    assert settings.domains == ("dev", "prod")
    assert settings.database == "postgresql+psycopg://u:s3cret@127.0.0.1/db"


def test_accounts_of_certificates_are_said_with_commas(tmp_path: Path):
    said = " URI:https://example.org/?team=ci=ci ,DNS:Runner.Example.org=runner,"
    files = dict.fromkeys(("tls_certificate", "tls_key", "tls_client_roots"), tmp_path / "c.pem")
    assert Settings(data=tmp_path, tls_client_accounts=said, **files).tls_client_accounts == {
        "URI:https://example.org/?team=ci": "ci",
        "DNS:runner.example.org": "runner",
    }


def test_what_a_server_keeps_is_its_owners_alone(folder: Path, outcomes: dict[str, tuple[int, str, str, str]]):
    """Also when it was stopped by a port that somebody has: by then it has made its keys."""
    data = folder / f"data{list(PROCESSES).index('a gRPC port that is in use')}"
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    keys = list((data / "keys").iterdir())
    assert keys
    assert {stat.S_IMODE(path.stat().st_mode) for path in keys} == {0o600}
