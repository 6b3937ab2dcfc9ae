"""How much may run where is set by those who answer for the whole server, and inherited value by value."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rpc_expected import SETTINGS
from rpc_servers import Airspace, Answer, Caller, airspace

from airspace.settings.v1 import settings_service_pb2 as pb
from airspace_server.core.quotas import BUILT_IN, LARGEST

RUNNING, QUEUED, RATE = "executions_running", "executions_queued", "launches_per_minute"


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[Airspace]:
    with airspace(database_url, tmp_path) as built:
        built.account("owner", ("admin", "ours/*"))
        yield built


@pytest.fixture
def caller(server: Airspace) -> Iterator[Callable[[str], Caller]]:
    with server.served() as callers:
        yield callers


def put(caller: Caller, project: str, domain: str, **limits: int) -> Answer:
    request = pb.UpdateQuotasRequest(quotas=pb.Quotas(**limits))
    request.pattern.project, request.pattern.domain = project, domain
    return caller(f"{SETTINGS}/UpdateQuotas", request)


def held(caller: Caller, project: str, domain: str) -> dict[str, tuple[int, str]]:
    request = pb.GetSettingsRequest()
    request.pattern.project, request.pattern.domain = project, domain
    (message,) = caller(f"{SETTINGS}/GetSettings", request).messages
    found = pb.GetSettingsResponse.FromString(message).quotas
    return {
        field.name: (quota.limit, f"{quota.origin.project}/{quota.origin.domain}" if quota.HasField("origin") else "")
        for field, quota in found.ListFields()
    }


def test_who_manages_a_project_cannot_raise_what_it_may_use(server: Airspace, caller: Callable[[str], Caller]):
    before = server.rows()
    for pattern in (("ours", "development"), ("ours", "*"), ("*", "*")):
        assert put(caller("owner"), *pattern, executions_running=9).reason == "PERMISSION_MISSING"
    assert server.rows() == before


def test_where_nothing_is_set_the_servers_own_limits_hold(caller: Callable[[str], Caller]):
    assert held(caller("owner"), "ours", "development") == {name: (limit, "") for name, limit in BUILT_IN.items()}


def test_each_limit_is_inherited_by_itself_and_says_from_where(caller: Callable[[str], Caller]):
    admin = caller("admin")
    assert not put(admin, "*", "*", executions_running=50, executions_queued=500).status
    assert not put(admin, "*", "development", executions_running=5).status
    assert not put(admin, "ours", "*", launches_per_minute=60).status
    assert held(admin, "theirs", "production")[RUNNING] == (50, "*/*")
    assert held(admin, "theirs", "development")[RUNNING] == (5, "*/development")
    assert held(admin, "ours", "development") == {
        RUNNING: (5, "*/development"), QUEUED: (500, "*/*"), RATE: (60, "ours/*")
    }  # fmt: skip
    assert not put(admin, "ours", "development", executions_running=0).status  # none at all is a limit too
    assert held(admin, "ours", "development")[RUNNING] == (0, "ours/development")
    assert not put(admin, "ours", "development", executions_queued=3).status  # what is left out is inherited again
    assert held(admin, "ours", "development") == {
        RUNNING: (5, "*/development"), QUEUED: (3, "ours/development"), RATE: (60, "ours/*")
    }  # fmt: skip


def test_a_limit_that_cannot_be_is_refused_and_named(server: Airspace, caller: Callable[[str], Caller]):
    before = server.rows()
    answer = put(caller("admin"), "ours", "development", executions_running=1, launches_per_minute=LARGEST + 1)
    assert (answer.reason, answer.fields) == ("INVALID_FIELD", ["quotas.launches_per_minute"])
    assert server.rows() == before
