"""The front door of airspace.settings.v1. The interceptors have authenticated, authorized and validated every call."""

from collections.abc import Mapping
from typing import Final

from airspace.notification.v1 import notification_service_pb2 as notification_pb
from airspace.settings.v1 import settings_service_pb2 as pb
from airspace.type.v1 import identifiers_pb2
from airspace_server.access.call import Call
from airspace_server.access.messages import timestamp
from airspace_server.admin.gates import PROMOTION
from airspace_server.core import names
from airspace_server.core.errors import invalid_field
from airspace_server.core.gates import VALUES, Asked, Freeze, Gates, inherited
from airspace_server.core.notifications import (
    Channel,
    Event,
    Reachable,
    Rule,
    Rules,
    Target,
    email_problem,
    secret_problem,
)
from airspace_server.core.quotas import LARGEST, Quota
from airspace_server.core.run_as import RunAs
from airspace_server.core.scope import ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.notifications import NOTIFICATIONS
from airspace_server.storage.settings import RUN_AS, effective, levels, own, own_quotas, put, put_quotas, quotas


class SettingsService:
    """airspace.settings.v1.SettingsService."""

    def __init__(self, database: Database, reachable: Reachable) -> None:
        self._database = database
        self._reachable = reachable

    def GetSettings(self, request: pb.GetSettingsRequest, _call: Call) -> pb.GetSettingsResponse:
        """Show what is set for a pattern, what holds in it, and where that comes from."""
        pattern = ScopePattern(request.pattern.project, request.pattern.domain)
        with self._database.read() as tx:
            own_value, held = own(tx, RUN_AS, pattern), effective(tx, RUN_AS, pattern)
            own_limits, limits = own_quotas(tx, pattern), quotas(tx, pattern)
            own_gates, held_gates = own(tx, PROMOTION, pattern), levels(tx, PROMOTION, pattern)
            own_rules, held_rules = own(tx, NOTIFICATIONS, pattern), effective(tx, NOTIFICATIONS, pattern)
        response = pb.GetSettingsResponse(own_quotas=_quotas(own_limits))
        for quota, limit in limits.items():
            message = getattr(response.quotas, quota)
            message.limit = limit.value
            if limit.origin is not None:
                message.origin.CopyFrom(_pattern_message(limit.origin))
        if own_gates is not None:
            response.own_gates.CopyFrom(_gates_message(Asked.loads(own_gates)))
        asked = [(Asked.loads(value), origin) for value, origin in held_gates]
        response.gates.CopyFrom(_gates_message(inherited([each for each, _ in asked])))
        for each, origin in reversed(asked):
            for name in VALUES:
                if getattr(each, name) is not None:
                    response.gates_origins[name].CopyFrom(_pattern_message(origin))
        if own_rules is not None:
            response.own_notifications.CopyFrom(_rules_message(Rules.loads(own_rules)))
        response.notifications.CopyFrom(_rules_message(Rules() if held_rules is None else Rules.loads(held_rules[0])))
        if held_rules is not None:
            response.notifications_origin.CopyFrom(_pattern_message(held_rules[1]))
        if own_value is not None:
            response.own_run_as.CopyFrom(_message(RunAs.loads(own_value)))
        if held is not None:
            value, origin = held
            response.run_as.CopyFrom(_message(RunAs.loads(value)))
            response.run_as_origin.CopyFrom(_pattern_message(origin))
        return response

    def UpdateRunAs(self, request: pb.UpdateRunAsRequest, _call: Call) -> pb.UpdateRunAsResponse:
        """Set, or take away, as whom tasks may run in a pattern."""
        pattern = ScopePattern(request.pattern.project, request.pattern.domain)
        wanted = _run_as(request.run_as) if request.HasField("run_as") else None
        with self._database.write() as tx:
            put(tx, RUN_AS, pattern, None if wanted is None else wanted.dumps())
        return pb.UpdateRunAsResponse(run_as=None if wanted is None else _message(wanted))

    def UpdateQuotas(self, request: pb.UpdateQuotasRequest, _call: Call) -> pb.UpdateQuotasResponse:
        """Set how much may run in the scopes of a pattern."""
        pattern = ScopePattern(request.pattern.project, request.pattern.domain)
        wanted = {quota: getattr(request.quotas, quota) for quota in Quota if request.quotas.HasField(quota)}
        for quota, limit in wanted.items():
            if limit > LARGEST:
                raise invalid_field(f"quotas.{quota}", f"must be at most {LARGEST}")
        with self._database.write() as tx:
            put_quotas(tx, pattern, wanted)
        return pb.UpdateQuotasResponse(quotas=_quotas(wanted))

    def UpdateGates(self, request: pb.UpdateGatesRequest, _call: Call) -> pb.UpdateGatesResponse:
        """Set, or take away, what a pattern asks of versions that are promoted into it."""
        pattern = ScopePattern(request.pattern.project, request.pattern.domain)
        wanted = _gates(request.gates) if request.HasField("gates") else None
        with self._database.write() as tx:
            put(tx, PROMOTION, pattern, None if wanted is None else wanted.dumps())
        return pb.UpdateGatesResponse(gates=None if wanted is None else _gates_message(wanted))

    def UpdateNotifications(
        self, request: pb.UpdateNotificationsRequest, _call: Call
    ) -> pb.UpdateNotificationsResponse:
        """Set, or take away, who is told what happens in the scopes of a pattern."""
        pattern = ScopePattern(request.pattern.project, request.pattern.domain)
        wanted = self._rules(request.notifications) if request.HasField("notifications") else None
        with self._database.write() as tx:
            put(tx, NOTIFICATIONS, pattern, None if wanted is None else wanted.dumps())
        return pb.UpdateNotificationsResponse(notifications=None if wanted is None else _rules_message(wanted))

    def _rules(self, message: pb.Notifications) -> Rules:
        rules = []
        for place, rule in enumerate(message.rules):
            path = f"notifications.rules[{place}]"
            if notification_pb.EVENT_UNSPECIFIED in rule.events:
                raise invalid_field(f"{path}.events", "must not hold EVENT_UNSPECIFIED")
            events = dict.fromkeys(notification_pb.Event.Name(each).removeprefix("EVENT_") for each in rule.events)
            rules.append(Rule(tuple(map(Event, events)), self._targets(rule, path)))
        return Rules(tuple(rules))

    def _targets(self, rule: pb.NotificationRule, path: str) -> tuple[Target, ...]:
        problems: dict[str, str | None] = {}
        match rule.WhichOneof("target"):
            case "email":
                targets = tuple(Target(Channel.EMAIL, each) for each in dict.fromkeys(rule.email.recipients))
                for place, address in enumerate(rule.email.recipients):
                    problems[f"email.recipients[{place}]"] = email_problem(address)
            case "slack":
                targets = (Target(Channel.SLACK, "", rule.slack.secret),)
                problems["slack.secret"] = secret_problem(rule.slack.secret)
            case "webhook":
                targets = (Target(Channel.WEBHOOK, rule.webhook.url, rule.webhook.secret),)
                problems["webhook.secret"] = secret_problem(rule.webhook.secret)
                problems["webhook.url"] = self._reachable.url_problem(rule.webhook.url)
            case _:
                raise invalid_field(path, "must name email, slack or webhook")
        for field, problem in problems.items():
            if problem:
                raise invalid_field(f"{path}.{field}", problem)
        return targets


