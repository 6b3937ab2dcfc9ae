"""`airspace serve` with a hole in it: `python holed_server.py HOLE serve`.

A verification that cannot fail would prove nothing.
"""

import sys
import time
from typing import Any

from airspace_client.cli.main import main
from airspace_server.admin import projects
from airspace_server.artifacts import signing
from airspace_server.rpc import interceptors

GET_TASK = "/airspace.registry.v1.RegistryService/GetTask"
authorize, denial = interceptors.authorize, interceptors.denial


def steps(step: Any) -> tuple[Any, ...]:
    return tuple(step if each is authorize else each for each in interceptors.BEFORE)


def unguarded(exchange: Any) -> None:
    if exchange.method.path != GET_TASK:
        authorize(exchange)


def walled(exchange: Any) -> None:
    authorize(exchange)
    if exchange.method.path == GET_TASK and exchange.principal.member != "service-account:admin":
        raise denial(exchange.needs[0])


def telling(missing: Any) -> Any:
    error = denial(missing)
    if missing.target.project.endswith("-b"):  # the one that is there
        error.message += ", and it is there"
    return error


def lingering(missing: Any) -> Any:
    if missing.target.project.endswith("-b"):
        time.sleep(0.02)  # as if it looked at what is there
    return denial(missing)


def plant(hole: str) -> None:
    """Make the hole."""
    if hole in ("unguarded", "walled"):
        interceptors.BEFORE = steps(unguarded if hole == "unguarded" else walled)  # type: ignore[misc]
    elif hole == "telling":
        interceptors.denial = telling
    elif hole == "lingering":
        interceptors.denial = lingering
    elif hole == "unfiltered":
        projects.shown_to = lambda _: ()
    elif hole == "unsigned":
        signing.hmac.compare_digest = lambda *_: True  # type: ignore[assignment]
    else:
        raise ValueError(hole)


if __name__ == "__main__":
    plant(sys.argv.pop(1))
    main()
