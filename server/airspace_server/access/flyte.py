"""Flyte's front doors about identity: AuthMetadataService, which clients ask before they can log in, and UserInfo."""

from collections.abc import Callable
from dataclasses import dataclass

from flyteidl.service import auth_pb2, identity_pb2

from airspace_server.access.call import Call
from airspace_server.access.oidc import DEVICE_GRANT

METADATA_KEY = "authorization"
"""The metadata key that a token comes under. flytekit's Pkce needs it to be said, whatever it is."""


@dataclass(frozen=True, slots=True)
class Login:
    """How clients get tokens: the endpoints of the issuer, and what to ask it for."""

    issuer: str
    token_endpoint: str
    jwks_uri: str
    authorization_endpoint: str = ""
    device_authorization_endpoint: str = ""
    client_id: str = "airspace"
    audience: str = ""
    scopes: tuple[str, ...] = ("all",)

    @property
    def grant_types(self) -> list[str]:
        """How tokens can be got there, as OAuth2 names it."""
        return [
            "client_credentials",
            *(["authorization_code", "refresh_token"] if self.authorization_endpoint else []),
            *([DEVICE_GRANT] if self.device_authorization_endpoint else []),
        ]


class AuthMetadataFlyte:
    """flyteidl.service.AuthMetadataService: public, since it is what a client needs before it can log in.

    `login` says how, or raises UNAVAILABLE while an external issuer cannot be asked.
    """

    def __init__(self, login: Callable[[], Login]) -> None:
        self._login = login

    def GetOAuth2Metadata(
        self, _request: auth_pb2.OAuth2MetadataRequest, _call: Call
    ) -> auth_pb2.OAuth2MetadataResponse:
        """Tell where tokens come from."""
        login = self._login()
        return auth_pb2.OAuth2MetadataResponse(
            issuer=login.issuer,
            token_endpoint=login.token_endpoint,
            authorization_endpoint=login.authorization_endpoint,
            device_authorization_endpoint=login.device_authorization_endpoint,
            jwks_uri=login.jwks_uri,
            scopes_supported=login.scopes,
            response_types_supported=["code"] if login.authorization_endpoint else [],
            code_challenge_methods_supported=["S256"] if login.authorization_endpoint else [],
            grant_types_supported=login.grant_types,
            token_endpoint_auth_methods_supported=["client_secret_basic"],
        )

    def GetPublicClientConfig(
        self, _request: auth_pb2.PublicClientAuthConfigRequest, _call: Call
    ) -> auth_pb2.PublicClientAuthConfigResponse:
        """Tell what to ask for, and how to send the token."""
        login = self._login()
        return auth_pb2.PublicClientAuthConfigResponse(
            client_id=login.client_id,
            redirect_uri="http://localhost:53593/callback",
            scopes=login.scopes,
            authorization_metadata_key=METADATA_KEY,
            audience=login.audience,
        )


class IdentityFlyte:
    """flyteidl.service.IdentityService."""

    def UserInfo(self, _request: identity_pb2.UserInfoRequest, call: Call) -> identity_pb2.UserInfoResponse:
        """Tell the caller who it is, from its verified token."""
        return identity_pb2.UserInfoResponse(
            subject=call.principal.member, name=call.principal.name, email=call.principal.email
        )
