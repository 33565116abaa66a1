# ruff: noqa: N802 - the methods of a service are called as its protocol file calls them
"""A loopback double of a Qdrant server's gRPC interface: a test double, not a server.

The same state and faults as ``qdrant_double``, behind the services that qdrant-client's own protocol files define:
what the adapter sends is encoded and decoded for real. Requests are turned into the client's REST models and answers
back by the client's own conversion, so one state answers both interfaces.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import grpc
from doubles.ordered_faults import Fault, Faults
from doubles.qdrant_state import Refused, ServerState
from qdrant_client import grpc as wire
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc, qdrant_pb2_grpc

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ALREADY_EXISTS,
    413: grpc.StatusCode.OUT_OF_RANGE,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
}


class QdrantGrpcDouble:
    """Serves from construction to ``close``."""

    def __init__(
        self,
        state: ServerState | None = None,
        *,
        port: int = 0,
        api_key: str | None = None,
        tls: grpc.ServerCredentials | None = None,
        max_request_bytes: int = 32 << 20,
    ) -> None:
        self.state = state or ServerState()
        self.faults = Faults()
        self.api_key = api_key
        self.closing = Event()
        self._server = grpc.server(
            ThreadPoolExecutor(16, "qdrant-grpc-double"),
            options=[("grpc.max_receive_message_length", max_request_bytes), ("grpc.so_reuseport", 0)],
        )
        qdrant_pb2_grpc.add_QdrantServicer_to_server(_Root(self), self._server)
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(_Collections(self), self._server)
        points_service_pb2_grpc.add_PointsServicer_to_server(_Points(self), self._server)
        address = f"127.0.0.1:{port}"
        self.port = (
            self._server.add_insecure_port(address) if tls is None else self._server.add_secure_port(address, tls)
        )
        self.url = f"{'grpc' if tls is None else 'grpcs'}://127.0.0.1:{self.port}"
        self._server.start()

    def close(self) -> None:
        self.closing.set()
        self._server.stop(None).wait()

    def answer(self, name: str, context: grpc.ServicerContext, carry: Callable[[Fault | None], Any]) -> Any:
        """Carries a call out, or does wrong what was ordered."""
        fault = self.faults.due(name)
        if self.api_key is not None and ("api-key", self.api_key) not in context.invocation_metadata():
            context.abort(_CODES[401], "Must provide an API key")
        if fault is not None and fault.kind == "answer":
            if fault.retry_after is not None:
                context.set_trailing_metadata((("retry-after", fault.retry_after),))
            context.abort(_CODES[fault.status], fault.sentence)
        if fault is not None and fault.kind in ("reset", "silence", "slow"):
            self.closing.wait(fault.seconds)
            if fault.kind != "slow":
                context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset, as ordered by a test")
        try:
            answer = carry(fault)
        except Refused as refused:
            context.abort(_CODES[refused.status], str(refused))
        if fault is not None and fault.kind in ("reset after", "silence after"):
            self.closing.wait(fault.seconds)
            context.abort(grpc.StatusCode.UNAVAILABLE, "Connection reset, as ordered by a test")
        if fault is not None and fault.kind == "half":
            context.abort(grpc.StatusCode.INTERNAL, fault.sentence)
        return answer


def answers(carry: Callable[[Any, Any, Fault | None], Any]) -> Callable[[Any, Any, grpc.ServicerContext], Any]:
    """The service's method around what carries a request out. Faults know it as ``Service.Method``."""
    name = carry.__qualname__.removeprefix("_")

    def method(self: Any, request: Any, context: grpc.ServicerContext) -> Any:
        return self._double.answer(name, context, lambda fault: carry(self, request, fault))

    return method


class _Root(qdrant_pb2_grpc.QdrantServicer):
    def __init__(self, double: QdrantGrpcDouble) -> None:
        self._double = double

    @answers
    def HealthCheck(self, _request: Any, _fault: Fault | None) -> Any:
        return wire.HealthCheckReply(title="a double of qdrant", version=self._double.state.version)


class _Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, double: QdrantGrpcDouble) -> None:
        self._double = double
        self._state = double.state

    @answers
    def List(self, _request: Any, _fault: Fault | None) -> Any:
        found = self._state.collections().collections
        return wire.ListCollectionsResponse(
            collections=[wire.CollectionDescription(name=collection.name) for collection in found]
        )

    @answers
    def Get(self, request: Any, _fault: Fault | None) -> Any:
        info = self._state.described(request.collection_name)
        return wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    @answers
    def Create(self, request: Any, _fault: Fault | None) -> Any:
        wanted = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            shard_number=_given(request, "shard_number"),
            replication_factor=_given(request, "replication_factor"),
            write_consistency_factor=_given(request, "write_consistency_factor"),
            on_disk_payload=_given(request, "on_disk_payload"),
            metadata=GrpcToRest.convert_payload(request.metadata),
            hnsw_config=(
                GrpcToRest.convert_hnsw_config_diff(request.hnsw_config) if request.HasField("hnsw_config") else None
            ),
            quantization_config=(
                GrpcToRest.convert_quantization_config(request.quantization_config)
                if request.HasField("quantization_config")
                else None
            ),
        )
        return wire.CollectionOperationResponse(result=self._state.create(request.collection_name, wanted))

    @answers
    def Update(self, request: Any, _fault: Fault | None) -> Any:
        wanted = models.UpdateCollection(
            metadata=GrpcToRest.convert_payload(request.metadata) if request.metadata else None,
            params=(
                GrpcToRest.convert_collection_params_diff(request.params) if request.HasField("params") else None
            ),
            strict_mode_config=(
                GrpcToRest.convert_strict_mode_config(request.strict_mode_config)
                if request.HasField("strict_mode_config")
                else None
            ),
        )
        return wire.CollectionOperationResponse(result=self._state.update(request.collection_name, wanted))

    @answers
    def Delete(self, request: Any, _fault: Fault | None) -> Any:
        return wire.CollectionOperationResponse(result=self._state.delete(request.collection_name))

    @answers
    def ListAliases(self, _request: Any, _fault: Fault | None) -> Any:
        return wire.ListAliasesResponse(
            aliases=[
                wire.AliasDescription(alias_name=one.alias_name, collection_name=one.collection_name)
                for one in self._state.aliases().aliases
            ]
        )

    @answers
    def UpdateAliases(self, request: Any, _fault: Fault | None) -> Any:
        actions = [GrpcToRest.convert_alias_operations(action) for action in request.actions]
        return wire.CollectionOperationResponse(result=self._state.change_aliases(actions))


