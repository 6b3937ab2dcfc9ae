"""The client."""

from pathlib import Path
from types import TracebackType
from typing import Self

from airspace.access.v1 import access_service_pb2, access_service_pb2_grpc
from airspace.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from airspace.execution.v1 import execution_service_pb2, execution_service_pb2_grpc
from airspace.launchplan.v1 import launch_plan_service_pb2, launch_plan_service_pb2_grpc
from airspace.notification.v1 import notification_service_pb2, notification_service_pb2_grpc
from airspace.project.v1 import project_service_pb2, project_service_pb2_grpc
from airspace.promotion.v1 import promotion_service_pb2, promotion_service_pb2_grpc
from airspace.reference.v1 import reference_service_pb2, reference_service_pb2_grpc
from airspace.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from airspace.settings.v1 import settings_service_pb2, settings_service_pb2_grpc
from airspace_client._access import Access
from airspace_client._audit import Audit
from airspace_client._auth import StaticToken, TokenSource
from airspace_client._channel import open_channel
from airspace_client._config import find_config, read_config
from airspace_client._executions import Executions
from airspace_client._notifications import Notifications
from airspace_client._projects import Projects
from airspace_client._promotions import Promotions
from airspace_client._references import References
from airspace_client._registry import LaunchPlans, Tasks, Workflows
from airspace_client._service import Service, Transport, bearer
from airspace_client._settings import Settings
from airspace_client._tls import TLS


class AirspaceClient:
    """A connection to an Airspace server.

    It has `projects`, `tasks`, `workflows`, `launch_plans`, `references`, `executions`, `promotions`,
    `access`, `audit` and `settings`.

    Use it in a `with` statement, or close it. It connects when it is first used, and may be used from several threads.
    Every method raises an AirspaceError; reads, and mutations that are safe to repeat, were repeated before that.

    The raw stubs are there too, as `project_service`, `registry_service`, `launch_plan_service`, `reference_service`,
    `execution_service`, `promotion_service`, `notification_service`, `access_service`, `audit_service` and
    `settings_service`; give their calls `metadata=client.metadata()`.
    """

    def __init__(self, transport: Transport) -> None:
        self.target = transport.target
        self.credentials = transport.credentials
        self._channel = transport.channel
        project = Service(
            transport,
            project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"],
            project_service_pb2_grpc.ProjectServiceStub,
        )
        registry = Service(
            transport,
            registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"],
            registry_service_pb2_grpc.RegistryServiceStub,
        )
        launch_plan = Service(
            transport,
            launch_plan_service_pb2.DESCRIPTOR.services_by_name["LaunchPlanService"],
            launch_plan_service_pb2_grpc.LaunchPlanServiceStub,
        )
        reference = Service(
            transport,
            reference_service_pb2.DESCRIPTOR.services_by_name["ReferenceService"],
            reference_service_pb2_grpc.ReferenceServiceStub,
        )
        execution = Service(
            transport,
            execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"],
            execution_service_pb2_grpc.ExecutionServiceStub,
        )
        promotion = Service(
            transport,
            promotion_service_pb2.DESCRIPTOR.services_by_name["PromotionService"],
            promotion_service_pb2_grpc.PromotionServiceStub,
        )
        notification = Service(
            transport,
            notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"],
            notification_service_pb2_grpc.NotificationServiceStub,
        )
        access = Service(
            transport,
            access_service_pb2.DESCRIPTOR.services_by_name["AccessService"],
            access_service_pb2_grpc.AccessServiceStub,
        )
        audit = Service(
            transport,
            audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"],
            audit_service_pb2_grpc.AuditServiceStub,
        )
        settings = Service(
            transport,
            settings_service_pb2.DESCRIPTOR.services_by_name["SettingsService"],
            settings_service_pb2_grpc.SettingsServiceStub,
        )
        self.projects = Projects(project)
        self.tasks = Tasks(registry)
        self.workflows = Workflows(registry)
        self.launch_plans = LaunchPlans(launch_plan)
        self.references = References(reference)
        self.executions = Executions(execution)
        self.promotions = Promotions(promotion)
        self.notifications = Notifications(notification)
        self.access = Access(access)
        self.audit = Audit(audit)
        self.settings = Settings(settings)
        self.project_service = project.stub
        self.registry_service = registry.stub
        self.launch_plan_service = launch_plan.stub
        self.reference_service = reference.stub
        self.execution_service = execution.stub
        self.promotion_service = promotion.stub
        self.notification_service = notification.stub
        self.access_service = access.stub
        self.audit_service = audit.stub
        self.settings_service = settings.stub

    @classmethod
    def connect(
        cls,
        target: str,
        *,
        credentials: TokenSource | str | None = None,
        tls: TLS | bool | None = None,
        timeout: float = 30.0,
    ) -> Self:
        """Return a client of the server at a gRPC target.

        Args:
            target: for example "dns:///airspace.example.com:443" or "127.0.0.1:8089".
            credentials: a token source, a token, or None for calls without one.
            tls: TLS or True for encryption, False for plain text. None is plain text to this machine's loopback
                address and encryption to any other, so that no token leaves the machine unencrypted by accident.
            timeout: how long a call may take, with its repeats, in seconds. Watching is not bounded by it.

        """
        if isinstance(credentials, str):
            credentials = StaticToken(credentials)
        return cls(Transport(target, open_channel(target, tls), credentials, timeout))

    @classmethod
    def from_config(cls, path: str | Path | None = None, *, timeout: float = 30.0) -> Self:
        """Return a client as a client file says: the very file that pyflyte and flytectl read.

        Without `path` it is the file that $AIRSPACE_CONFIG names, or the administrator's file in the data folder that
        $AIRSPACE_DATA names, or in ./airspace-data. Raises ConfigError.
        """
        config = read_config(find_config(path))
        return cls.connect(
            config.target,
            credentials=config.credentials,
            tls=False if config.tls is None else config.tls,
            timeout=timeout,
        )

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Return the metadata that authenticates a call of a raw stub."""
        return bearer(None if self.credentials is None else self.credentials.token())

    def close(self) -> None:
        """End the connection and every call on it."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
