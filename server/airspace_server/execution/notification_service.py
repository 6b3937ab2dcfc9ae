"""The front door of airspace.notification.v1. The chain has authenticated, authorized and validated."""

from airspace.notification.v1 import notification_service_pb2 as pb
from airspace_server.access.call import Call
from airspace_server.access.messages import scope_of, timestamp
from airspace_server.core.errors import invalid_field
from airspace_server.core.notifications import Channel, DeliveryState
from airspace_server.storage import notifications
from airspace_server.storage.database import Database
from airspace_server.storage.notifications import Delivery
from airspace_server.storage.paging import Pager, page_size


class NotificationService:
    """airspace.notification.v1.NotificationService."""

    def __init__(self, database: Database, pager: Pager) -> None:
        self._database = database
        self._pager = pager

    def ListDeliveries(self, request: pb.ListDeliveriesRequest, _call: Call) -> pb.ListDeliveriesResponse:
        """List the messages about a scope."""
        if pb.DELIVERY_STATE_UNSPECIFIED in request.states:
            raise invalid_field("states", "must not hold DELIVERY_STATE_UNSPECIFIED")
        scope = scope_of(request.scope)
        states = frozenset(
            DeliveryState(pb.DeliveryState.Name(each).removeprefix("DELIVERY_STATE_")) for each in request.states
        )
        query = f"deliveries {scope} {','.join(sorted(states))}"
        size, last = page_size(request.page_size), self._pager.position(query, request.page_token)
        with self._database.read(scope) as tx:
            found, end = notifications.newest(tx, states, size, last)
        token = self._pager.token(query, end) if end else ""
        return pb.ListDeliveriesResponse(deliveries=map(_delivery, found), next_page_token=token)


def _delivery(delivery: Delivery) -> pb.Delivery:
    target = delivery.target
    message = pb.Delivery(
        id=delivery.id,
        event=f"EVENT_{delivery.notice.event.value}",
        subject=delivery.notice.subject,
        title=delivery.notice.title,
        channel=f"CHANNEL_{target.channel.value}",
        target=target.secret if target.channel is Channel.SLACK else target.address,
        state=f"DELIVERY_STATE_{delivery.state.value}",
        attempts=delivery.attempts,
        reason=delivery.reason,
        create_time=timestamp(delivery.created_at),
        update_time=timestamp(delivery.updated_at),
    )
    if delivery.state is DeliveryState.WAITING:
        message.next_time.CopyFrom(timestamp(delivery.next_at))
    return message
