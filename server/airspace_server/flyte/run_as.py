"""Finds the identities that Flyte's messages name, and refuses what only the server may say.

The fields are flyteidl's: security_context.run_as, the older auth_role and auth, and role, which is older still.
"""

from collections.abc import Iterator

from flyteidl.admin import common_pb2, execution_pb2, launch_plan_pb2
from flyteidl.core import compiler_pb2, security_pb2, tasks_pb2

from airspace_server.core import names
from airspace_server.core.errors import invalid_field
from airspace_server.core.run_as import IdentityKind, NamedIdentity


def named_by_task(template: tasks_pb2.TaskTemplate, path: str) -> Iterator[NamedIdentity]:
    """Yield what a task names. Raises INVALID_FIELD for an identity of another kind, and for impersonating labels."""
    yield from _of_context(template.security_context, f"{path}.security_context")
    if template.WhichOneof("target") == "k8s_pod":
        require_own_labels(template.k8s_pod.metadata.labels, f"{path}.k8s_pod.metadata.labels")
        require_own_labels(template.k8s_pod.metadata.annotations, f"{path}.k8s_pod.metadata.annotations")
        for key in ("serviceAccountName", "serviceAccount"):
            if key in template.k8s_pod.pod_spec:
                named = str(template.k8s_pod.pod_spec[key])
                yield NamedIdentity(IdentityKind.SERVICE_ACCOUNT, named, f"{path}.k8s_pod.pod_spec.{key}")


def named_by_launch_plan(spec: launch_plan_pb2.LaunchPlanSpec, path: str) -> Iterator[NamedIdentity]:
    """Yield what a launch plan names. Raises INVALID_FIELD as `named_by_task` does."""
    require_own_labels(spec.labels.values, f"{path}.labels")
    require_own_labels(spec.annotations.values, f"{path}.annotations")
    yield from _of_context(spec.security_context, f"{path}.security_context")
    yield from _of_role(spec.auth_role, f"{path}.auth_role")
    yield from _of_role(spec.auth, f"{path}.auth")
    if spec.role:
        yield NamedIdentity(IdentityKind.IAM_ROLE, spec.role, f"{path}.role")


def named_by_execution(spec: execution_pb2.ExecutionSpec, path: str) -> Iterator[NamedIdentity]:
    """Yield what whoever launches names, whose execution_identity is not looked at: the server sets it."""
    require_own_labels(spec.labels.values, f"{path}.labels")
    require_own_labels(spec.annotations.values, f"{path}.annotations")
    yield from _of_identity(spec.security_context.run_as, f"{path}.security_context.run_as")
    yield from _of_role(spec.auth_role, f"{path}.auth_role")


def named_by_closure(closure: compiler_pb2.CompiledWorkflowClosure) -> Iterator[NamedIdentity]:
    """Yield what the tasks of a compiled workflow name."""
    for task in closure.tasks:
        yield from named_by_task(task.template, f"task {task.template.id.name}")


def require_own_labels(keys: object, path: str) -> None:
    """Raise INVALID_FIELD for the first label or annotation that would make a pod somebody else's."""
    for key in keys:  # type: ignore[attr-defined]
        if names.impersonates(key):
            raise invalid_field(path, f"must not have {key!r}, by which somebody else's identity or work is known")


def _of_context(context: security_pb2.SecurityContext, path: str) -> Iterator[NamedIdentity]:
    identity = context.run_as
    if identity.execution_identity:
        raise invalid_field(f"{path}.run_as.execution_identity", "cannot be set: it is always who launches")
    yield from _of_identity(identity, f"{path}.run_as")


def _of_identity(identity: security_pb2.Identity, path: str) -> Iterator[NamedIdentity]:
    if identity.HasField("oauth2_client"):
        raise invalid_field(f"{path}.oauth2_client", "cannot be set: tasks get no clients of this server's")
    if identity.k8s_service_account:
        named = f"{path}.k8s_service_account"
        yield NamedIdentity(IdentityKind.SERVICE_ACCOUNT, identity.k8s_service_account, named)
    if identity.iam_role:
        yield NamedIdentity(IdentityKind.IAM_ROLE, identity.iam_role, f"{path}.iam_role")


def _of_role(role: common_pb2.AuthRole | launch_plan_pb2.Auth, path: str) -> Iterator[NamedIdentity]:
    if role.kubernetes_service_account:
        named = f"{path}.kubernetes_service_account"
        yield NamedIdentity(IdentityKind.SERVICE_ACCOUNT, role.kubernetes_service_account, named)
    if role.assumable_iam_role:
        yield NamedIdentity(IdentityKind.IAM_ROLE, role.assumable_iam_role, f"{path}.assumable_iam_role")
