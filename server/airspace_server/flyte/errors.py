"""How Flyte's clients want errors: the codes and details that they act on, where those differ from our own contract's.

Source of the differences: the reference server's answers (InactiveProject and CreateWorkflowFailureReason details,
other content as INVALID_ARGUMENT), which flytekit and flytectl are written against.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from flyteidl.admin import event_pb2, project_pb2, workflow_pb2
from flyteidl.core import identifier_pb2
from google.protobuf.message import Message

from airspace_server.core.errors import ApiError, Code, Reason

_CODES: Final[Mapping[Reason, Code]] = {
    Reason.PROJECT_MISSING: Code.INVALID_ARGUMENT,
    Reason.PROJECT_ARCHIVED: Code.INVALID_ARGUMENT,
    Reason.DIFFERENT_CONTENT: Code.INVALID_ARGUMENT,
    Reason.NO_ACTIVE_VERSION: Code.NOT_FOUND,
}
"""The reasons whose code differs; every other one has its own."""


def translate(error: ApiError) -> tuple[Code, Iterable[Message]]:
    """Give the code and the details of an error on Flyte's wire."""
    return _CODES.get(error.reason, error.code), _details(error)


def _details(error: ApiError) -> Iterable[Message]:
    known = error.metadata
    if error.reason is Reason.PROJECT_ARCHIVED:
        yield project_pb2.InactiveProject(id=known.get("project", ""))
    elif error.reason is Reason.WRONG_STATE and "state" in known:
        yield event_pb2.EventFailureReason(
            already_in_terminal_state=event_pb2.EventErrorAlreadyInTerminalState(current_phase=known["state"])
        )
    elif known.get("kind") == "workflow" and error.reason in (Reason.DIFFERENT_CONTENT, Reason.ALREADY_EXISTS):
        id_ = identifier_pb2.Identifier(
            resource_type=identifier_pb2.WORKFLOW,
            project=known["project"],
            domain=known["domain"],
            name=known["name"],
            version=known["version"],
        )
        if error.reason is Reason.DIFFERENT_CONTENT:
            yield workflow_pb2.CreateWorkflowFailureReason(
                exists_different_structure=workflow_pb2.WorkflowErrorExistsDifferentStructure(id=id_)
            )
        else:
            yield workflow_pb2.CreateWorkflowFailureReason(
                exists_identical_structure=workflow_pb2.WorkflowErrorExistsIdenticalStructure(id=id_)
            )
