"""The native front door of airspace.promotion.v1. The chain has authenticated, authorized and validated."""

from collections.abc import Mapping
from typing import Any, Final

from airspace.promotion.v1 import promotion_service_pb2 as pb
from airspace_server.access.call import Call
from airspace_server.access.messages import scope_message, scope_of, timestamp
from airspace_server.admin.promotion_store import Entry, Promotion, Wanted
from airspace_server.admin.promotions import Difference, Promotions
from airspace_server.core.errors import invalid_field
from airspace_server.core.gates import Gate
from airspace_server.core.scope import EntityId, EntityKind, Reference
from airspace_server.storage.paging import Pager, page_size

_NUMBERS: Final[Mapping[EntityKind, Any]] = {
    kind: pb.PromotedKind.Value(f"PROMOTED_KIND_{kind.name}") for kind in EntityKind
}
_PROMOTED: Final[Mapping[int, EntityKind]] = {
    _NUMBERS[kind]: kind for kind in (EntityKind.WORKFLOW, EntityKind.LAUNCH_PLAN)
}


class PromotionService:
    """airspace.promotion.v1.PromotionService."""

    def __init__(self, promotions: Promotions, pager: Pager) -> None:
        self._promotions = promotions
        self._pager = pager

    def PreviewPromotion(self, request: pb.PreviewPromotionRequest, _call: Call) -> pb.PreviewPromotionResponse:
        """Show what a promotion would do."""
        preview = self._promotions.preview(_wanted(request))
        return pb.PreviewPromotionResponse(
            entries=map(_entry, preview.entries),
            artifacts=preview.artifacts,
            gates=map(_gate, preview.gates),
            active_version=preview.active_version,
            differences=map(_difference, preview.differences),
        )

    def RequestPromotion(self, request: pb.RequestPromotionRequest, call: Call) -> pb.RequestPromotionResponse:
        """Promote a version, or leave a request that waits."""
        promotion = self._promotions.request(
            _wanted(request), activate=request.activate, comment=request.comment, by=call.principal
        )
        return pb.RequestPromotionResponse(promotion=_promotion(promotion))

    def GetPromotion(self, request: pb.GetPromotionRequest, _call: Call) -> pb.GetPromotionResponse:
        """Return a promotion."""
        return pb.GetPromotionResponse(
            promotion=_promotion(self._promotions.get(scope_of(request.scope), request.name))
        )

    def ListPromotions(self, request: pb.ListPromotionsRequest, _call: Call) -> pb.ListPromotionsResponse:
        """List the promotions into a scope."""
        scope = scope_of(request.scope)
        query = f"promotions {scope} {request.pending_only}"
        found, end = self._promotions.list(
            scope,
            pending_only=request.pending_only,
            size=page_size(request.page_size),
            last=self._pager.position(query, request.page_token),
        )
        token = self._pager.token(query, end) if end else ""
        response = pb.ListPromotionsResponse(promotions=map(_promotion, found), next_page_token=token)
        for promotion in response.promotions:
            promotion.ClearField("entries")
            promotion.ClearField("artifacts")
        return response

    def ApprovePromotion(self, request: pb.ApprovePromotionRequest, call: Call) -> pb.ApprovePromotionResponse:
        """Approve a promotion that waits."""
        promotion = self._promotions.approve(scope_of(request.scope), request.name, request.comment, call.principal)
        return pb.ApprovePromotionResponse(promotion=_promotion(promotion))

    def RejectPromotion(self, request: pb.RejectPromotionRequest, call: Call) -> pb.RejectPromotionResponse:
        """Refuse a promotion that waits."""
        promotion = self._promotions.reject(scope_of(request.scope), request.name, request.comment, call.principal)
        return pb.RejectPromotionResponse(promotion=_promotion(promotion))

    def OverridePromotion(self, request: pb.OverridePromotionRequest, call: Call) -> pb.OverridePromotionResponse:
        """Promote what waits although gates are not passed."""
        promotion = self._promotions.override(scope_of(request.scope), request.name, request.reason, call.principal)
        return pb.OverridePromotionResponse(promotion=_promotion(promotion))


def _wanted(request: pb.PreviewPromotionRequest | pb.RequestPromotionRequest) -> Wanted:
    if request.kind not in _PROMOTED:
        raise invalid_field("kind", "must be a workflow or a launch plan: tasks are promoted with what needs them")
    id_ = EntityId(scope_of(request.source), request.name, request.version)
    return Wanted(Reference(_PROMOTED[request.kind], id_), scope_of(request.target))


def _gate(gate: Gate) -> pb.Gate:
    return pb.Gate(name=gate.name, passed=gate.passed, message=gate.message)


def _entry(entry: Entry) -> pb.Entry:
    return pb.Entry(
        kind=_NUMBERS[entry.kind],
        project=entry.project,
        name=entry.name,
        version=entry.version,
        source_digest=entry.source_digest,
        digest=entry.digest,
        state=f"ENTRY_STATE_{entry.state.value}",
    )


def _difference(difference: Difference) -> pb.Difference:
    return pb.Difference(
        kind=_NUMBERS[difference.kind],
        name=difference.name,
        difference=f"DIFFERENCE_KIND_{difference.difference.value}",
        active_version=difference.active_version,
        promoted_version=difference.promoted_version,
    )


def _promotion(promotion: Promotion) -> pb.Promotion:
    return pb.Promotion(
        scope=scope_message(promotion.scope),
        name=promotion.name,
        source_domain=promotion.source_domain,
        kind=_NUMBERS[promotion.kind],
        entity=promotion.entity,
        version=promotion.version,
        activate=promotion.activate,
        state=f"PROMOTION_STATE_{promotion.state.value}",
        requester=promotion.requester,
        comment=promotion.comment,
        gates=map(_gate, promotion.gates),
        approvals=[
            pb.Approval(principal=each.principal, comment=each.comment, time=timestamp(each.at))
            for each in promotion.approvals
        ],
        entries=map(_entry, promotion.entries),
        artifacts=promotion.artifacts,
        overridden=promotion.overridden,
        decider=promotion.decider,
        decision_comment=promotion.decision_comment,
        create_time=timestamp(promotion.created_at),
        expire_time=timestamp(promotion.expires_at),
        decide_time=None if promotion.decided_at is None else timestamp(promotion.decided_at),
    )
