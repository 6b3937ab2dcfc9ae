"""What a front door is told about the call that it answers."""

from collections.abc import Callable
from dataclasses import dataclass

from airspace_server.access.decide import Grants, Visible
from airspace_server.access.identity import Principal


@dataclass(frozen=True, slots=True)
class Call:
    """An authorized call.

    `method` is its full name, as "/airspace.project.v1.ProjectService/GetProject". `visible` is set for lists over
    several scopes and only for them: it is what they must be restricted to. `grants` is the policy that the call was
    authorized with. `active` tells whether somebody still waits for the answer. `recheck` authenticates and authorizes
    the call once more and raises ApiError when it would be refused by now: streams ask it from time to time.
    """

    method: str
    principal: Principal
    request_id: str
    grants: Grants
    active: Callable[[], bool]
    recheck: Callable[[], None]
    visible: Visible | None = None

    def restriction(self) -> Visible:
        """Return what a list over several scopes must be restricted to.

        Raises RuntimeError when the RPC is not declared as such a list: a fault of the contract.
        """
        if self.visible is None:
            raise RuntimeError(f"{self.method} lists over scopes but is not guarded as a filtered list")
        return self.visible
