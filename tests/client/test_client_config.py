import datetime
import ipaddress
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
import yaml
from client_samples import PROJECT_PB, P
from client_servers import ScriptedServer, TokenEndpoint, needs_token
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from airspace.project.v1 import project_service_pb2 as project_pb
from airspace.project.v1 import project_service_pb2_grpc
from airspace_client import AirspaceClient, ClientCredentials, CommandToken, ConfigError, Unavailable
from airspace_client._config import find_config, read_config

FOUND = project_pb.GetProjectResponse(project=PROJECT_PB)


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a client file that is right but for the given changes; None takes a key away."""
    secret = tmp_path / "developer.secret"
    secret.write_text("s3cret\n")

    def write(**changes: object) -> Path:
        admin = {
            "endpoint": "dns:///127.0.0.1:8089",
            "insecure": True,
            "authType": "ClientSecret",
            "clientId": "developer",
            "clientSecretLocation": str(secret),
            "tokenUrl": "http://127.0.0.1:8088/oauth2/token",
            "scopes": ["all"],
        } | changes
        path = tmp_path / "client.yaml"
        path.write_text(yaml.safe_dump({"admin": {k: v for k, v in admin.items() if v is not None}, "logger": {}}))
        return path

    return write


def test_a_client_file_is_all_that_a_client_needs(
    write: Callable[..., Path], server: ScriptedServer, endpoint: TokenEndpoint
) -> None:
    endpoint.secret = "s3cret"
    server.script("GetProject", needs_token({"token-1"}, FOUND))
    path = write(endpoint=f"dns:///{server.target}", tokenUrl=endpoint.url)
    with AirspaceClient.from_config(path) as client:
        assert client.projects.get(P).id == P
        assert client.target == f"dns:///{server.target}"
    assert endpoint.forms[0]["scope"] == ["all"]


def test_the_same_file_configures_flytes_own_client(write: Callable[..., Path]) -> None:
    from flytekit.configuration import PlatformConfig

    path = write()
    theirs = PlatformConfig.auto(str(path))
    ours = read_config(path)
    assert ours.target.removeprefix("dns:///") == theirs.endpoint
    assert (ours.tls is None) is theirs.insecure
    assert isinstance(ours.credentials, ClientCredentials)
    assert (theirs.client_id, theirs.client_credentials_secret, theirs.scopes) == ("developer", "s3cret", ["all"])


def test_a_missing_insecure_means_tls(write: Callable[..., Path]) -> None:
    assert read_config(write(insecure=None)).tls is not None


def test_an_external_command_is_enough(write: Callable[..., Path]) -> None:
    path = write(authType="ExternalCommand", command=["echo", "from-a-command"], clientSecretLocation=None)
    credentials = read_config(path).credentials
    assert isinstance(credentials, CommandToken)
    assert credentials.token().value == "from-a-command"


def test_a_secret_may_stand_in_the_environment(write: Callable[..., Path], endpoint: TokenEndpoint) -> None:
    path = write(clientSecretLocation=None, clientSecretEnvVar="MY_SECRET", tokenUrl=endpoint.url)
    assert read_config(path, {"MY_SECRET": endpoint.secret}).credentials.token().value == "token-1"
    with pytest.raises(ConfigError, match=r"admin\.clientSecretEnvVar names MY_SECRET, which is not set"):
        read_config(path, {})


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"endpoint": None}, "admin.endpoint is missing"),
        ({"endpoint": 8089}, "admin.endpoint must be text"),
        ({"insecure": "yes"}, "admin.insecure must be true or false"),
        ({"insecureSkipVerify": True}, "admin.insecureSkipVerify is not supported"),
        ({"authType": None}, "admin.authType is missing"),
        ({"authType": "Pkce"}, "admin.authType is 'Pkce'; it must be ClientSecret or ExternalCommand"),
        ({"clientId": None}, "admin.clientId is missing"),
        ({"tokenUrl": None}, "admin.tokenUrl is missing"),
        ({"tokenUrl": "http://tokens.example.com", "insecure": False}, "may not go to 'http://tokens.example.com'"),
        ({"clientSecretLocation": None}, "admin.clientSecretLocation is missing"),
        ({"clientSecretLocation": "/nowhere/secret"}, "clientSecretLocation /nowhere/secret cannot be read: No such"),
        ({"clientSecretLocation": "/dev/null"}, "admin.clientSecretLocation names an empty file"),
        ({"caCertFilePath": "/nowhere/ca.pem"}, "caCertFilePath /nowhere/ca.pem cannot be read"),
        ({"scopes": "all"}, "admin.scopes must be a list of texts"),
        ({"authType": "ExternalCommand"}, "admin.command is missing"),
        ({"authType": "ExternalCommand", "command": ["a", 1]}, "admin.command must be a list of texts"),
    ],
)
def test_a_wrong_client_file_says_what_is_wrong(
    changes: dict[str, object], problem: str, write: Callable[..., Path]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read_config(write(**changes))
    assert problem in str(caught.value)
    assert caught.value.code == ""


@pytest.mark.parametrize("content", [b"admin: [", b"", b"- 1", b"admin: text", b"other: {}", b"\xff\xfe\x00"])
def test_a_file_that_is_no_client_file_is_named(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "client.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=str(path)):
        read_config(path)


def test_a_client_file_is_looked_for_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"pass --config.*AIRSPACE_CONFIG.*AIRSPACE_DATA.*airspace-data"):
        find_config(None, {})
    here = Path("airspace-data/clients/admin.yaml")
    here.parent.mkdir(parents=True)
    here.touch()
    everything = {"AIRSPACE_CONFIG": "/c.yaml", "AIRSPACE_DATA": "/data"}
    assert find_config("/given.yaml", everything) == Path("/given.yaml")
    assert find_config(None, everything) == Path("/c.yaml")
    assert find_config(None, {"AIRSPACE_DATA": "/data"}) == Path("/data/clients/admin.yaml")
    assert find_config(None, {"AIRSPACE_CONFIG": "", "AIRSPACE_DATA": ""}) == here


def test_a_named_data_folder_without_a_client_file_is_not_passed_over(tmp_path: Path) -> None:
    path = find_config(None, {"AIRSPACE_DATA": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"admin\.yaml cannot be read"):
        read_config(path)


@pytest.fixture
def tls_server(tmp_path: Path):
    """A server with a certificate that only `ca.pem` vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "airspace")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    (tmp_path / "ca.pem").write_bytes(pem)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )

    class Projects(project_service_pb2_grpc.ProjectServiceServicer):
        def GetProject(self, _request, _context):
            return FOUND

    server = grpc.server(ThreadPoolExecutor(2))
    project_service_pb2_grpc.add_ProjectServiceServicer_to_server(Projects(), server)
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(private, pem)]))
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


def test_a_server_is_believed_only_with_a_certificate_that_the_file_vouches_for(
    tls_server: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    command = {"authType": "ExternalCommand", "command": ["echo", "t"], "endpoint": tls_server, "insecure": False}
    with AirspaceClient.from_config(write(**command, caCertFilePath=str(tmp_path / "ca.pem"))) as client:
        assert client.projects.get(P).id == P
    with AirspaceClient.from_config(write(**command), timeout=2) as client, pytest.raises(Unavailable):
        client.projects.get(P)


def test_another_machine_is_reached_only_encrypted_unless_one_insists(
    tls_server: str, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airspace_client import _channel

    monkeypatch.setattr(_channel, "is_loopback", lambda _target: False)
    server.always("GetProject", FOUND)
    with AirspaceClient.connect(server.target, credentials="t", timeout=2) as client, pytest.raises(Unavailable):
        client.projects.get(P)
    assert not server.calls
    with AirspaceClient.connect(server.target, credentials="t", tls=False) as client:
        client.projects.get(P)
