"""Records what the HTTP port refuses: logins, and signed URLs that are not valid.

Who tried is not known, and what a client says of itself is not taken for it: these are refusals of nobody.
"""

from collections.abc import Callable, Iterable
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airspace_server.audit.ledger import LOGIN_REFUSED, Refusal
from airspace_server.core.errors import Reason
from airspace_server.core.scope import ANY

_REASONS: Final = {401: LOGIN_REFUSED, 429: LOGIN_REFUSED, 403: Reason.PERMISSION_MISSING.value}
"""Why a request was refused, by the status of its answer; every other answer refuses nobody."""


def recorded(routes: Iterable[Route], refused: Callable[[Refusal, str], None]) -> list[Route]:
    """Return the routes such that `refused` is told of every request that they refuse.

    The method of such a refusal is the HTTP method and the route, such as "PUT /artifacts/{project}/{domain}/{path}";
    its project and domain are those of the path.
    """
    told = list(routes)
    for route in told:
        route.app = _Recorded(route.app, route.path_format, refused)
    return told


class _Recorded:
    """One route's application, with an ear on the status that it answers with."""

    def __init__(self, app: ASGIApp, route: str, refused: Callable[[Refusal, str], None]) -> None:
        self._app = app
        self._route = route
        self._refused = refused

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def listen(message: Message) -> None:
            reason = _REASONS.get(message.get("status", 0))
            if reason is not None:
                named = scope["path_params"]
                method = f"{scope['method']} {self._route}"
                refusal = Refusal("", method, "", named.get("project", ""), named.get("domain", ANY), reason)
                self._refused(refusal, "")
            await send(message)

        await self._app(scope, receive, listen)
