"""Who changed what, and who was refused what."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from airspace.audit.v1 import audit_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import ScopePattern
from airspace_client import _wire
from airspace_client._model import AuditRecord, ChainHead, RecordKind, Verdict
from airspace_client._service import Service

ANY = "*"


class Audit:
    """The audit records of projects and of the server. "*" stands for every project or every domain."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def list(
        self,
        *,
        project: str = ANY,
        domain: str = ANY,
        principal: str = "",
        method: str = "",
        kind: RecordKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield records, newest first; what is empty restricts nothing. `method` is "/package.Service/Method"."""
        wanted = _filter(project, domain, principal, method, kind, since, until)
        request = pb.ListRecordsRequest(filter=wanted)
        return map(_wire.audit_record, self._service.pages("ListRecords", request, "records"))

    def export(
        self,
        *,
        project: str = ANY,
        domain: str = ANY,
        principal: str = "",
        method: str = "",
        kind: RecordKind | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Iterator[AuditRecord]:
        """Yield records in the order of their chains. A stream that breaks is taken up where it broke."""
        wanted = _filter(project, domain, principal, method, kind, since, until)
        request = pb.ExportRecordsRequest(filter=wanted)

        def seen(response: pb.ExportRecordsResponse) -> None:
            request.after.chain, request.after.sequence = response.record.chain, response.record.sequence

        for response in self._service.stream("ExportRecords", request, seen, None):
            yield _wire.audit_record(response.record)

    def verify(self, *, project: str = ANY, expected: Sequence[ChainHead] = ()) -> tuple[Verdict, ...]:
        """Verify the chain of a project, or of every one and the server; return how each was found.

        `expected` are heads that were seen before and kept where nobody can change them: each must still be there.
        """
        heads = [pb.ChainHead(chain=each.chain, sequence=each.sequence, hash=each.hash) for each in expected]
        request = pb.VerifyChainsRequest(project=project, expected=heads)
        found: dict[str, Verdict] = {}  # a stream that broke begins anew
        for response in self._service.stream("VerifyChains", request, lambda _: None, None):
            found[response.head.chain] = _wire.verdict(response)
        return tuple(found.values())


def _filter(
    project: str,
    domain: str,
    principal: str,
    method: str,
    kind: RecordKind | None,
    since: datetime | None,
    until: datetime | None,
) -> pb.RecordFilter:
    return pb.RecordFilter(
        pattern=ScopePattern(project=project, domain=domain),
        principal=principal,
        method=method,
        kind=f"RECORD_KIND_{kind}" if kind else None,
        since=_wire.stamp(since),
        until=_wire.stamp(until),
    )
