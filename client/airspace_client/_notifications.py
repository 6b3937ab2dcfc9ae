"""What people and programs were told."""

from collections.abc import Iterator, Sequence

from airspace.notification.v1 import notification_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import Scope
from airspace_client import _wire_notifications as _wire
from airspace_client._model import Delivery, DeliveryState
from airspace_client._service import Service


class Notifications:
    """The messages about what happened in scopes. Who is told what is a setting."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def list(self, project: str, domain: str, *, states: Sequence[DeliveryState] = ()) -> Iterator[Delivery]:
        """Yield the messages about a scope, newest first, in some states or any."""
        request = pb.ListDeliveriesRequest(
            scope=Scope(project=project, domain=domain), states=map(_wire.delivery_state, states)
        )
        return map(_wire.delivery, self._service.pages("ListDeliveries", request, "deliveries"))
