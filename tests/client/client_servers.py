"""A real gRPC server whose answers a test scripts, and a real token endpoint."""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from airspace.access.v1 import access_service_pb2, access_service_pb2_grpc
from airspace.audit.v1 import audit_service_pb2, audit_service_pb2_grpc
from airspace.execution.v1 import execution_service_pb2, execution_service_pb2_grpc
from airspace.launchplan.v1 import launch_plan_service_pb2, launch_plan_service_pb2_grpc
from airspace.notification.v1 import notification_service_pb2, notification_service_pb2_grpc
from airspace.project.v1 import project_service_pb2, project_service_pb2_grpc
from airspace.promotion.v1 import promotion_service_pb2, promotion_service_pb2_grpc
from airspace.reference.v1 import reference_service_pb2, reference_service_pb2_grpc
from airspace.registry.v1 import registry_service_pb2, registry_service_pb2_grpc
from airspace.settings.v1 import settings_service_pb2, settings_service_pb2_grpc

SERVICES = [
    (access_service_pb2.DESCRIPTOR.services_by_name["AccessService"], access_service_pb2_grpc),
    (execution_service_pb2.DESCRIPTOR.services_by_name["ExecutionService"], execution_service_pb2_grpc),
    (launch_plan_service_pb2.DESCRIPTOR.services_by_name["LaunchPlanService"], launch_plan_service_pb2_grpc),
    (project_service_pb2.DESCRIPTOR.services_by_name["ProjectService"], project_service_pb2_grpc),
    (audit_service_pb2.DESCRIPTOR.services_by_name["AuditService"], audit_service_pb2_grpc),
    (notification_service_pb2.DESCRIPTOR.services_by_name["NotificationService"], notification_service_pb2_grpc),
    (promotion_service_pb2.DESCRIPTOR.services_by_name["PromotionService"], promotion_service_pb2_grpc),
    (reference_service_pb2.DESCRIPTOR.services_by_name["ReferenceService"], reference_service_pb2_grpc),
    (settings_service_pb2.DESCRIPTOR.services_by_name["SettingsService"], settings_service_pb2_grpc),
    (registry_service_pb2.DESCRIPTOR.services_by_name["RegistryService"], registry_service_pb2_grpc),
]
RPCS = {method.name: method for service, _ in SERVICES for method in service.methods}


@dataclass
class Call:
    rpc: str
    request: Any
    metadata: dict[str, str]
    time_remaining: float | None


@dataclass
class ScriptedServer:
    """Serves every service of the contract on loopback; an RPC without a script answers with an empty message."""

    calls: list[Call] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        self._scripts: dict[str, Iterator[Any]] = {}
        self.start()

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Serve, on the same port as before if there was one."""
        self._server = grpc.server(ThreadPoolExecutor(8))
        for service, stubs in SERVICES:
            base = getattr(stubs, f"{service.name}Servicer")
            handlers = {method.name: self._handler(method.name, method.server_streaming) for method in service.methods}
            servicer = type(f"Scripted{service.name}", (base,), handlers)()
            getattr(stubs, f"add_{service.name}Servicer_to_server")(servicer, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def script(self, rpc: str, *answers: Any) -> None:
        """Give the answers of an RPC, one a call: a message, a list of messages (a stream), or a function of both."""
        self._scripts[rpc] = iter(answers)

    def always(self, rpc: str, answer: Any) -> None:
        self._scripts[rpc] = iter(lambda: answer, None)

    def called(self, rpc: str) -> list[Call]:
        return [call for call in self.calls if call.rpc == rpc]

    def _handler(self, rpc: str, streams: bool) -> Callable[..., Any]:
        def answer(_self: object, request: Message, context: grpc.ServicerContext) -> Any:
            copy = type(request)()
            copy.CopyFrom(request)
            remaining = context.time_remaining()
            self.calls.append(Call(rpc, copy, dict(context.invocation_metadata()), remaining))
            empty = [] if streams else GetMessageClass(RPCS[rpc].output_type)()
            said = next(self._scripts.get(rpc, iter(())), empty)
            return said(request, context) if callable(said) else said

        def stream(_self: object, request: Message, context: grpc.ServicerContext) -> Any:
            yield from answer(_self, request, context)

        return stream if streams else answer


def fail(
    code: str,
    reason: str = "",
    message: str = "because",
    metadata: dict[str, str] | None = None,
    field: str = "",
    domain: str = "airspace",
) -> Callable[..., Any]:
    """Return an answer that fails as an Airspace server does; without a reason as something in between does."""

    def answer(_request: Message, context: grpc.ServicerContext) -> Any:
        status = grpc.StatusCode[code]
        if not reason:
            context.abort(status, message)
        details = [error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata=metadata or {})]
        if field:
            violation = error_details_pb2.BadRequest.FieldViolation(field=field, description=message)
            details.append(error_details_pb2.BadRequest(field_violations=[violation]))
        rich = status_pb2.Status(code=status.value[0], message=message)
        for detail in details:
            box = AnyMessage()
            box.Pack(detail)
            rich.details.append(box)
        context.abort_with_status(rpc_status.to_status(rich))

    return answer


def needs_token(accepted: set[str], then: Message) -> Callable[..., Any]:
    """Return an answer for callers whose token is in `accepted` at that moment."""

    def answer(request: Message, context: grpc.ServicerContext) -> Any:
        scheme, _, token = dict(context.invocation_metadata()).get("authorization", "").partition(" ")
        if scheme != "Bearer" or token not in accepted:
            fail("UNAUTHENTICATED", "TOKEN_EXPIRED", "the token has expired")(request, context)
        return then

    return answer


@dataclass
class TokenEndpoint:
    """An OAuth2 token endpoint for one client; its tokens are "token-1", "token-2", ..."""

    client_id: str = "developer"
    secret: str = "s3cret/+ ü"
    expires_in: int | None = 3600
    forms: list[dict[str, list[str]]] = field(default_factory=list)
    answer: tuple[int, bytes] | None = None

    def __post_init__(self) -> None:
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"])).decode()
                status, answer = endpoint.answer or endpoint._answer(self.headers.get("authorization", ""), body)
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/oauth2/token"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _answer(self, authorization: str, body: str) -> tuple[int, bytes]:
        client_id, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
        if (unquote_plus(client_id), unquote_plus(secret)) != (self.client_id, self.secret):
            return 401, b'{"error": "invalid_client"}'
        self.forms.append(parse_qs(body))
        token: dict[str, object] = {"access_token": f"token-{len(self.forms)}", "token_type": "bearer"}
        if self.expires_in is not None:
            token["expires_in"] = self.expires_in
        return 200, json.dumps(token).encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
