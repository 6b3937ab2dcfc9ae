"""What the code of a running task may call: every RPC with the token of an execution that an administrator launched."""

from collections.abc import Callable, Iterator

import grpc
import pytest
from rpc_expected import NEEDS, PUBLIC, SERVER, WHOLE_PROJECT
from rpc_requests import THING, request_for
from rpc_servers import METHODS, OURS, Airspace, Caller

from airspace_server.access.executions import ExecutionIssuer
from airspace_server.core import clock
from airspace_server.core.permissions import DELEGATED
from airspace_server.core.scope import ExecutionId, Scope
from airspace_server.storage.database import scoped
from airspace_server.storage.tables import ExecutionRow, table

ELSEWHERE = (Scope("ours", "production"), Scope("theirs", "development"))
EXECUTIONS = table(ExecutionRow)


@pytest.fixture(scope="module")
def task(populated: Airspace) -> Airspace:
    """The server, with a token by the name "task" of the execution that an administrator launched."""
    settings = populated.parts.settings
    issuer = ExecutionIssuer(settings.data / "keys", populated.parts.url, settings.audience, clock.now)
    populated.tokens["task"] = issuer.token(ExecutionId(OURS, THING))
    return populated


@pytest.fixture(scope="module")
def behind_the_doors(task: Airspace) -> Iterator[Callable[[str], Caller]]:
    with task.served(task.without_doors()) as caller:
        yield caller


@pytest.fixture(scope="module")
def whole(task: Airspace) -> Iterator[Callable[[str], Caller]]:
    with task.served() as caller:
        yield caller


@pytest.fixture(autouse=True)
def running(task: Airspace) -> None:
    """Have the execution run, whatever a test before did to it."""
    with task.parts.database.write(OURS) as tx:
        tx.execute(EXECUTIONS.update().where(scoped(EXECUTIONS), EXECUTIONS.c.name == THING).values(phase="RUNNING"))


def delegated(path: str) -> bool:
    """Tell whether an execution can hold all that an RPC needs in one project and domain."""
    return all(need in DELEGATED and where not in (WHOLE_PROJECT, SERVER) for need, where in NEEDS.get(path, ()))


@pytest.mark.parametrize("path", METHODS)
def test_a_task_may_do_in_its_own_scope_what_is_delegated_and_elsewhere_nothing(
    path: str, task: Airspace, behind_the_doors: Callable[[str], Caller]
):
    caller = behind_the_doors("task")
    assert caller(path, request_for(path, OURS, task)).reason == (
        "NOT_IMPLEMENTED" if delegated(path) else "PERMISSION_MISSING"
    )
    for scope in ELSEWHERE:
        answer = caller(path, request_for(path, scope, task))
        if path not in NEEDS:
            assert answer.reason == "NOT_IMPLEMENTED"  # names no scope, or shows of every scope what the caller sees
        elif all(where == "some domain" for _, where in NEEDS[path]) and scope.project == OURS.project:
            assert answer.reason == "NOT_IMPLEMENTED"  # is about the project that is the task's own
        else:
            assert answer.reason == "PERMISSION_MISSING"


@pytest.mark.parametrize("path", [path for path in METHODS if path not in PUBLIC])
def test_no_call_of_a_task_makes_a_mess(path: str, task: Airspace, whole: Callable[[str], Caller]):
    answer = whole("task").begin(path, request_for(path, OURS, task))
    assert answer.code not in (grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN)
    assert (answer.reason == "PERMISSION_MISSING") is not delegated(path)
