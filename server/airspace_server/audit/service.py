"""The front door of airspace.audit.v1. The interceptors have authenticated, authorized and validated every call."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from airspace.audit.v1 import audit_service_pb2 as pb
from airspace_server.access.call import Call
from airspace_server.access.messages import timestamp
from airspace_server.audit import store
from airspace_server.audit.chain import Head, Kind, Link
from airspace_server.audit.store import Verdict, Wanted
from airspace_server.core.errors import invalid_field
from airspace_server.core.scope import ANY, ScopePattern
from airspace_server.storage.database import Database
from airspace_server.storage.paging import Pager, page_size

_KINDS: Final[Mapping[Kind, Any]] = {kind: pb.RecordKind.Value(f"RECORD_KIND_{kind.value}") for kind in Kind}
_KIND_OF: Final[Mapping[int, Kind]] = {number: kind for kind, number in _KINDS.items()}
_LATEST: Final = 2**62  # microseconds; what every database can compare with
_RECHECK: Final = 1_000  # records


class AuditService:
    """airspace.audit.v1.AuditService. `key` is what the heads of the chains are sealed with."""

    def __init__(self, database: Database, key: bytes, pager: Pager) -> None:
        self._database = database
        self._key = key
        self._pager = pager

    def ListRecords(self, request: pb.ListRecordsRequest, _call: Call) -> pb.ListRecordsResponse:
        """List records, newest first."""
        wanted = _wanted(request.filter)
        size = page_size(request.page_size)
        query = f"audit\0{wanted}"
        position = self._pager.position(query, request.page_token)
        with self._database.read() as tx:
            links, end = store.newest(tx, wanted, position, size)
        token = self._pager.token(query, end) if end else ""
        return pb.ListRecordsResponse(records=map(_record, links), next_page_token=token)

    def ExportRecords(self, request: pb.ExportRecordsRequest, call: Call) -> Iterator[pb.ExportRecordsResponse]:
        """Stream records in the order of their chains, as long as the caller may see them."""
        position = (request.after.chain, request.after.sequence) if request.HasField("after") else None
        for place, link in enumerate(store.export(self._database, _wanted(request.filter), position), start=1):
            yield pb.ExportRecordsResponse(record=_record(link))
            if place % _RECHECK == 0:
                call.recheck()

    def VerifyChains(self, request: pb.VerifyChainsRequest, call: Call) -> Iterator[pb.VerifyChainsResponse]:
        """Verify chain after chain, as long as the caller may see them."""
        expected: dict[str, list[Head]] = {}
        for place, head in enumerate(request.expected):
            if request.project not in (ANY, head.chain):
                raise invalid_field(f"expected[{place}].chain", "is not a chain that is verified")
            if head.sequence < 1:
                raise invalid_field(f"expected[{place}].sequence", "must be at least 1")
            expected.setdefault(head.chain, []).append(Head(head.sequence, head.hash))
        for verdict in store.verify(self._database, self._key, request.project, expected):
            yield _verdict(verdict)
            call.recheck()


def _wanted(filter_: pb.RecordFilter) -> Wanted:
    if filter_.kind and filter_.kind not in _KIND_OF:
        raise invalid_field("filter.kind", "must be a kind of record that this server knows")
    return Wanted(
        ScopePattern(filter_.pattern.project, filter_.pattern.domain),
        filter_.principal,
        filter_.method,
        _KIND_OF.get(filter_.kind),
        _time(filter_.since, "filter.since"),
        _time(filter_.until, "filter.until"),
    )


def _time(stamp: Timestamp, path: str) -> int:
    microseconds = stamp.seconds * 1_000_000 + stamp.nanos // 1_000
    if not 0 <= microseconds < _LATEST:
        raise invalid_field(path, "must be a time since 1970")
    return microseconds


def _record(link: Link) -> pb.Record:
    record = link.record
    return pb.Record(
        chain=record.chain,
        sequence=record.sequence,
        time=timestamp(record.at),
        kind=_KINDS[record.kind],
        principal=record.principal,
        origin=record.origin,
        method=record.method,
        permission=record.permission,
        domain=record.domain,
        reason=record.reason,
        request_id=record.request_id,
        count=record.count,
        changes=[
            pb.Change(domain=each.domain, resource=each.resource, before=each.before, after=each.after)
            for each in record.changes
        ],
        previous_hash=link.previous,
        hash=link.hash,
    )


def _verdict(verdict: Verdict) -> pb.VerifyChainsResponse:
    head = pb.ChainHead(chain=verdict.chain, sequence=verdict.head.sequence, hash=verdict.head.hash)
    if verdict.problem is None:
        return pb.VerifyChainsResponse(head=head)
    return pb.VerifyChainsResponse(head=head, problem=verdict.problem.what, problem_sequence=verdict.problem.sequence)
