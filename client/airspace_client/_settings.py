"""What holds for projects and domains."""

from dataclasses import asdict

from airspace.settings.v1 import settings_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import ScopePattern
from airspace_client import _wire_settings as _wire
from airspace_client._model import Gates, Notifications, Quotas, RunAs
from airspace_client._model import Settings as Values
from airspace_client._service import Service


class Settings:
    """Settings of projects and domains; "*" stands for every one of them."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def get(self, *, project: str, domain: str) -> Values:
        """Return what holds there, and what is set for exactly that."""
        request = pb.GetSettingsRequest(pattern=ScopePattern(project=project, domain=domain))
        response: pb.GetSettingsResponse = self._service.call("GetSettings", request)
        return _wire.settings(response)

    def set_run_as(self, run_as: RunAs | None, *, project: str, domain: str) -> RunAs | None:
        """Set as whom tasks may run there, or with None take away what is set, so that what is above holds."""
        message = None if run_as is None else _wire.run_as_message(run_as)
        request = pb.UpdateRunAsRequest(pattern=ScopePattern(project=project, domain=domain), run_as=message)
        response: pb.UpdateRunAsResponse = self._service.call("UpdateRunAs", request)
        return _wire.run_as(response.run_as) if response.HasField("run_as") else None

    def set_gates(self, gates: Gates | None, *, project: str, domain: str) -> Gates | None:
        """Set what is asked of versions that are promoted there; what is None is inherited, with None all of it."""
        message = None if gates is None else _wire.gates_message(gates)
        request = pb.UpdateGatesRequest(pattern=ScopePattern(project=project, domain=domain), gates=message)
        response: pb.UpdateGatesResponse = self._service.call("UpdateGates", request)
        return _wire.gates(response.gates) if response.HasField("gates") else None

    def set_notifications(
        self, notifications: Notifications | None, *, project: str, domain: str
    ) -> Notifications | None:
        """Set who is told what happens there, or with None take away what is set, so that what is above holds."""
        message = None if notifications is None else _wire.notifications_message(notifications)
        request = pb.UpdateNotificationsRequest(
            pattern=ScopePattern(project=project, domain=domain), notifications=message
        )
        response: pb.UpdateNotificationsResponse = self._service.call("UpdateNotifications", request)
        return _wire.notifications(response.notifications) if response.HasField("notifications") else None

    def set_quotas(self, quotas: Quotas, *, project: str, domain: str) -> Quotas:
        """Set how much each project may run in each domain there; what is None is inherited from now on."""
        limits = {name: limit for name, limit in asdict(quotas).items() if limit is not None}
        request = pb.UpdateQuotasRequest(
            pattern=ScopePattern(project=project, domain=domain), quotas=pb.Quotas(**limits)
        )
        response: pb.UpdateQuotasResponse = self._service.call("UpdateQuotas", request)
        return _wire.quotas(response.quotas)
