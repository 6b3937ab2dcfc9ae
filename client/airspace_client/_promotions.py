"""Promotions: versions that move to a later domain of their project."""

from collections.abc import Iterator

from airspace.promotion.v1 import promotion_service_pb2 as pb
from airspace.type.v1.identifiers_pb2 import Scope
from airspace_client import _wire_promotions as _wire
from airspace_client._model import EntityKind, Promotion, PromotionPreview
from airspace_client._service import Service


class Promotions:
    """Promotions of workflows and launch plans."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def preview(
        self, project: str, domain: str, kind: EntityKind, name: str, version: str, *, to: str
    ) -> PromotionPreview:
        """Tell what promoting a version from `domain` to the domain `to` would do; nothing is changed."""
        request = pb.PreviewPromotionRequest(
            source=Scope(project=project, domain=domain),
            target=Scope(project=project, domain=to),
            kind=_wire.promoted_kind(kind),
            name=name,
            version=version,
        )
        response: pb.PreviewPromotionResponse = self._service.call("PreviewPromotion", request)
        return _wire.promotion_preview(response)

    def request(
        self,
        project: str,
        domain: str,
        kind: EntityKind,
        name: str,
        version: str,
        *,
        to: str,
        activate: bool = False,
        comment: str = "",
    ) -> Promotion:
        """Promote a version if every gate is passed, and else leave a promotion that waits; the state tells which."""
        request = pb.RequestPromotionRequest(
            source=Scope(project=project, domain=domain),
            target=Scope(project=project, domain=to),
            kind=_wire.promoted_kind(kind),
            name=name,
            version=version,
            activate=activate,
            comment=comment,
        )
        response: pb.RequestPromotionResponse = self._service.call("RequestPromotion", request)
        return _wire.promotion(response.promotion)

    def get(self, project: str, domain: str, name: str) -> Promotion:
        """Return a promotion into a domain."""
        request = pb.GetPromotionRequest(scope=Scope(project=project, domain=domain), name=name)
        response: pb.GetPromotionResponse = self._service.call("GetPromotion", request)
        return _wire.promotion(response.promotion)

    def list(self, project: str, domain: str, *, pending_only: bool = False) -> Iterator[Promotion]:
        """Yield the promotions into a domain, newest first, without entries and approvals."""
        request = pb.ListPromotionsRequest(scope=Scope(project=project, domain=domain), pending_only=pending_only)
        return map(_wire.promotion, self._service.pages("ListPromotions", request, "promotions"))

    def approve(self, project: str, domain: str, name: str, *, comment: str = "") -> Promotion:
        """Approve a promotion of somebody else's, which promotes if that was all that was missing."""
        request = pb.ApprovePromotionRequest(scope=Scope(project=project, domain=domain), name=name, comment=comment)
        response: pb.ApprovePromotionResponse = self._service.call("ApprovePromotion", request)
        return _wire.promotion(response.promotion)

    def reject(self, project: str, domain: str, name: str, *, comment: str = "") -> Promotion:
        """Refuse a promotion that waits, or take one's own back."""
        request = pb.RejectPromotionRequest(scope=Scope(project=project, domain=domain), name=name, comment=comment)
        response: pb.RejectPromotionResponse = self._service.call("RejectPromotion", request)
        return _wire.promotion(response.promotion)

    def override(self, project: str, domain: str, name: str, *, reason: str) -> Promotion:
        """Promote what waits although gates are not passed, for an emergency."""
        request = pb.OverridePromotionRequest(scope=Scope(project=project, domain=domain), name=name, reason=reason)
        response: pb.OverridePromotionResponse = self._service.call("OverridePromotion", request)
        return _wire.promotion(response.promotion)