_MOST: Final = {"successes": 1_000, "within_hours": 10_000, "soak_hours": 10_000, "approvals": 10}


def _gates(message: pb.Gates) -> Asked:
    for field, most in _MOST.items():
        if getattr(message, field) > most:
            raise invalid_field(f"gates.{field}", f"must be at most {most}")
    freezes = []
    for place, each in enumerate(message.freezes):
        start, end = each.start.ToMicroseconds(), each.end.ToMicroseconds()
        if not 0 <= start < end:
            raise invalid_field(f"gates.freezes[{place}].end", "must be later than start, and both since 1970")
        freezes.append(Freeze(start, end, each.reason))
    values = {name: getattr(message, name) for name in VALUES if message.HasField(name)}
    return Asked(**values, freezes=tuple(freezes))


def _gates_message(gates: Asked | Gates) -> pb.Gates:
    return pb.Gates(
        successes=gates.successes,
        within_hours=gates.within_hours,
        soak_hours=gates.soak_hours,
        approvals=gates.approvals,
        closed=gates.closed,
        freezes=[
            pb.Freeze(start=timestamp(each.start), end=timestamp(each.end), reason=each.reason)
            for each in gates.freezes
        ],
    )


def _rules_message(rules: Rules) -> pb.Notifications:
    return pb.Notifications(rules=map(_rule_message, rules.rules))


def _rule_message(rule: Rule) -> pb.NotificationRule:
    message = pb.NotificationRule(events=[f"EVENT_{event.value}" for event in rule.events])
    for target in rule.targets:
        match target.channel:
            case Channel.EMAIL:
                message.email.recipients.append(target.address)
            case Channel.SLACK:
                message.slack.secret = target.secret
            case Channel.WEBHOOK:
                message.webhook.url, message.webhook.secret = target.address, target.secret
    return message


def _pattern_message(pattern: ScopePattern) -> identifiers_pb2.ScopePattern:
    return identifiers_pb2.ScopePattern(project=pattern.project, domain=pattern.domain)


def _quotas(limits: Mapping[Quota, int]) -> pb.Quotas:
    return pb.Quotas(**{quota.value: limit for quota, limit in limits.items()})


def _run_as(message: pb.RunAs) -> RunAs:
    for field in ("service_accounts", "iam_roles"):
        for place, name in enumerate(getattr(message, field)):
            problem = names.external_identity(name)
            if problem:
                raise invalid_field(f"run_as.{field}[{place}]", problem)
    for default, field in (("default_service_account", "service_accounts"), ("default_iam_role", "iam_roles")):
        if getattr(message, default) and getattr(message, default) not in getattr(message, field):
            raise invalid_field(f"run_as.{default}", f"must be one of run_as.{field}")
    return RunAs(
        tuple(sorted(set(message.service_accounts))),
        tuple(sorted(set(message.iam_roles))),
        message.default_service_account,
        message.default_iam_role,
    )


def _message(run_as: RunAs) -> pb.RunAs:
    return pb.RunAs(
        service_accounts=run_as.service_accounts,
        iam_roles=run_as.iam_roles,
        default_service_account=run_as.default_service_account,
        default_iam_role=run_as.default_iam_role,
    )
