"""The service's own address space: /v1, health, and what Prometheus reads."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

from visagist.server.bodies import read_picture
from visagist.server.channel import Message
from visagist.server.pool import Pool
from visagist.server.schemas import (
    ClassifyAnswer,
    ClassifyBody,
    ClassifyOptions,
    EditAnswer,
    EditBody,
    EditOptions,
    FacesAnswer,
    ModelsAnswer,
    PictureBody,
    Strict,
    error_responses,
)

router = APIRouter()
_FILE = {"type": "string", "format": "binary", "description": "The file of a picture, whatever it is called."}
_PAIRS = {
    "type": "array", "items": {"type": "string"}, "maxItems": 40,
    "description": "Attribute=strength from -1 to 1; repeatable.", "example": ["Smiling=1"],
}  # fmt: skip


def _request_body(kind: type[EditBody] | type[PictureBody] | type[ClassifyBody]) -> dict[str, Any]:
    """What OpenAPI is told of a body that is a form or JSON."""
    schema = kind.model_json_schema()
    form = {"type": "object", "additionalProperties": False, "required": schema["required"]}
    properties = {name: value for name, value in schema["properties"].items() if name not in ("picture", "set")}
    fields = {"picture": _FILE, **({"set": _PAIRS} if "set" in schema["properties"] else {}), **properties}
    content = {"multipart/form-data": {"schema": {**form, "properties": fields}}, "application/json": {"schema": schema}}
    return {"requestBody": {"required": True, "content": content}}


class NoOptions(Strict):
    """A picture alone."""


def pool_of(request: Request) -> Pool:
    """The workers."""
    pool: Pool = request.app.state.pool
    return pool


async def run_task(
    request: Request, task: str, given: dict[str, Any], *blobs: bytes, worker: int | None = None
) -> Message:
    """Have a worker do a task within the time that the request has left."""
    left = request.state.deadline - asyncio.get_running_loop().time()
    return await pool_of(request).run(task, given, blobs, seconds=left, worker=worker)


@router.post(
    "/v1/edit", summary="Edit the faces in a picture", openapi_extra=_request_body(EditBody), response_model=None,
    responses={
        200: {
            "description": "The edited picture, which says of itself that it is edited; as JSON where Accept asks for it.",
            "content": {"image/*": {"schema": {"type": "string", "format": "binary"}},
                        "application/json": {"schema": EditAnswer.model_json_schema()}},
        },
        **error_responses(400, 408, 415, 504),
    },
)  # fmt: skip
async def edit(request: Request) -> Response:
    """One face, or all, by one model: `set` names attributes and strengths. The answer is the whole picture."""
    options, picture = await read_picture(request, request.app.state.settings, EditOptions)
    message = await run_task(request, "edit", options.model_dump(), picture)
    record, (data,) = message.head, message.blobs
    request.app.state.metrics.faces.inc(record["faces"])
    request.state.facts.update(model=record["model"], faces=record["faces"])
    del record["worker"]
    if "application/json" in request.headers.get("accept", ""):
        answer = {"picture": base64.b64encode(data).decode(), **record}
        return Response(await asyncio.to_thread(json.dumps, answer), media_type="application/json")
    facts = {
        "X-Visagist-Model": record["model"].encode("ascii", "backslashreplace").decode(),
        "X-Visagist-Faces": str(record["faces"]),
        "X-Visagist-Warnings": str(len(record["warnings"])),
    }
    return Response(data, media_type=record["media_type"], headers=facts)


@router.post(
    "/v1/faces", summary="Find the faces in a picture", openapi_extra=_request_body(PictureBody),
    response_model=FacesAnswer, responses=error_responses(400, 408, 415, 504),
)  # fmt: skip
async def faces(request: Request) -> Any:
    """Boxes, five points, pose and warnings, the largest face first."""
    _, picture = await read_picture(request, request.app.state.settings, NoOptions)
    return (await run_task(request, "faces", {}, picture)).head


@router.post(
    "/v1/classify", summary="Read the attributes of faces", openapi_extra=_request_body(ClassifyBody),
    response_model=ClassifyAnswer, responses=error_responses(400, 408, 415, 504),
)  # fmt: skip
async def classify(request: Request) -> Any:
    """How sure the calibrating judge, or a model that is named, is of each attribute. These are guesses from pixels."""
    options, picture = await read_picture(request, request.app.state.settings, ClassifyOptions)
    return (await run_task(request, "classify", options.model_dump(), picture)).head


@router.get("/v1/models", summary="Say which models are served", response_model=ModelsAnswer, responses=error_responses())
async def models(request: Request) -> Any:
    """The models, what they edit, and which is the best for an attribute."""
    return pool_of(request).models


@router.get("/healthz", summary="Say whether the process runs")
async def healthz() -> dict[str, str]:
    """For a liveness probe."""
    return {"status": "ok"}


@router.get("/readyz", summary="Say whether a worker takes requests")
async def readyz(request: Request) -> dict[str, str]:
    """For a readiness probe: 503 while no worker is there."""
    if not pool_of(request).is_ready:
        raise HTTPException(503, "no worker is ready", {"Retry-After": "1"})
    return {"status": "ready"}


@router.get("/metrics", summary="Counters for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """In Prometheus' text format."""
    return Response(request.app.state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