class _Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, double: QdrantGrpcDouble) -> None:
        self._double = double
        self._state = double.state

    @answers
    def UpdateBatch(self, request: Any, fault: Fault | None) -> Any:
        operations = [_operation(operation) for operation in request.operations]
        half = len(operations) // 2 if fault is not None and fault.kind == "half" else None
        done = self._state.batch(request.collection_name, operations, half)
        return wire.UpdateBatchResponse(result=[_UPDATED for _ in done])

    @answers
    def CreateFieldIndex(self, request: Any, _fault: Fault | None) -> Any:
        if request.HasField("field_index_params"):
            schema: Any = GrpcToRest.convert_payload_schema_params(request.field_index_params)
        else:
            schema = _FIELD_TYPES[request.field_type]
        self._state.index_field(request.collection_name, request.field_name, schema)
        return wire.PointsOperationResponse(result=_UPDATED)

    @answers
    def Scroll(self, request: Any, _fault: Fault | None) -> Any:
        asked = models.ScrollRequest(
            filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            limit=request.limit,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        found = self._state.scroll(request.collection_name, asked)
        following = found.next_page_offset
        return wire.ScrollResponse(
            result=[RestToGrpc.convert_retrieved_point(record) for record in found.points],
            next_page_offset=None if following is None else RestToGrpc.convert_extended_point_id(following),
        )

    @answers
    def Get(self, request: Any, _fault: Fault | None) -> Any:
        asked = models.PointRequest(
            ids=[GrpcToRest.convert_point_id(one) for one in request.ids],
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=GrpcToRest.convert_with_vectors_selector(request.with_vectors),
        )
        found = self._state.retrieve(request.collection_name, asked)
        return wire.GetResponse(result=[RestToGrpc.convert_retrieved_point(record) for record in found])

    @answers
    def Count(self, request: Any, _fault: Fault | None) -> Any:
        asked = models.CountRequest(
            filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None, exact=True
        )
        return wire.CountResponse(
            result=wire.CountResult(count=self._state.count(request.collection_name, asked).count)
        )

    @answers
    def Query(self, request: Any, _fault: Fault | None) -> Any:
        asked = models.QueryRequest(
            query=list(request.query.nearest.dense.data),
            using=request.using,
            filter=GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None,
            limit=request.limit,
            score_threshold=_given(request, "score_threshold"),
            with_payload=GrpcToRest.convert_with_payload_selector(request.with_payload),
            with_vector=False,
        )
        found = self._state.query(request.collection_name, asked).points
        return wire.QueryResponse(result=[RestToGrpc.convert_scored_point(point) for point in found])


_UPDATED = wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)
_FIELD_TYPES = {
    wire.FieldType.FieldTypeKeyword: models.PayloadSchemaType.KEYWORD,
    wire.FieldType.FieldTypeInteger: models.PayloadSchemaType.INTEGER,
    wire.FieldType.FieldTypeFloat: models.PayloadSchemaType.FLOAT,
    wire.FieldType.FieldTypeBool: models.PayloadSchemaType.BOOL,
    wire.FieldType.FieldTypeDatetime: models.PayloadSchemaType.DATETIME,
}


def _given(request: Any, name: str) -> Any:
    return getattr(request, name) if request.HasField(name) else None


def _operation(operation: Any) -> models.UpdateOperation:
    """The client turns operations into protocol messages and never back."""
    match operation.WhichOneof("operation"):
        case "upsert":
            asked = operation.upsert
            return models.UpsertOperation(
                upsert=models.PointsList(
                    points=[GrpcToRest.convert_point_struct(point) for point in asked.points],
                    update_filter=(
                        GrpcToRest.convert_filter(asked.update_filter) if asked.HasField("update_filter") else None
                    ),
                )
            )
        case "set_payload":
            return models.SetPayloadOperation(set_payload=_set_payload(operation.set_payload))
        case "overwrite_payload":
            return models.OverwritePayloadOperation(overwrite_payload=_set_payload(operation.overwrite_payload))
        case "delete_points":
            wanted = GrpcToRest.convert_filter(operation.delete_points.points.filter)
            return models.DeleteOperation(delete=models.FilterSelector(filter=wanted))
    raise Refused(400, f"This double knows no {operation.WhichOneof('operation')}")


def _set_payload(asked: Any) -> models.SetPayload:
    selector = asked.points_selector
    return models.SetPayload(
        payload=GrpcToRest.convert_payload(asked.payload), filter=GrpcToRest.convert_filter(selector.filter)
    )
