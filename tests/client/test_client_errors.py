import pickle
import re
from pathlib import Path

import grpc
import pytest
from client_samples import P
from client_servers import ScriptedServer, fail

import airspace_client
from airspace.error.v1.error_reason_pb2 import ErrorReason
from airspace_client import AirspaceClient, AirspaceError, NotFound, PermissionDenied, Reason, _errors

CONTRACT = Path(__file__).parents[2] / "protos/airspace/error/v1/error_reason.proto"


def reasons_and_codes() -> dict[str, str]:
    """The contract documents the code of each reason as the first word of its comment."""
    text = CONTRACT.read_text()
    return {
        reason: code
        for code, reason in re.findall(r"  // ([A-Z_]+)\. [^\n]*\n(?:  //[^\n]*\n)*  ERROR_REASON_(\w+) =", text)
    }


def test_every_reason_of_the_contract_has_a_name_here() -> None:
    of_the_contract = {name.removeprefix("ERROR_REASON_") for name in dict(ErrorReason.items())} - {"UNSPECIFIED"}
    assert set(Reason) == of_the_contract == set(reasons_and_codes())


@pytest.mark.parametrize(("reason", "code"), reasons_and_codes().items())
def test_every_reason_arrives_as_the_exception_of_its_code(
    reason: str, code: str, server: ScriptedServer, client: AirspaceClient
) -> None:
    server.script("CreateRole", fail(code, reason, "because", {"key": "value"}))  # a call that is never repeated
    with pytest.raises(AirspaceError) as caught:
        client.access.create_role("r", [])
    error = caught.value
    assert type(error) is _errors.ERRORS[code]
    assert type(error) is not AirspaceError
    assert (error.code, error.reason, error.message) == (code, Reason(reason), "because")
    assert error.metadata == {"key": "value"}
    assert str(error) == f"{reason}: because"


def test_every_grpc_code_has_an_exception() -> None:
    assert set(_errors.ERRORS) == {code.name for code in grpc.StatusCode} - {"OK"}


def test_an_invalid_field_is_named(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script(
        "GetProject",
        fail("INVALID_ARGUMENT", "INVALID_FIELD", field="project"),
        fail("INVALID_ARGUMENT", "INVALID_FIELD", metadata={"field": "project"}),
    )
    for _ in range(2):
        with pytest.raises(airspace_client.InvalidArgument) as caught:
            client.projects.get("P")
        assert caught.value.field == "project"


def test_a_fault_of_the_server_says_what_to_look_for_in_its_log(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("GetProject", fail("INTERNAL", "INTERNAL", metadata={"request_id": "r-17"}))
    with pytest.raises(airspace_client.InternalError) as caught:
        client.projects.get(P)
    assert caught.value.request_id == "r-17"


def test_a_reason_of_a_newer_server_passes_through(server: ScriptedServer, client: AirspaceClient) -> None:
    server.script("GetProject", fail("NOT_FOUND", "LOST_AT_SEA"))
    with pytest.raises(NotFound) as caught:
        client.projects.get(P)
    assert caught.value.reason == "LOST_AT_SEA"


def test_an_error_of_someone_in_between_has_no_reason_and_names_the_target(
    server: ScriptedServer, client: AirspaceClient
) -> None:
    server.script("GetProject", fail("PERMISSION_DENIED"), fail("PERMISSION_DENIED", "NO_BILLING", domain="else.where"))
    for _ in range(2):
        with pytest.raises(PermissionDenied) as caught:
            client.projects.get(P)
        assert caught.value.reason == ""
        assert caught.value.message == f"{server.target}: because"


def test_details_that_do_not_belong_to_the_status_are_not_believed(
    server: ScriptedServer, client: AirspaceClient
) -> None:
    def garbled(_request, context) -> None:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\xff\xff"),))
        context.abort(grpc.StatusCode.NOT_FOUND, "because")

    server.script("GetProject", garbled)
    with pytest.raises(NotFound) as caught:
        client.projects.get(P)
    assert caught.value.reason == ""


def test_an_error_survives_a_process_boundary() -> None:
    error = NotFound("gone", reason="NOT_FOUND", metadata={"kind": "project"}, field="f", request_id="r")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), vars(again), str(again)) == (NotFound, vars(error), str(error))


def test_the_tree_in_the_docstring_is_the_tree() -> None:
    drawn = re.findall(r"[├└]── (\w+)", _errors.__doc__)
    children = {cls.__name__ for cls in AirspaceError.__subclasses__()}
    assert set(drawn) == children
    assert children < set(airspace_client.__all__)
