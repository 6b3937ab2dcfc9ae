"""Who may call what, written down once more and read by people: the authorization matrix is held against this.

Nothing here comes from the rules of the server. A change of the contract's options that nobody meant shows as a
difference to this table.
"""

from airspace_server.core.permissions import BUILT_IN_ROLES, Permission

PROJECT, REGISTRY, PLANS, REFERENCES, ACCESS, EXECUTIONS, AUDIT, SETTINGS, PROMOTIONS, NOTIFICATIONS = (
    "/airspace.project.v1.ProjectService",
    "/airspace.registry.v1.RegistryService",
    "/airspace.launchplan.v1.LaunchPlanService",
    "/airspace.reference.v1.ReferenceService",
    "/airspace.access.v1.AccessService",
    "/airspace.execution.v1.ExecutionService",
    "/airspace.audit.v1.AuditService",
    "/airspace.settings.v1.SettingsService",
    "/airspace.promotion.v1.PromotionService",
    "/airspace.notification.v1.NotificationService",
)
ADMIN, DATA, SIGNALS, AUTH, IDENTITY = (
    f"/flyteidl.service.{name}Service" for name in ("Admin", "DataProxy", "Signal", "AuthMetadata", "Identity")
)

SCOPE, WHOLE_PROJECT, SOME_DOMAIN, SERVER = "the scope", "every domain", "some domain", "everywhere"
"""Where a permission must be held: in the project and domain that the request names, and so on."""

_NEEDS = f"""
project.view          some domain    {PROJECT} GetProject
project.create        everywhere     {PROJECT} CreateProject
project.update        every domain   {PROJECT} UpdateProject
project.archive       every domain   {PROJECT} ArchiveProject RestoreProject
registry.register     the scope      {REGISTRY} RegisterTask RegisterWorkflow
registry.view         the scope      {REGISTRY} GetTask ListTasks GetWorkflow ListWorkflows
registry.register     the scope      {PLANS} RegisterLaunchPlan
registry.view         the scope      {PLANS} GetLaunchPlan GetActiveLaunchPlan ListLaunchPlans ListActivations
registry.view         the scope      {PLANS} ListScheduleTicks PreviewSchedule
launchplan.activate   the scope      {PLANS} ActivateLaunchPlan DeactivateLaunchPlan RollbackLaunchPlan
export.manage         the scope      {REFERENCES} CreateExport ListExports DeleteExport
registry.view         the scope      {REFERENCES} CreateExport ListDependents
access.manage         everywhere     {ACCESS} CreateRole DeleteRole CreateServiceAccount RotateServiceAccountSecret
access.manage         everywhere     {ACCESS} DisableServiceAccount EnableServiceAccount
access.view           everywhere     {ACCESS} ListServiceAccounts PreviewPolicy
access.view           the scope      {ACCESS} TestAccess
access.manage         the scope      {ACCESS} CreateBinding DeleteBinding
execution.launch      the scope      {EXECUTIONS} LaunchExecution
execution.terminate   the scope      {EXECUTIONS} TerminateExecution
execution.view        the scope      {EXECUTIONS} GetExecution ListExecutions WatchExecution GetExecutionData
execution.view        the scope      {EXECUTIONS} ListNodeExecutions GetNodeExecutionData GetQuotaUsage
settings.view         the scope      {SETTINGS} GetSettings
settings.update       the scope      {SETTINGS} UpdateNotifications
settings.view         the scope      {NOTIFICATIONS} ListDeliveries
execution.view        the scope      {NOTIFICATIONS} ListDeliveries
settings.update       everywhere     {SETTINGS} UpdateRunAs UpdateQuotas UpdateGates
registry.view         the scope      {PROMOTIONS} PreviewPromotion RequestPromotion GetPromotion ListPromotions
promotion.promote     the scope      {PROMOTIONS} RequestPromotion ApprovePromotion RejectPromotion
promotion.override    the scope      {PROMOTIONS} OverridePromotion
launchplan.activate   the scope      {PROMOTIONS} RequestPromotion ApprovePromotion OverridePromotion
audit.view            the scope      {AUDIT} ListRecords ExportRecords
audit.view            every domain   {AUDIT} VerifyChains

project.view          some domain    {ADMIN} GetProject
project.create        everywhere     {ADMIN} RegisterProject
project.update        every domain   {ADMIN} UpdateProject
project.archive       every domain   {ADMIN} UpdateProject
registry.register     the scope      {ADMIN} CreateTask CreateWorkflow CreateLaunchPlan
registry.view         the scope      {ADMIN} GetTask ListTaskIds ListTasks GetWorkflow ListWorkflowIds ListWorkflows
registry.view         the scope      {ADMIN} GetLaunchPlan GetActiveLaunchPlan ListActiveLaunchPlans ListLaunchPlanIds
registry.view         the scope      {ADMIN} ListLaunchPlans ListNamedEntities GetNamedEntity GetDescriptionEntity
registry.view         the scope      {ADMIN} ListDescriptionEntities
registry.update       the scope      {ADMIN} UpdateNamedEntity
launchplan.activate   the scope      {ADMIN} UpdateLaunchPlan
execution.launch      the scope      {ADMIN} CreateExecution RelaunchExecution RecoverExecution
execution.terminate   the scope      {ADMIN} UpdateExecution TerminateExecution
execution.terminate   the scope      {ADMIN} CreateWorkflowEvent CreateNodeEvent CreateTaskEvent
execution.view        the scope      {ADMIN} GetExecution GetExecutionData ListExecutions GetNodeExecution
execution.view        the scope      {ADMIN} GetDynamicNodeWorkflow ListNodeExecutions ListNodeExecutionsForTask
execution.view        the scope      {ADMIN} GetNodeExecutionData GetTaskExecution ListTaskExecutions
execution.view        the scope      {ADMIN} GetTaskExecutionData GetExecutionMetrics
settings.update       the scope      {ADMIN} UpdateProjectDomainAttributes DeleteProjectDomainAttributes
settings.update       the scope      {ADMIN} UpdateWorkflowAttributes DeleteWorkflowAttributes
settings.view         the scope      {ADMIN} GetProjectDomainAttributes GetWorkflowAttributes
settings.update       every domain   {ADMIN} UpdateProjectAttributes DeleteProjectAttributes
settings.view         every domain   {ADMIN} GetProjectAttributes
artifact.write        the scope      {DATA} CreateUploadLocation
artifact.read         the scope      {DATA} CreateDownloadLocation
execution.view        the scope      {DATA} CreateDownloadLink GetData
execution.signal      the scope      {SIGNALS} GetOrCreateSignal SetSignal
execution.view        the scope      {SIGNALS} ListSignals
"""


