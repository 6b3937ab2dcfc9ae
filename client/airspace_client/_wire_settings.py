"""Between the contract's messages about settings and the values of `_model`."""

from airspace.notification.v1 import notification_service_pb2 as notification_pb
from airspace.settings.v1 import settings_service_pb2 as settings_pb
from airspace_client._errors import InvalidArgument
from airspace_client._model import (
    EmailTarget,
    Freeze,
    Gates,
    NotificationRule,
    Notifications,
    Quota,
    Quotas,
    RunAs,
    Settings,
    SlackTarget,
    WebhookTarget,
)
from airspace_client._wire import moment, origin
from airspace_client._wire_notifications import event


def run_as(message: settings_pb.RunAs) -> RunAs:
    """Convert as whom tasks may run."""
    return RunAs(
        tuple(message.service_accounts),
        tuple(message.iam_roles),
        message.default_service_account,
        message.default_iam_role,
    )


def run_as_message(value: RunAs) -> settings_pb.RunAs:
    """Return the contract's form of as whom tasks may run."""
    return settings_pb.RunAs(
        service_accounts=value.service_accounts,
        iam_roles=value.iam_roles,
        default_service_account=value.default_service_account,
        default_iam_role=value.default_iam_role,
    )


def settings(message: settings_pb.GetSettingsResponse) -> Settings:
    """Convert the settings of a pattern."""
    return Settings(
        run_as=run_as(message.run_as) if message.HasField("run_as") else None,
        run_as_origin=origin(message.run_as_origin) if message.HasField("run_as_origin") else None,
        own_run_as=run_as(message.own_run_as) if message.HasField("own_run_as") else None,
        quotas=tuple(
            Quota(field.name, held.limit, origin(held.origin) if held.HasField("origin") else None)
            for field, held in message.quotas.ListFields()
        ),
        own_quotas=quotas(message.own_quotas),
        gates=gates(message.gates),
        gates_origins={name: origin(each) for name, each in message.gates_origins.items()},
        own_gates=gates(message.own_gates) if message.HasField("own_gates") else None,
        notifications=notifications(message.notifications),
        notifications_origin=origin(message.notifications_origin) if message.HasField("notifications_origin") else None,
        own_notifications=notifications(message.own_notifications) if message.HasField("own_notifications") else None,
    )


def gates(message: settings_pb.Gates) -> Gates:
    """Convert what is asked of promotions."""
    return Gates(
        **{field.name: value for field, value in message.ListFields() if field.name != "freezes"},
        freezes=tuple(Freeze(moment(each.start), moment(each.end), each.reason) for each in message.freezes),
    )


def gates_message(value: Gates) -> settings_pb.Gates:
    """Write what is asked of promotions."""
    return settings_pb.Gates(
        successes=value.successes,
        within_hours=value.within_hours,
        soak_hours=value.soak_hours,
        approvals=value.approvals,
        closed=value.closed,
        freezes=[settings_pb.Freeze(start=each.start, end=each.end, reason=each.reason) for each in value.freezes],
    )


def quotas(message: settings_pb.Quotas) -> Quotas:
    """Convert what is set of the quotas."""
    return Quotas(**{field.name: limit for field, limit in message.ListFields()})


def notifications(message: settings_pb.Notifications) -> Notifications:
    """Convert who is told what."""
    return Notifications(tuple(map(_rule, message.rules)))


def notifications_message(value: Notifications) -> settings_pb.Notifications:
    """Write who is told what. Raises InvalidArgument for an event that this client does not know."""
    return settings_pb.Notifications(rules=map(_rule_message, value.rules))


def _rule(message: settings_pb.NotificationRule) -> NotificationRule:
    target: EmailTarget | SlackTarget | WebhookTarget | None
    match message.WhichOneof("target"):
        case "email":
            target = EmailTarget(tuple(message.email.recipients))
        case "slack":
            target = SlackTarget(message.slack.secret)
        case "webhook":
            target = WebhookTarget(message.webhook.url, message.webhook.secret)
        case _:
            target = None
    return NotificationRule(tuple(map(event, message.events)), target)


def _rule_message(rule: NotificationRule) -> settings_pb.NotificationRule:
    names = [f"EVENT_{each}" for each in rule.events]
    if unknown := [name for name in names if name not in notification_pb.Event.keys()]:  # noqa: SIM118 -- no dict
        raise InvalidArgument(f"{unknown[0]} is no event that can be told", field="events")
    message = settings_pb.NotificationRule(events=names)
    match rule.target:
        case EmailTarget(recipients):
            message.email.recipients.extend(recipients)
        case SlackTarget(secret):
            message.slack.secret = secret
        case WebhookTarget(url, secret):
            message.webhook.url, message.webhook.secret = url, secret
        case None:
            raise InvalidArgument("a rule has a target that this client does not know", field="target")
    return message
