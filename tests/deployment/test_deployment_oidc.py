"""Users of an external OpenID Connect issuer, in production: bound by their groups, or refused."""

import time
from collections.abc import Iterator

import grpc
import pytest
from deployment_issuer import ForeignIssuer
from deployment_processes import Deployment, Ended, Wire
from flyteidl.service import auth_pb2, identity_pb2
from joserfc.jwk import RSAKey

from airspace.access.v1 import access_service_pb2 as access_pb
from airspace.project.v1 import project_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2

PROJECTS = "/airspace.project.v1.ProjectService"
ACCESS = "/airspace.access.v1.AccessService"
GET = f"{PROJECTS}/GetProject"
VISION = pb.GetProjectRequest(project="vision")


@pytest.fixture(scope="module")
def issuer() -> Iterator[ForeignIssuer]:
    with ForeignIssuer() as serving:
        yield serving


@pytest.fixture(scope="module")
def production(issuer: ForeignIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """An admin process that knows nobody but the issuer's users, and of those one administrator."""
    deployment = Deployment(
        tmp_path_factory.mktemp("oidc"),
        mode="production",
        sandbox="false",
        built_in_issuer="false",
        oidc_issuer=issuer.url,
        oidc_audience="airspace",
        bootstrap_admin="user:root",
    )
    try:
        deployment.start("admin")
        with Wire(deployment.admin, issuer.token("root")) as root:
            root.call(f"{PROJECTS}/CreateProject", pb.CreateProjectRequest(project="vision"), pb.CreateProjectResponse)
            pattern = identifiers_pb2.ScopePattern(project="vision", domain="development")
            request = access_pb.CreateBindingRequest(member="group:cv", role="contributor", pattern=pattern)
            root.call(f"{ACCESS}/CreateBinding", request, access_pb.CreateBindingResponse)
        yield deployment
        assert deployment.stop("admin") == 0
    finally:
        deployment.discard()


def test_a_user_is_what_their_groups_are_bound_to(issuer: ForeignIssuer, production: Deployment):
    with Wire(production.admin, issuer.token("ann", "cv", "everybody", name="Ann")) as ann:
        assert ann.call(GET, VISION, pb.GetProjectResponse).project.id == "vision"
        me = ann.call(f"{ACCESS}/WhoAmI", access_pb.WhoAmIRequest(), access_pb.WhoAmIResponse)
        assert (me.principal, list(me.groups)) == ("user:ann", ["group:cv", "group:everybody"])
        assert [(binding.member, binding.role) for binding in me.bindings] == [("group:cv", "contributor")]
        request = pb.ArchiveProjectRequest(project="vision")
        denied = ann.raw(f"{PROJECTS}/ArchiveProject", request)
        assert (denied.code, denied.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
        user = ann.call(
            "/flyteidl.service.IdentityService/UserInfo", identity_pb2.UserInfoRequest(), identity_pb2.UserInfoResponse
        )
        assert user.name == "Ann"


def test_a_user_whom_nothing_is_bound_to_may_nothing(issuer: ForeignIssuer, production: Deployment):
    for groups in ((), ("sales",), ("user:root",), ("CV",)):
        with Wire(production.admin, issuer.token("bob", *groups)) as bob:
            denied = bob.raw(GET, VISION)
            assert (denied.code, denied.info.reason) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_MISSING")
            missing = bob.raw(GET, pb.GetProjectRequest(project="nobody"))
            assert missing.message == denied.message.replace("vision", "nobody")
            listed = bob.call(f"{PROJECTS}/ListProjects", pb.ListProjectsRequest(), pb.ListProjectsResponse)
            assert not listed.projects


def test_a_token_that_is_not_for_this_server_is_nobodys(issuer: ForeignIssuer, production: Deployment):
    thief = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": issuer.key.kid})
    for token, reason in (
        (issuer.token("root", aud="another"), "TOKEN_INVALID"),
        (issuer.token("root", iss="http://127.0.0.1:1"), "TOKEN_INVALID"),
        (issuer.token("root", key=thief), "TOKEN_INVALID"),
        (issuer.token("root", exp=int(time.time()) - 3600), "TOKEN_EXPIRED"),
        (issuer.token("root", sub=""), "TOKEN_INVALID"),
    ):
        with Wire(production.admin, token) as wire:
            refused = wire.raw(GET, VISION)
            assert isinstance(refused, Ended)
            assert (refused.code, refused.info.reason) == (grpc.StatusCode.UNAUTHENTICATED, reason)


def test_nothing_of_development_is_there_and_clients_are_told_where_to_log_in(
    issuer: ForeignIssuer, production: Deployment
):
    assert not (production.data / "clients").exists()
    with Wire(production.admin) as anybody:
        method = "/flyteidl.service.AuthMetadataService/GetOAuth2Metadata"
        told = anybody.call(method, auth_pb2.OAuth2MetadataRequest(), auth_pb2.OAuth2MetadataResponse)
        assert told.issuer == issuer.url
