"""From the contract's messages about promotions to the values of `_model`."""

from typing import Any

from airspace.promotion.v1 import promotion_service_pb2 as promotion_pb
from airspace_client._errors import InvalidArgument
from airspace_client._model import (
    Approval,
    Difference,
    DifferenceKind,
    EntityKind,
    EntryState,
    Gate,
    Promotion,
    PromotionEntry,
    PromotionPreview,
    PromotionState,
)
from airspace_client._wire import member, moment


def promoted_kind(kind: EntityKind) -> Any:
    """Return the contract's number of a kind. Raises InvalidArgument for UNKNOWN."""
    try:
        return promotion_pb.PromotedKind.Value(f"PROMOTED_KIND_{kind}")
    except ValueError:
        raise InvalidArgument(f"{kind} is not a kind that can be asked for", field="kind") from None


def promotion_preview(message: promotion_pb.PreviewPromotionResponse) -> PromotionPreview:
    """Convert what a promotion would do."""
    return PromotionPreview(
        entries=tuple(map(_entry, message.entries)),
        artifacts=tuple(message.artifacts),
        gates=tuple(map(_gate, message.gates)),
        active_version=message.active_version,
        differences=tuple(
            Difference(
                _promoted(each.kind),
                each.name,
                member(DifferenceKind, promotion_pb.DifferenceKind, "DIFFERENCE_KIND_", each.difference),
                each.active_version,
                each.promoted_version,
            )
            for each in message.differences
        ),
    )


def promotion(message: promotion_pb.Promotion) -> Promotion:
    """Convert a promotion."""
    return Promotion(
        project=message.scope.project,
        domain=message.scope.domain,
        name=message.name,
        source_domain=message.source_domain,
        kind=_promoted(message.kind),
        entity=message.entity,
        version=message.version,
        activate=message.activate,
        state=member(PromotionState, promotion_pb.PromotionState, "PROMOTION_STATE_", message.state),
        requester=message.requester,
        comment=message.comment,
        gates=tuple(map(_gate, message.gates)),
        approvals=tuple(Approval(each.principal, each.comment, moment(each.time)) for each in message.approvals),
        entries=tuple(map(_entry, message.entries)),
        artifacts=tuple(message.artifacts),
        overridden=message.overridden,
        decider=message.decider,
        decision_comment=message.decision_comment,
        create_time=moment(message.create_time),
        expire_time=moment(message.expire_time),
        decide_time=moment(message.decide_time) if message.HasField("decide_time") else None,
    )


def _promoted(number: int) -> EntityKind:
    return member(EntityKind, promotion_pb.PromotedKind, "PROMOTED_KIND_", number)


def _gate(message: promotion_pb.Gate) -> Gate:
    return Gate(message.name, message.passed, message.message)


def _entry(message: promotion_pb.Entry) -> PromotionEntry:
    return PromotionEntry(
        kind=_promoted(message.kind),
        project=message.project,
        name=message.name,
        version=message.version,
        source_digest=message.source_digest,
        digest=message.digest,
        state=member(EntryState, promotion_pb.EntryState, "ENTRY_STATE_", message.state),
    )
