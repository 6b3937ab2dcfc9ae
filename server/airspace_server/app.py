"""Puts a server together from its settings: the only module that knows every part.

What processes there are, and how they start and stop, is in processes.py.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from flyteidl.service import admin_pb2, auth_pb2, dataproxy_pb2, identity_pb2, signal_pb2
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute, Route

from airspace.access.v1 import access_service_pb2
from airspace.audit.v1 import audit_service_pb2
from airspace.execution.v1 import execution_service_pb2
from airspace.launchplan.v1 import launch_plan_service_pb2
from airspace.notification.v1 import notification_service_pb2
from airspace.project.v1 import project_service_pb2
from airspace.promotion.v1 import promotion_service_pb2
from airspace.reference.v1 import reference_service_pb2
from airspace.registry.v1 import registry_service_pb2
from airspace.settings.v1 import settings_service_pb2
from airspace_server import certificates
from airspace_server.access import http as token_http
from airspace_server.access import keys
from airspace_server.access.authenticate import Authenticator, Certificate
from airspace_server.access.executions import ExecutionIssuer
from airspace_server.access.flyte import AuthMetadataFlyte, IdentityFlyte, Login
from airspace_server.access.flyte_rules import flyte_rules
from airspace_server.access.issuer import Issuer
from airspace_server.access.oidc import OidcIssuer
from airspace_server.access.peers import Peers
from airspace_server.access.policy import PolicyStore
from airspace_server.access.rules import native_rules
from airspace_server.access.service import AccessService
from airspace_server.access.trusted import BuiltInIssuer, TrustedIssuer
from airspace_server.access.usage import Usage
from airspace_server.admin.flyte import AdminFlyte
from airspace_server.admin.flyte_attributes import AttributesFlyte
from airspace_server.admin.flyte_entities import EntitiesFlyte
from airspace_server.admin.launch_plans import LaunchPlans
from airspace_server.admin.project_service import ProjectService
from airspace_server.admin.promotion_service import PromotionService
from airspace_server.admin.promotions import Promotions
from airspace_server.admin.reference_service import ReferenceService
from airspace_server.admin.references import References
from airspace_server.admin.registry import Registry
from airspace_server.admin.registry_service import LaunchPlanService, RegistryService, VersionLists
from airspace_server.admin.settings_service import SettingsService
from airspace_server.artifacts import http as artifact_http
from airspace_server.artifacts.flyte import DataProxy, scope_of_native_url
from airspace_server.artifacts.local import LocalArtifactStore
from airspace_server.artifacts.pages import UsedPages
from airspace_server.artifacts.signing import UrlGrant, UrlSigner
from airspace_server.audit.http import recorded
from airspace_server.audit.ledger import Actor, Ledger, acting
from airspace_server.audit.service import AuditService
from airspace_server.certificates import Identity, Watched
from airspace_server.core import clock
from airspace_server.core.errors import token_missing
from airspace_server.core.notifications import Channel
from airspace_server.core.periodic import Periodic
from airspace_server.execution.catalog import Catalog
from airspace_server.execution.channels import CloudEvents, Secrets, Slack
from airspace_server.execution.decks import Decks
from airspace_server.execution.flyte import ExecutionFlyte, scope_of_flyte_url
from airspace_server.execution.flyte_signals import SignalsFlyte
from airspace_server.execution.launch import Launcher
from airspace_server.execution.mail import Mail, MailServer
from airspace_server.execution.notices import REFUSALS_SECONDS, Refusals
from airspace_server.execution.notification_service import NotificationService
from airspace_server.execution.scheduler import LOOK_SECONDS, PERMISSION, Scheduler
from airspace_server.execution.sender import LOOK_SECONDS as LOOK_FOR_MESSAGES_SECONDS
from airspace_server.execution.sender import Sender
from airspace_server.execution.service import ExecutionService
from airspace_server.execution.signals import Signals
from airspace_server.execution.store import Executions
from airspace_server.execution.watch import Watcher
from airspace_server.execution.webhooks import Webhooks
from airspace_server.flyte.errors import translate
from airspace_server.rpc.interceptors import Guards, Method
from airspace_server.rpc.rationing import Rates
from airspace_server.rpc.server import Service, Tls, bind
from airspace_server.rpc.status import native
from airspace_server.rpc.validation import Validator
from airspace_server.settings import Settings, SettingsError
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager
from airspace_server.storage.projects import require_active

MAX_UPLOAD: Final = 1024 * 1024 * 1024
"""Largest artifact in bytes that a signed URL takes."""

_NATIVE: Final = (
    project_service_pb2,
    registry_service_pb2,
    launch_plan_service_pb2,
    reference_service_pb2,
    access_service_pb2,
    audit_service_pb2,
    settings_service_pb2,
    promotion_service_pb2,
    execution_service_pb2,
    notification_service_pb2,
)
_FLYTE: Final = (admin_pb2, dataproxy_pb2, signal_pb2, auth_pb2, identity_pb2)
NATIVE_SERVICES: Final = tuple(service for module in _NATIVE for service in module.DESCRIPTOR.services_by_name.values())
FLYTE_SERVICES: Final = tuple(service for module in _FLYTE for service in module.DESCRIPTOR.services_by_name.values())


class Parts:
    """What every server process is built from: settings, database, keys, policy, and the chain's guards."""

    def __init__(self, settings: Settings, http_port: int) -> None:
        self.settings = settings
        self.url = settings.url(http_port)
        self.database = Database(settings.database)
        secrets = settings.data / "keys"
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.audit_key = keys.secret(secrets, "audit-heads")
        self.ledger = Ledger(self.database, self.audit_key, clock.now)
        self.database.before_commit = self.ledger.keep
        self.pager = Pager(keys.secret(secrets, "page-tokens"))
        self.signer = UrlSigner(keys.secret(secrets, "artifact-urls"), clock.now)
        self.artifacts = LocalArtifactStore(settings.data.absolute() / "artifacts")
        self.policy = PolicyStore(self.database)
        self.usage = Usage(self.database, clock.now)
        executions = ExecutionIssuer(secrets, self.url, settings.audience, clock.now)
        trusted: list[TrustedIssuer] = [executions]
        self.issuer: Issuer | None = None
        if settings.issues_tokens:
            key = keys.signing_key(secrets)
            self.issuer = Issuer(self.database, key, self.url, settings.audience, clock.now)
            trusted.append(BuiltInIssuer(key, self.url, settings.audience))
        self.oidc = _oidc(settings) if settings.oidc_issuer else None
        if self.oidc is not None:
            trusted.append(self.oidc)
        self.executions = Executions(self.database, clock.now)
        refusals = Refusals(self.database, clock.now)
        self.telling = Periodic("refused launches", REFUSALS_SECONDS, refusals.tell)
        self.launcher = Launcher(self.database, Catalog(), clock.now, refusals)
        scheduler = Scheduler(self.database, self.launcher, self.policy, clock.now, _scheduled_for)
        self.scheduling = Periodic("scheduler", LOOK_SECONDS, scheduler.fire)
        self.sender = self._sender()
        self.notifying = Periodic("notifications", LOOK_FOR_MESSAGES_SECONDS, self.sender.send)
        self.watcher = Watcher(self.executions)
        self.authenticator = Authenticator(
            trusted,
            self.policy,
            self.executions.launcher_of_running,
            clock.now,
            Peers(settings.tls_client_accounts),
        )
        self.guards = Guards(
            self.authenticator.identify,
            self.authenticator.confirm,
            lambda: self.policy.snapshot().grants,
            self.ledger.refused,
            self.usage.count,
            Rates(settings.calls_per_second, settings.project_calls_per_second),
        )
        self.identity = _identity(settings)
        self.tls = _tls(self.identity, None)
        self.mutual_tls = _tls(self.identity, settings.tls_client_roots)

    def methods(self) -> list[Method]:
        """Bind every method of every service to its front door; the order of the doors does not matter."""
        settings, database = self.settings, self.database
        registry = Registry(database, clock.now)
        launch_plans = LaunchPlans(database, registry, clock.now)
        lists = VersionLists(database, self.pager)
        executions = self.executions
        decks = Decks(executions, self.artifacts, self.signer, self.url, clock.now)
        native_doors = (
            ProjectService(database, self.pager, clock.now, settings.domains),
            RegistryService(registry, lists),
            LaunchPlanService(launch_plans, lists, self.pager),
            ReferenceService(References(database, clock.now), self.policy, self.pager),
            AccessService(database, self.policy, self.usage, self.pager, clock.now),
            AuditService(database, self.audit_key, self.pager),
            SettingsService(database, settings.reachable),
            PromotionService(Promotions(database, self.artifacts, clock.now, settings.domains, MAX_UPLOAD), self.pager),
            ExecutionService(database, self.launcher, executions, self.watcher, self.pager, clock.now),
            NotificationService(database, self.pager),
        )
        flyte_doors = (
            AdminFlyte(database, registry, launch_plans, self.pager, clock.now, settings.domains),
            AttributesFlyte(database, settings.domains),
            EntitiesFlyte(database, self.pager, settings.domains),
            ExecutionFlyte(database, self.launcher, executions, decks, self.pager, settings.domains),
            SignalsFlyte(database, Signals(database, clock.now), executions, self.pager, settings.domains),
            DataProxy(
                self.artifacts, self.signer, self.url, clock.now, MAX_UPLOAD, settings.domains, self._admit_upload
            ),
            AuthMetadataFlyte(self._login),
            IdentityFlyte(),
        )
        rules = {
            **native_rules(NATIVE_SERVICES),
            **flyte_rules(
                FLYTE_SERVICES,
                {
                    "native_url": lambda url: scope_of_native_url(self.artifacts, url),
                    "flyte_url": scope_of_flyte_url,
                },
            ),
        }
        services = [Service(descriptor, native_doors, native) for descriptor in NATIVE_SERVICES]
        services += [Service(descriptor, flyte_doors, translate) for descriptor in FLYTE_SERVICES]
        return bind(services, rules, Validator(settings.domains))

    def routes(self) -> list[BaseRoute]:
        """Return what the HTTP port serves: artifacts, the token endpoint, and whether the process is up."""
        served: list[BaseRoute] = [Route("/healthz", _healthy, methods=["GET"])]
        pages = UsedPages(self.database, clock.now)
        guarded = artifact_http.routes(self.artifacts, self.signer, MAX_UPLOAD, pages.use)
        if self.issuer is not None:
            oidc = self.oidc
            guarded += token_http.routes(self.issuer, None if oidc is None else lambda: oidc.endpoints().token)
        return served + recorded(guarded, self.ledger.refused)

    def token_of(self, certificate: Certificate) -> str:
        """Return a token for the account of a certificate. Raises as `Authenticator.certified` does."""
        account, generation = self.authenticator.certified(certificate)
        if self.issuer is None:  # settings that name accounts have an issuer of theirs
            raise token_missing()
        return self.issuer.sign(account, generation)

    def start(self) -> None:
        """Read the policy and watch it, and begin to write down who is refused."""
        self.policy.start()
        self.ledger.start()
        self.usage.start()

    def close(self) -> None:
        """Let go of everything."""
        self.usage.stop()
        self.ledger.stop()
        self.policy.stop()
        self.database.close()

    def _sender(self) -> Sender:
        settings = self.settings
        webhooks, secrets = Webhooks(settings.reachable), Secrets(settings.data / "keys" / "notifications")
        channels = {
            Channel.EMAIL: Mail(_mail_server(settings)).send,
            Channel.SLACK: Slack(webhooks, secrets).send,
            Channel.WEBHOOK: CloudEvents(webhooks, secrets, self.url).send,
        }
        return Sender(self.database, channels, clock.now)

    def _admit_upload(self, upload: UrlGrant) -> None:
        with self.database.write(upload.scope) as tx:
            require_active(tx, upload.scope.project)
            tx.changed(f"upload {upload.scope}/{upload.path}", None, {"md5": upload.md5})

    def _login(self) -> Login:
        """Say how clients log in: people at the external issuer, service accounts at the built-in one.

        Flyte's clients know one token endpoint. Where there are both issuers it is ours, which passes on what is for
        the other one (access/http.py).
        """
        settings, ours = self.settings, f"{self.url}{token_http.TOKEN_PATH}"
        if self.oidc is None:
            return Login(self.url, ours, f"{self.url}{token_http.JWKS_PATH}", audience=settings.audience)
        found = self.oidc.endpoints()
        return Login(
            self.oidc.issuer_url,
            ours if self.issuer is not None else found.token,
            found.jwks,
            found.authorization,
            found.device_authorization,
            settings.oidc_client_id,
            settings.oidc_audience,
            tuple(settings.oidc_scopes.split()),
        )


