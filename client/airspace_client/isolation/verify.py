"""The verification: two throwaway projects, accounts of every role, every RPC of each at every place.

The first project is the accounts' own. The second one has things in it that no account may ever see; a third one does
not exist, and must look like the second. Requests name a place and nothing else: whoever may call is told that the
request is not valid, so the verification changes nothing but the projects and accounts that it makes.
"""

import hashlib
import secrets
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

import grpc
import httpx

from airspace_client import AirspaceClient, AirspaceError
from airspace_client._auth import ClientCredentials
from airspace_client.isolation.expected import OWN, WHOLE, Account, rules
from airspace_client.isolation.wire import Answer, Caller, Reflected

OTHER: Final = "production"
"""The domain that accounts of one domain are not bound in."""
_THREADS: Final = 8
_BETWEEN_LOOKS: Final = 0.05
_PAIRS: Final = 40
_APART, _NOISE = 2.0, 2.0
"""How many times the faster median, and milliseconds more, make a difference: what a look at the database costs."""
_KNOWN_WITHIN: Final = 10.0
"""Seconds after which every process must know the accounts: ten times what the server promises."""
_UPLOAD: Final = "/flyteidl.service.DataProxyService/CreateUploadLocation"
_TIMED: Final = (
    "/airspace.registry.v1.RegistryService/GetTask",
    "/airspace.execution.v1.ExecutionService/GetExecution",
    "/airspace.project.v1.ProjectService/GetProject",
)
_DENIED: Final = ("PERMISSION_DENIED", "PERMISSION_MISSING")


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be."""

    check: str
    rpc: str
    account: str
    place: str
    found: str


@dataclass(slots=True)
class Check:
    """One kind of check: how often it was made, and what it found."""

    name: str
    cells: int = 0
    faults: list[Fault] = field(default_factory=list)

    def expect(self, good: bool, rpc: str, account: str, place: str, found: str) -> None:
        """Count a cell, and keep it when it is not good."""
        self.cells += 1
        if not good:
            self.faults.append(Fault(self.name, rpc, account, place, found))


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians, in milliseconds, of refusals about what is there and what is not, taken in turns."""

    rpc: str
    there: float
    missing: float

    @property
    def apart(self) -> bool:
        """Whether one can be told from the other by its time, on a network as quiet as a machine's own."""
        slower, faster = max(self.there, self.missing), min(self.there, self.missing)
        return slower > _APART * faster + _NOISE


@dataclass(frozen=True, slots=True)
class Report:
    """What a verification found."""

    checks: Sequence[Check]
    timings: Sequence[Timing]

    @property
    def faults(self) -> list[Fault]:
        """Everything that is not as it must be."""
        return [fault for check in self.checks for fault in check.faults]


@dataclass(frozen=True, slots=True)
class _Place:
    words: str
    project: str
    domain: str
    own: bool


