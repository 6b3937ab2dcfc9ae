"""What development mode begins with."""

import stat
from pathlib import Path

import pytest
import yaml

from airspace_server.access.decide import Need, holds
from airspace_server.access.identity import Principal
from airspace_server.access.issuer import Issuer
from airspace_server.access.keys import KeyFileError, signing_key
from airspace_server.access.policy import PolicyStore
from airspace_server.access.seed import ClientFilesError, seed_development, write_client_files
from airspace_server.core.permissions import Permission
from airspace_server.core.scope import ScopePattern

NAMES = ("admin", "developer", "releaser")


def test_the_first_start_makes_three_accounts_that_can_log_in(database, clock, tmp_path: Path):
    secrets = seed_development(database, 5)
    assert tuple(secrets) == NAMES
    policy = PolicyStore(database)
    policy.refresh()
    snapshot = policy.snapshot()
    assert snapshot.service_accounts.keys() == set(NAMES)
    issuer = Issuer(database, signing_key(tmp_path / "keys"), "http://127.0.0.1:8088", "airspace", clock)
    for name, secret in secrets.items():
        assert issuer.token(name, secret, "all").access_token

    def may(name: str, permission: Permission, domain: str) -> bool:
        need = Need(permission, ScopePattern("maps", domain))
        return holds(Principal(f"service-account:{name}"), need, snapshot.grants)

    assert all(may("admin", permission, domain) for permission in Permission for domain in ("development", "*"))
    assert may("developer", Permission.REGISTRY_REGISTER, "development")
    assert not may("developer", Permission.REGISTRY_REGISTER, "production")
    assert not may("developer", Permission.PROMOTION_PROMOTE, "development")
    assert may("releaser", Permission.PROMOTION_PROMOTE, "production")
    assert not may("releaser", Permission.ACCESS_MANAGE, "production")


def test_a_later_start_makes_and_changes_nothing(database):
    seed_development(database, 5)
    policy = PolicyStore(database)
    policy.refresh()
    before = policy.snapshot()
    assert seed_development(database, 6) == {}
    policy.refresh()
    assert policy.snapshot() is before


def test_a_server_that_somebody_set_up_gets_no_development_accounts(setup):
    setup.bind("user:root", "admin")
    assert seed_development(setup.database, 5) == {}
    setup.policy.refresh()
    assert setup.policy.snapshot().service_accounts == {}


def test_the_client_files_are_what_clients_read(tmp_path: Path):
    folder = tmp_path / "data" / "clients"
    secrets = dict.fromkeys(NAMES, "s3cret")
    write_client_files(folder, secrets, "127.0.0.1:8089", "http://127.0.0.1:8088/")
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in NAMES for kind in ("yaml", "secret")
    }
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (folder / "developer.secret").read_text() == "s3cret"
    assert yaml.safe_load((folder / "developer.yaml").read_text()) == {
        "admin": {
            "endpoint": "dns:///127.0.0.1:8089",
            "insecure": True,
            "authType": "ClientSecret",
            "clientId": "developer",
            "clientSecretLocation": str(folder / "developer.secret"),
            "scopes": ["all"],
            "tokenUrl": "http://127.0.0.1:8088/oauth2/token",
        },
        "console": {"endpoint": "http://127.0.0.1:8088"},
    }


def test_a_path_of_any_letters_survives_the_yaml(tmp_path: Path):
    folder = tmp_path / 'a "b": #c \u00fc\U0001f600'
    write_client_files(folder, dict.fromkeys(NAMES, "x"), "127.0.0.1:1", "http://127.0.0.1:2")
    config = yaml.safe_load((folder / "admin.yaml").read_text())
    assert config["admin"]["clientSecretLocation"] == str(folder / "admin.secret")


def test_a_relative_folder_becomes_an_absolute_path(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_client_files(Path("clients"), dict.fromkeys(NAMES, "x"), "127.0.0.1:1", "http://127.0.0.1:2")
    config = yaml.safe_load((tmp_path / "clients" / "admin.yaml").read_text())
    assert Path(config["admin"]["clientSecretLocation"]) == tmp_path / "clients" / "admin.secret"


def test_a_later_start_writes_new_ports_and_keeps_the_secrets(tmp_path: Path):
    write_client_files(tmp_path, dict.fromkeys(NAMES, "s3cret"), "127.0.0.1:1", "http://127.0.0.1:2")
    write_client_files(tmp_path, {}, "127.0.0.1:3", "http://127.0.0.1:4")
    assert {(tmp_path / f"{name}.secret").read_text() for name in NAMES} == {"s3cret"}
    assert yaml.safe_load((tmp_path / "admin.yaml").read_text())["admin"]["endpoint"] == "dns:///127.0.0.1:3"


def test_new_accounts_get_their_new_secrets_over_old_files(tmp_path: Path):
    write_client_files(tmp_path, dict.fromkeys(NAMES, "old"), "127.0.0.1:1", "http://127.0.0.1:2")
    write_client_files(tmp_path, dict.fromkeys(NAMES, "new"), "127.0.0.1:1", "http://127.0.0.1:2")
    assert {(tmp_path / f"{name}.secret").read_text() for name in NAMES} == {"new"}


def test_a_lost_secret_is_told_with_what_to_do(tmp_path: Path):
    write_client_files(tmp_path, dict.fromkeys(NAMES, "s3cret"), "127.0.0.1:1", "http://127.0.0.1:2")
    (tmp_path / "developer.secret").unlink()
    with pytest.raises(ClientFilesError, match=r"developer\.secret is gone.*Put a copy of it back"):
        write_client_files(tmp_path, {}, "127.0.0.1:1", "http://127.0.0.1:2")


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path):
    write_client_files(tmp_path, dict.fromkeys(NAMES, "s3cret"), "127.0.0.1:1", "http://127.0.0.1:2")
    (tmp_path / "admin.secret").chmod(0o644)
    with pytest.raises(KeyFileError, match="open to other users"):
        write_client_files(tmp_path, {}, "127.0.0.1:1", "http://127.0.0.1:2")