def _needs() -> dict[str, list[tuple[Permission, str]]]:
    needs: dict[str, list[tuple[Permission, str]]] = {}
    for line in filter(None, _NEEDS.splitlines()):
        permission, first, second, service, *methods = line.replace("everywhere", "everywhere -").split()
        where = f"{first} {second}".removesuffix(" -")
        for method in methods:
            needs.setdefault(f"{service}/{method}", []).append((Permission(permission), where))
    return needs


NEEDS = _needs()
"""What each RPC needs, and where."""
FILTERED = {f"{PROJECT}/ListProjects", f"{ADMIN}/ListProjects", f"{ADMIN}/ListMatchableAttributes"} | {
    f"{ACCESS}/ListBindings"
}
"""Lists that anybody may ask for who has a token, and that show what the caller may see."""
AUTHENTICATED = {
    *(f"{ACCESS}/{name}" for name in ("WhoAmI", "ListRoles")),
    *(f"{ADMIN}/{name}" for name in ("GetDomains", "GetVersion")),
    f"{PROJECT}/ListDomains",
    f"{IDENTITY}/UserInfo",
}
"""RPCs for anybody who has a token."""
PUBLIC = {f"{AUTH}/GetOAuth2Metadata", f"{AUTH}/GetPublicClientConfig"}
"""What a client needs before it can have a token."""

CUSTOM = ("night-watch", (Permission.EXECUTION_VIEW, Permission.LAUNCHPLAN_ACTIVATE, Permission.PROJECT_VIEW))
"""A role of an operator's own."""
ROLES = {**BUILT_IN_ROLES, CUSTOM[0]: frozenset(CUSTOM[1])}


def allowed(path: str, role: str | None, pattern: str, project: str, domain: str) -> bool:
    """Tell whether a caller with this one binding may call this RPC about a project and domain."""
    own_project, own_domain = pattern.split("/")
    in_project = own_project in ("*", project)
    holds_there = {
        SCOPE: in_project and own_domain in ("*", domain),
        WHOLE_PROJECT: in_project and own_domain == "*",
        SOME_DOMAIN: in_project,
        SERVER: pattern == "*/*",
    }
    held = ROLES[role] if role else frozenset()
    return all(permission in held and holds_there[where] for permission, where in NEEDS.get(path, ()))
