import subprocess
import sys

import airspace_client


def test_the_public_names_are_these() -> None:
    assert airspace_client.__all__ == sorted(airspace_client.__all__, key=lambda name: (not name.isupper(), name))
    assert set(airspace_client.__all__) == {
        "TLS", "Aborted", "AccessAnswer", "Activation", "ActivationCause",
        "AirspaceClient", "AirspaceError", "AlreadyExists", "AuditRecord",
        "Binding", "ChainHead", "Change", "ClientCredentials", "CommandToken", "ConfigError", "Data",
        "DeadlineExceeded", "Dependent", "Domain", "EntityKind", "ErrorKind", "Execution", "ExecutionError",
        "ExecutionHandle", "ExecutionPhase", "Export", "FailedPrecondition", "FlippedCalls", "Identity",
        "InternalError", "InvalidArgument", "LaunchPlan", "LaunchPlanState", "NodeExecution", "NodePhase",
        "NotFound", "PermissionDenied", "Project", "ProjectState", "Quota", "QuotaUsage", "Quotas", "Reason",
        "RecordKind", "Registered",
        "ResourceExhausted", "Role", "RunAs", "ServiceAccount", "ServiceAccountSecret", "Settings", "StaticToken",
        "Task", "Token", "TokenSource", "Transition", "Unauthenticated", "Unavailable", "Unimplemented", "Verdict",
        "WaitReason", "Waiting", "Approval", "Difference", "DifferenceKind", "EntryState", "Freeze", "Gate", "Gates",
        "Tick", "TickOutcome", "Promotion", "PromotionEntry", "PromotionPreview", "PromotionState",
        "Delivery", "DeliveryState", "EmailTarget", "NotificationChannel", "NotificationEvent", "NotificationRule",
        "Notifications", "SlackTarget", "WebhookTarget", "Workflow",
    }  # fmt: skip
    assert all(getattr(airspace_client, name) for name in airspace_client.__all__)
    assert not hasattr(airspace_client, "Airspace")


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_the_public_methods_are_these() -> None:
    with airspace_client.AirspaceClient.connect("127.0.0.1:1") as client:
        assert public(client) == {
            "projects", "tasks", "workflows", "launch_plans", "references", "executions", "access", "audit",
            "settings", "settings_service", "promotions", "promotion_service", "notifications", "notification_service",
            "project_service", "registry_service", "launch_plan_service", "reference_service",
            "execution_service", "access_service", "audit_service",
            "connect", "from_config", "close", "metadata", "target", "credentials",
        }  # fmt: skip
        assert public(client.projects) == {"list", "get", "create", "update", "archive", "restore", "list_domains"}
        assert public(client.tasks) == public(client.workflows) == {"register", "get", "list"}
        assert public(client.launch_plans) == {
            "register", "get", "get_active", "list", "activate", "deactivate", "rollback", "activations",
            "ticks", "next_ticks",
        }  # fmt: skip
        assert public(client.references) == {"create_export", "list_exports", "delete_export", "dependents"}
        assert public(client.executions) == {"launch", "handle", "get", "list", "quota_usage"}
        assert public(client.executions.handle("p", "d", "n")) == {
            "project", "domain", "name", "launched",
            "get", "watch", "wait", "terminate", "data", "inputs", "outputs", "nodes", "node_data",
        }  # fmt: skip
        assert public(client.settings) == {"get", "set_gates", "set_notifications", "set_quotas", "set_run_as"}
        assert public(client.notifications) == {"list"}
        assert public(client.promotions) == {"preview", "request", "get", "list", "approve", "reject", "override"}
        assert public(client.audit) == {"list", "export", "verify"}
        assert public(client.access) == {
            "who_am_i", "list_roles", "create_role", "delete_role", "list_bindings", "create_binding",
            "delete_binding", "create_service_account", "list_service_accounts", "rotate_service_account_secret",
            "disable_service_account", "enable_service_account", "test", "preview",
        }  # fmt: skip


def loaded(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(ran.stdout.splitlines()[-1].split())


def test_the_client_needs_nothing_of_the_server_or_of_flyte() -> None:
    modules = loaded("from airspace_client import AirspaceClient; import airspace_client.cli.main")
    assert not modules & {"airspace_server", "flyteidl", "flytekit", "sqlalchemy"}


def test_the_command_line_starts_without_what_only_a_call_needs() -> None:
    assert not loaded("import airspace_client.cli.main") & {"grpc", "google", "httpx", "yaml", "rich"}
