"""From the contract's messages about notifications to the values of `_model`."""

from typing import Any

from airspace.notification.v1 import notification_service_pb2 as notification_pb
from airspace_client._errors import InvalidArgument
from airspace_client._model import (
    Delivery,
    DeliveryState,
    NotificationChannel,
    NotificationEvent,
)
from airspace_client._wire import member, moment


def delivery_state(state: DeliveryState) -> Any:
    """Return the contract's number of a state. Raises InvalidArgument for UNKNOWN."""
    try:
        return notification_pb.DeliveryState.Value(f"DELIVERY_STATE_{state}")
    except ValueError:
        raise InvalidArgument(f"{state} is not a state that can be asked for", field="states") from None


def delivery(message: notification_pb.Delivery) -> Delivery:
    """Convert a message to one target, and what became of it."""
    return Delivery(
        id=message.id,
        event=event(message.event),
        subject=message.subject,
        title=message.title,
        channel=member(NotificationChannel, notification_pb.Channel, "CHANNEL_", message.channel),
        target=message.target,
        state=member(DeliveryState, notification_pb.DeliveryState, "DELIVERY_STATE_", message.state),
        attempts=message.attempts,
        reason=message.reason,
        create_time=moment(message.create_time),
        update_time=moment(message.update_time),
        next_time=moment(message.next_time) if message.HasField("next_time") else None,
    )


def event(number: int) -> NotificationEvent:
    """Convert an event."""
    return member(NotificationEvent, notification_pb.Event, "EVENT_", number)
