"""What ran in development is brought into staging and runs there: by the command line, pyflyte and FlyteRemote."""

from collections.abc import Iterator

import pytest
from e2e_clients import PROJECT, Account, register

STAGING = ("-p", PROJECT, "-d", "staging")
LAUNCH_PLAN = ("-p", PROJECT, "-d", "development", "launch-plan", "double_lp", "--version", "v1", "--to", "staging")


@pytest.fixture
def gated(admin: Account) -> Iterator[None]:
    """Staging takes only promotions of what has succeeded once and somebody else has approved."""
    asked = ("--successes", "1", "--approvals", "1", "--closed")
    assert admin.airspace("settings", "gates", *STAGING, *asked).code == 0
    yield
    assert admin.airspace("settings", "gates", *STAGING, "--inherit").code == 0


def test_a_version_that_succeeded_is_promoted_approved_run_and_is_what_a_registration_would_have_made(
    gated, developer: Account, releaser: Account, admin: Account, finished, flows
):
    closed = register(releaser, flows, domain="staging")
    refused = developer.airspace("promotions", "request", *LAUNCH_PLAN)
    asked = releaser.airspace_json("promotions", "request", *LAUNCH_PLAN, "--activate", "--comment", "it is ready")
    own = releaser.airspace("promotions", "approve", *STAGING, asked["name"])
    shown = admin.airspace("promotions", "get", *STAGING, asked["name"])
    promoted = admin.airspace_json("promotions", "approve", *STAGING, asked["name"])

    assert closed.code != 0
    assert "nothing is registered in recommendation-engine/staging directly" in closed.text
    assert refused.code != 0
    assert "this needs promotion.promote in recommendation-engine/staging" in refused.text
    assert asked["state"] == "PENDING"
    assert [gate["name"] for gate in asked["gates"] if not gate["passed"]] == ["approvals"]
    assert own.code != 0
    assert "cannot approve it" in own.text
    assert "0 of 1 approvals" in shown.out
    assert promoted["state"] == "PROMOTED"
    assert any(path.endswith(".tar.gz") for path in promoted["artifacts"])
    assert {entry["state"] for entry in promoted["entries"]} == {"NEW"}

    plan = releaser.remote.fetch_launch_plan(PROJECT, "staging", "double_lp")  # the active one
    ended = releaser.wait(releaser.remote.execute(plan, inputs={"x": 4}, project=PROJECT, domain="staging"))
    history = releaser.airspace("launch-plans", "history", *STAGING, "double_lp")

    assert ended.outputs == {"o0": "8 pears"}
    assert "PROMOTE" in history.out

    admin.airspace("settings", "gates", *STAGING, "--inherit")
    again = register(releaser, flows, domain="staging")
    assert again.code == 0, again.text  # of every version that was promoted this is the very same content