class Verification:
    """Verifies the deployment that `admin`, with `credentials`, and `channel` are connected to."""

    def __init__(self, admin: AirspaceClient, channel: grpc.Channel, credentials: ClientCredentials) -> None:
        self._admin = admin
        self._channel = channel
        self._credentials = credentials
        self._rules = rules()
        self._native_url = ""
        self._reflected = Reflected(channel)
        run = secrets.token_hex(4)
        self._own, self._their, self._nobodys = (f"verify-{run}-{letter}" for letter in "abc")
        self._canary = f"canary-{secrets.token_hex(8)}"

    def run(self) -> Report:
        """Make everything, check everything, take everything away again. Raises AirspaceError when it cannot."""
        with ExitStack() as undo:
            accounts = self._accounts(undo)
            callers = {name: Caller(self._channel, token) for name, (_, token) in accounts.items()}
            checks = [self._known()]
            checks += self._matrix([account for account, _ in accounts.values()], callers)
            checks.append(self._urls(callers))
            timings = [self._timing(callers, path) for path in _TIMED if path in self._reflected.methods]
            checks.append(self._as_long(timings))
        return Report(checks, timings)

    # --- what there is for the time of the run

    def _accounts(self, undo: ExitStack) -> dict[str, tuple[Account, str]]:
        access, projects = self._admin.access, self._admin.projects
        for project in (self._own, self._their):
            projects.create(project, description=self._canary if project == self._their else "")
            undo.callback(self._quietly, projects.archive, project)
        self._register_canary()
        self._native_url = self._locate()
        made: dict[str, tuple[Account, str]] = {}
        roles = [role for role in access.list_roles() if role.built_in]
        for number, (role, domain) in enumerate((role, domain) for role in roles for domain in (OWN, WHOLE)):
            account = Account(f"{role.name} in {self._words(domain)}", domain, frozenset(role.permissions))
            made[account.name] = (account, self._log_in(undo, number, role.name, domain))
        nobody = Account("nobody", OWN, frozenset())
        made[nobody.name] = (nobody, self._log_in(undo, len(made), "", ""))
        self._await_known(made[nobody.name][1])
        return made

    def _await_known(self, token: str) -> None:
        """Wait until every service knows the account that was made last, and with it those before.

        Each process reads the policy again within a second of a change; until then a new account is nobody there. One
        that does not in time goes on into the checks, which then say so.
        """
        caller, deadline = Caller(self._channel, token), time.monotonic() + _KNOWN_WITHIN
        services = {path.rpartition("/")[0]: path for path in self._reflected.methods if self._needs(path)}
        for path in services.values():
            method, request = self._reflected.methods[path], self._reflected.request(path, self._own, OWN, "")
            while caller.call(method, path, request).code == "UNAUTHENTICATED" and time.monotonic() < deadline:
                time.sleep(_BETWEEN_LOOKS)

    def _needs(self, path: str) -> bool:
        return path in self._rules and bool(self._rules[path].needs)

    def _log_in(self, undo: ExitStack, number: int, role: str, domain: str) -> str:
        access = self._admin.access
        account = access.create_service_account(f"{self._own}-{number}")
        undo.callback(self._quietly, access.disable_service_account, account.name)
        if role:
            member, project = f"service-account:{account.name}", self._own
            access.create_binding(member, role, project=project, domain=domain)
            undo.callback(self._quietly, lambda: access.delete_binding(member, role, project=project, domain=domain))
        return self._credentials.of(account.name, account.secret).token().value

    def _register_canary(self) -> None:
        """Put a task where no account may look, and whose name none of them ever says."""
        spec = self._reflected.message("flyteidl.admin.TaskSpec")
        spec.template.type = "python-task"
        spec.template.metadata.SetInParent()
        spec.template.interface.SetInParent()
        spec.template.container.image = self._canary
        self._admin.tasks.register(self._their, OWN, self._canary, "v1", spec)

    @staticmethod
    def _quietly(action: Any, *arguments: Any) -> None:
        with suppress(AirspaceError):  # whatever is left: the rest is still to be taken away
            action(*arguments)

    @staticmethod
    def _words(domain: str) -> str:
        return "one domain" if domain == OWN else "the project"

    # --- the checks

    def _known(self) -> Check:
        """Every RPC that the server has must have a rule here: one that nobody knows is not verified."""
        check = Check("every RPC is known")
        for path in sorted({*self._reflected.methods, *self._rules}):
            known, served = path in self._rules, path in self._reflected.methods
            check.expect(known and served, path, "", "", "not served" if known else "has no published rule")
        return check

    def _matrix(self, accounts: Sequence[Account], callers: dict[str, Caller]) -> list[Check]:
        refused, let_in = Check("what must be refused is"), Check("what may be done is not refused")
        alike, canary = Check("what is there looks like what is not"), Check("nothing of the other project is shown")
        places = (
            _Place("own domain", self._own, OWN, own=True),
            _Place("another domain", self._own, OTHER, own=True),
            _Place("another project", self._their, OWN, own=False),
            _Place("no project", self._nobodys, OWN, own=False),
        )

        def ask(account: Account, path: str) -> None:
            answers = {place.words: self._ask(callers[account.name], path, place) for place in places}
            for place in places:
                answer = answers[place.words]
                found = f"{answer.code} {answer.reason}".strip()
                denied = (answer.code, answer.reason) == _DENIED
                if account.may(self._rules[path], own_project=place.own, domain=place.domain):
                    good = not denied and answer.code != "UNAUTHENTICATED"
                    let_in.expect(good, path, account.name, place.words, found)
                elif self._rules[path].needs:
                    refused.expect(denied, path, account.name, place.words, found)
                shown = self._canary.encode() in answer.seen
                canary.expect(not shown, path, account.name, place.words, "shows what is the other project's")
            if self._rules[path].needs:
                there, missing = answers["another project"], answers["no project"]
                same = there.seen.replace(self._their.encode(), self._nobodys.encode()) == missing.seen
                found = f"{there.code} there, {missing.code} where nothing is"
                alike.expect(same and there.code == missing.code, path, account.name, "another project", found)

        paths = sorted(path for path in self._reflected.methods if path in self._rules)
        with ThreadPoolExecutor(_THREADS) as threads:
            for done in [threads.submit(ask, account, path) for account in accounts for path in paths]:
                done.result()
        return [refused, let_in, alike, canary]

    def _ask(self, caller: Caller, path: str, place: _Place) -> Answer:
        url = self._native_url.replace(f"/{self._own}/{OWN}/", f"/{place.project}/{place.domain}/")
        request = self._reflected.request(path, place.project, place.domain, url)
        return caller.call(self._reflected.methods[path], path, request)

    def _locate(self) -> str:
        """Return where an upload of the own project would lie, as the server says it to its administrator."""
        native_url: str = self._signed(Caller(self._channel, self._credentials.token().value)).native_url
        return native_url

    def _signed(self, caller: Caller) -> Any:
        answer = caller.call(self._reflected.methods[_UPLOAD], _UPLOAD, self._upload())
        located = self._reflected.message("flyteidl.service.CreateUploadLocationResponse")
        located.ParseFromString(answer.seen if answer.code == "OK" else b"")
        return located

    def _upload(self) -> Any:
        request: Any = self._reflected.request(_UPLOAD, self._own, OWN, "")
        request.content_md5 = hashlib.md5(b"x", usedforsecurity=False).digest()
        request.filename = "verify"
        return request

    def _urls(self, callers: dict[str, Caller]) -> Check:
        """Use a signed URL for what it was not signed for."""
        check = Check("signed URLs hold for one file and one use")
        name = f"contributor in {self._words(OWN)}"
        url = self._signed(callers[name]).signed_url
        check.expect(bool(url), _UPLOAD, name, "own domain", "no URL was signed")
        if url:
            signed = urlsplit(url)
            moved = [
                signed._replace(path=signed.path.replace(*swap)).geturl()
                for swap in ((f"/{self._own}/", f"/{self._their}/"), (f"/{OWN}/", f"/{OTHER}/"), ("/verify", "/other"))
            ]
            unsigned = signed._replace(query="").geturl()
            with httpx.Client(timeout=20) as http:
                for target in (*moved, unsigned):
                    status = http.put(target, content=b"x").status_code
                    check.expect(status in (401, 403, 404), f"PUT {urlsplit(target).path}", name, "", str(status))
                status = http.get(url).status_code
                check.expect(status in (401, 403, 404, 405), "GET of a URL for PUT", name, "", str(status))
        return check

    @staticmethod
    def _as_long(timings: Sequence[Timing]) -> Check:
        check = Check("what is there is not refused later than what is not")
        for timing in timings:
            found = f"{timing.there} ms there, {timing.missing} ms where nothing is"
            check.expect(not timing.apart, timing.rpc, "nobody", "another project", found)
        return check

    def _timing(self, callers: dict[str, Caller], path: str) -> Timing:
        times: dict[str, list[float]] = {self._their: [], self._nobodys: []}
        for _ in range(_PAIRS):
            for project, taken in times.items():
                request = self._reflected.request(path, project, OWN, "")
                began = time.perf_counter()
                callers["nobody"].call(self._reflected.methods[path], path, request)
                taken.append((time.perf_counter() - began) * 1000)
        there, missing = (round(statistics.median(taken), 2) for taken in times.values())
        return Timing(path, there, missing)