def _scheduled_for(member: str) -> AbstractContextManager[None]:
    """Say for the audit that what happens is a schedule's doing, with the rights of who activated it."""
    return acting(lambda: Actor(member, "scheduler", PERMISSION.value))


_EXECUTION_DOORS: Final = (ExecutionService, NotificationService, ExecutionFlyte, SignalsFlyte)


def executes(method: Method) -> bool:
    """Tell whether a method belongs to the execution server."""
    return isinstance(getattr(method.handler, "__self__", None), _EXECUTION_DOORS)


async def _healthy(_request: Request) -> PlainTextResponse:
    return PlainTextResponse("ok")


def _oidc(settings: Settings) -> OidcIssuer:
    try:
        return OidcIssuer(
            settings.oidc_issuer, settings.oidc_audience, settings.oidc_groups_claim, settings.oidc_member_claim
        )
    except ValueError as error:
        raise SettingsError(str(error)) from None


def _mail_server(settings: Settings) -> MailServer | None:
    if not settings.smtp_host:
        return None
    return MailServer(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_security,
        settings.smtp_sender,
        settings.smtp_username,
        settings.smtp_password_file,
    )


def _identity(settings: Settings) -> Watched[Identity] | None:
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return None
    return Watched((certificate, key), lambda: certificates.identity(certificate, key))


def _tls(identity: Callable[[], Identity] | None, client_roots: Path | None) -> Callable[[], Tls] | None:
    """Return what a listener speaks, now and whenever it is asked; with `client_roots` it asks for certificates."""
    if identity is None:
        return None
    if client_roots is None:
        return lambda: Tls(identity())
    authorities = Watched((client_roots,), lambda: certificates.authorities(client_roots))
    return lambda: Tls(identity(), authorities())
