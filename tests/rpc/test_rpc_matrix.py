"""Every RPC, by every role, bound at every kind of place: who is let in, through the real chain with no door behind it.

Let in is UNIMPLEMENTED, since there is no door; everybody else gets the same PERMISSION_DENIED.
"""

from collections.abc import Callable, Iterator

import grpc
import pytest
from rpc_expected import AUTHENTICATED, CUSTOM, FILTERED, NEEDS, PUBLIC, ROLES, allowed
from rpc_requests import request_for
from rpc_servers import FLYTE, METHODS, Airspace, Caller

from airspace_server.core.scope import Scope

SCOPE = Scope("ours", "development")
PATTERNS = ("*/*", "ours/*", "*/development", "ours/development", "theirs/*", "ours/production")


def account(role: str, pattern: str) -> str:
    return f"{role}-{pattern.replace('*', 'any').replace('/', '-')}"


@pytest.fixture(scope="module")
def callers(server: Airspace) -> Iterator[Callable[[str], Caller]]:
    server.role("admin", CUSTOM[0], *CUSTOM[1])
    server.account("nobody")
    for role in ROLES:
        for pattern in PATTERNS:
            server.account(account(role, pattern), (role, pattern))
    with server.served(server.without_doors()) as caller:
        yield caller


def test_the_table_has_every_rpc_once():
    tables = (set(NEEDS), FILTERED, AUTHENTICATED, PUBLIC)
    assert set().union(*tables) == set(METHODS)
    assert sum(map(len, tables)) == len(METHODS)
    assert len(FLYTE) == 66


@pytest.mark.parametrize("path", METHODS)
def test_who_may_call(path: str, server: Airspace, callers: Callable[[str], Caller]):
    request = request_for(path, SCOPE, server)
    denials = set()
    wrong = []
    for role in ROLES:
        for pattern in PATTERNS:
            answer = callers(account(role, pattern))(path, request, request_id="same")
            wanted = allowed(path, role, pattern, SCOPE.project, SCOPE.domain)
            code = grpc.StatusCode.UNIMPLEMENTED if wanted else grpc.StatusCode.PERMISSION_DENIED
            if answer.code is not code or answer.reason != ("NOT_IMPLEMENTED" if wanted else "PERMISSION_MISSING"):
                wrong.append((role, pattern, answer.code.name, answer.text))
            if not wanted:
                denials.add((answer.info.metadata["permission"], answer.wire))
    assert wrong == []
    assert len(denials) == len({permission for permission, _ in denials})


@pytest.mark.parametrize("path", METHODS)
def test_without_bindings_and_without_a_token(path: str, server: Airspace, callers: Callable[[str], Caller]):
    request = request_for(path, SCOPE, server)
    without_bindings, without_token = callers("nobody")(path, request), callers("")(path, request)
    assert without_bindings.reason == ("PERMISSION_MISSING" if path in NEEDS else "NOT_IMPLEMENTED")
    assert without_token.reason == ("NOT_IMPLEMENTED" if path in PUBLIC else "TOKEN_MISSING")
