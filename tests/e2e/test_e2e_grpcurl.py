"""The native contract as anybody can call it: grpcurl, JSON and the server's reflection."""

import json

import grpc
import pytest
from e2e_clients import EXECUTIONS, PROJECT, SCOPE

PROJECTS = "airspace.project.v1.ProjectService"
LAUNCH_PLANS = "airspace.launchplan.v1.LaunchPlanService"
PRODUCTION = {"project": PROJECT, "domain": "production"}


def test_reflection_and_health_need_no_token(server, developer):
    services = developer.run("grpcurl", "-plaintext", server.grpc, "list").out.split()
    described = developer.run("grpcurl", "-plaintext", server.grpc, "describe", EXECUTIONS).out
    health = developer.run("grpcurl", "-plaintext", server.grpc, "grpc.health.v1.Health/Check").json()

    assert {PROJECTS, EXECUTIONS, LAUNCH_PLANS, "flyteidl.service.AdminService"} <= set(services)
    assert "permission:PERMISSION_EXECUTION_LAUNCH" in described
    assert health == {"status": "SERVING"}


@pytest.mark.parametrize("service", [PROJECTS, EXECUTIONS, "flyteidl.service.AdminService"])
def test_every_service_tells_its_own_health(server, developer, service):
    request = json.dumps({"service": service})
    health = developer.run("grpcurl", "-plaintext", "-d", request, server.grpc, "grpc.health.v1.Health/Check")

    assert health.json() == {"status": "SERVING"}


def test_an_execution_is_launched_with_json_watched_and_read(developer):
    launch = {"scope": SCOPE, "launch_plan": "double_lp", "version": "v1", "inputs": {"x": 3}}

    launched = developer.grpcurl(f"{EXECUTIONS}/LaunchExecution", launch)
    execution = {"execution": launched.json()["execution"]["id"]}
    watched = _documents(developer.grpcurl(f"{EXECUTIONS}/WatchExecution", execution).out)
    data = developer.grpcurl(f"{EXECUTIONS}/GetExecutionData", execution).json()

    assert [int(step["sequence"]) for step in watched] == list(range(1, len(watched) + 1))
    assert watched[-1]["execution"]["phase"] == "EXECUTION_PHASE_SUCCEEDED"
    assert data["inputs"] == {"x": 3, "unit": "pears"}
    assert data["outputs"] == {"o0": "6 pears"}
    assert data["output_literals"]["@type"].endswith("flyteidl.core.LiteralMap")


@pytest.mark.parametrize(
    ("method", "request_", "status", "reason"),
    [
        (f"{LAUNCH_PLANS}/ListLaunchPlans", {"scope": PRODUCTION}, "PERMISSION_DENIED", "PERMISSION_MISSING"),
        (f"{PROJECTS}/CreateProject", {"project": "mine"}, "PERMISSION_DENIED", "PERMISSION_MISSING"),
        (
            f"{EXECUTIONS}/GetExecution",
            {"execution": {"scope": SCOPE, "name": "nothing"}},
            "NOT_FOUND",
            "NOT_FOUND",
        ),
        (f"{EXECUTIONS}/LaunchExecution", {"scope": SCOPE}, "INVALID_ARGUMENT", "INVALID_FIELD"),
        (
            f"{EXECUTIONS}/LaunchExecution",
            {"scope": SCOPE, "launch_plan": "double_lp", "version": "v1", "inputs": {"x": "seven"}},
            "INVALID_ARGUMENT",
            "INPUT_INVALID",
        ),
        (
            f"{EXECUTIONS}/ListExecutions",
            {"scope": SCOPE, "page_token": "stolen"},
            "INVALID_ARGUMENT",
            "INVALID_PAGE_TOKEN",
        ),
        (
            "flyteidl.service.AdminService/CreateWorkflowEvent",
            {"event": {"execution_id": {**SCOPE, "name": "nothing"}}},
            "UNIMPLEMENTED",
            "NOT_IMPLEMENTED",
        ),
    ],
)
def test_a_refused_call_has_a_status_and_a_reason(developer, method, request_, status, reason):
    refused = developer.grpcurl(method, request_)

    assert refused.code == 64 + grpc.StatusCode[status].value[0]  # grpcurl's way to tell the status
    assert f'"reason":"{reason}"' in refused.err


def test_a_call_without_a_token_is_unauthenticated(server, developer):
    refused = developer.run("grpcurl", "-plaintext", "-d", "{}", server.grpc, f"{PROJECTS}/ListProjects")

    assert refused.code == 64 + grpc.StatusCode.UNAUTHENTICATED.value[0]
    assert '"reason":"TOKEN_MISSING"' in refused.err


def _documents(text):
    decoder, documents = json.JSONDecoder(), []
    while text := text.strip():
        document, end = decoder.raw_decode(text)
        documents.append(document)
        text = text[end:]
    return documents
