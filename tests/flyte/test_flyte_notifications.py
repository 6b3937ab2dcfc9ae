"""Flyte's notifications: what flytekit writes is understood, and each of its kinds is an e-mail."""

import pytest
from flytekit import Email, PagerDuty, Slack
from flytekit.models.core.execution import WorkflowExecutionPhase as Phase

from airspace_server.core.errors import ApiError
from airspace_server.core.execution import ExecutionPhase
from airspace_server.core.notifications import MAX_RECIPIENTS, Channel
from airspace_server.flyte.notifications import check_notifications, recipients


def test_more_recipients_than_there_may_be_are_refused():
    addresses = [f"r{number}@example.com" for number in range(MAX_RECIPIENTS + 1)]
    made = [Email([Phase.FAILED], [address]).to_flyte_idl() for address in addresses]
    check_notifications(made[:-1], "spec")
    with pytest.raises(ApiError) as refused:
        check_notifications(made, "spec")
    assert refused.value.field == "spec"


def test_what_flytekit_writes_is_understood():
    made = [
        each.to_flyte_idl()
        for each in (
            Email([Phase.SUCCEEDED, Phase.FAILED], ["a@example.com", "b@example.com"]),
            PagerDuty([Phase.FAILED, Phase.TIMED_OUT], ["pager@example.com", "a@example.com"]),
            Slack([Phase.ABORTED], ["slack@example.com"]),
        )
    ]
    check_notifications(made, "spec")
    told = {phase: [each.address for each in recipients(made, phase)] for phase in ExecutionPhase}
    assert {phase.value: addresses for phase, addresses in told.items() if addresses} == {
        "SUCCEEDED": ["a@example.com", "b@example.com"],
        "FAILED": ["a@example.com", "b@example.com", "pager@example.com"],
        "TIMED_OUT": ["pager@example.com", "a@example.com"],
        "ABORTED": ["slack@example.com"],
    }
    assert {each.channel for each in recipients(made, ExecutionPhase.FAILED)} == {Channel.EMAIL}
