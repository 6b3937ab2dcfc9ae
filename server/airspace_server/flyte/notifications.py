"""Whom Flyte's launch plans and executions want told about the end of an execution.

Its three kinds, e-mail, PagerDuty and Slack, are all e-mail to the recipients that they name. The template is not read.
"""

from collections.abc import Iterable
from typing import Final

from flyteidl.admin import common_pb2
from flyteidl.core import execution_pb2

from airspace_server.core.errors import invalid_field
from airspace_server.core.execution import ExecutionPhase
from airspace_server.core.notifications import MAX_RECIPIENTS, Channel, Target, email_problem

_PHASES: Final = {
    execution_pb2.WorkflowExecution.SUCCEEDED: ExecutionPhase.SUCCEEDED,
    execution_pb2.WorkflowExecution.FAILED: ExecutionPhase.FAILED,
    execution_pb2.WorkflowExecution.ABORTED: ExecutionPhase.ABORTED,
    execution_pb2.WorkflowExecution.TIMED_OUT: ExecutionPhase.TIMED_OUT,
}


def check_notifications(notifications: Iterable[common_pb2.Notification], path: str) -> None:
    """Check notifications at a path of a request. Raises INVALID_FIELD."""
    count = 0
    for place, notification in enumerate(notifications):
        at = f"{path}[{place}]"
        kind = notification.WhichOneof("type")
        recipients = _recipients(notification)
        if kind is None or not recipients:
            raise invalid_field(at, "must name recipients of an e-mail, of PagerDuty or of Slack")
        for number, address in enumerate(recipients):
            if problem := email_problem(address):
                raise invalid_field(f"{at}.{kind}.recipients_email[{number}]", problem)
        if not notification.phases or any(phase not in _PHASES for phase in notification.phases):
            raise invalid_field(f"{at}.phases", "must be SUCCEEDED, FAILED, ABORTED or TIMED_OUT")
        count += len(recipients)
    if count > MAX_RECIPIENTS:
        raise invalid_field(path, f"must name at most {MAX_RECIPIENTS} recipients")


def recipients(notifications: Iterable[common_pb2.Notification], phase: ExecutionPhase) -> tuple[Target, ...]:
    """Return who is told that an execution has come to this phase, each once."""
    return tuple(
        dict.fromkeys(
            Target(Channel.EMAIL, address)
            for notification in notifications
            if any(_PHASES.get(each) is phase for each in notification.phases)
            for address in _recipients(notification)
        )
    )


def _recipients(notification: common_pb2.Notification) -> tuple[str, ...]:
    kind = notification.WhichOneof("type")
    return () if kind is None else tuple(getattr(notification, kind).recipients_email)
