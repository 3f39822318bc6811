"""The studio: its page, and the address space that only its page uses. Photographs that are open lie in memory."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Path, Request, Response
from starlette.exceptions import HTTPException

from visagist.server.api import NoOptions, run_task
from visagist.server.bodies import check_picture, decode_picture, read_picture
from visagist.server.channel import Message
from visagist.server.schemas import AlikeBody, BetweenBody, ExportBody, JudgeBody, PreviewBody, SampleBody, error_responses

router = APIRouter()
PAGE = "index.html"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_KINDS = {
    "html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml", "jpg": "image/jpeg", "png": "image/png",
}  # fmt: skip
Name = Annotated[str, Path(max_length=64, pattern=r"^\d{1,4}\.[\w-]{1,40}$", examples=["0.abcdefghijklmnopqrstuv"])]
_FAILURES = error_responses(400, 408, 410, 415, 504)


class Asset(NamedTuple):
    """A file of the page."""

    data: bytes
    media_type: str
    tag: str


@cache
def assets() -> dict[str, Asset]:
    """The files of the page by name: these, and no others, are served."""
    files = {}
    for file in resources.files("visagist.server").joinpath("page").iterdir():
        data, ending = file.read_bytes(), file.name.rpartition(".")[2]
        files[file.name] = Asset(data, _KINDS[ending], f'"{hashlib.sha256(data).hexdigest()[:16]}"')
    return files


def _serve(request: Request, name: str) -> Response:
    asset = assets().get(name)
    if asset is None:
        raise HTTPException(404, "there is no such file")
    headers = {"ETag": asset.tag, "Cache-Control": "no-cache", "Content-Security-Policy": _POLICY}
    headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=()"
    if request.headers.get("if-none-match") == asset.tag:
        return Response(status_code=304, headers=headers)
    return Response(asset.data, media_type=asset.media_type, headers=headers)


@router.get("/", include_in_schema=False)
async def page(request: Request) -> Response:
    """The studio."""
    return _serve(request, PAGE)


@router.get("/static/{name}", include_in_schema=False)
async def static(request: Request, name: str) -> Response:
    """A file of the page."""
    return _serve(request, name)


@router.post("/studio/photographs", include_in_schema=False)
async def open_photograph(request: Request) -> dict[str, Any]:
    """Open a photograph; the answer holds its name, its faces and its preview."""
    _, picture = await read_picture(request, request.app.state.settings, NoOptions)
    message = await run_task(request, "open", {}, picture)
    facts = message.head
    facts["id"] = f"{facts.pop('worker')}.{facts['id']}"
    request.state.facts.update(faces=len(facts["faces"]))
    return {**facts, "picture": _address(message.blobs[0])}


@router.delete("/studio/photographs/{name}", include_in_schema=False)
async def close_photograph(request: Request, name: Name) -> dict[str, Any]:
    """Let a photograph go."""
    await _on_photograph(request, name, "close", {})
    return {}


@router.post("/studio/photographs/{name}/preview", include_in_schema=False)
async def preview(request: Request, name: Name, body: PreviewBody) -> dict[str, Any]:
    """The parts of the preview that steps change."""
    message = await _on_photograph(request, name, "preview", body.model_dump())
    parts = zip(message.head["boxes"], message.blobs)
    return {"parts": [{"box": box, "picture": _address(blob)} for box, blob in parts]}


@router.post("/studio/photographs/{name}/judge", include_in_schema=False)
async def judge(request: Request, name: Name, body: JudgeBody) -> dict[str, Any]:
    """What is read before and after, and warnings."""
    message = await _on_photograph(request, name, "judge", body.model_dump())
    return {"by": message.head["by"], "faces": message.head["faces"]}


@router.post("/studio/photographs/{name}/export", include_in_schema=False)
async def export(request: Request, name: Name, body: ExportBody) -> Response:
    """The whole picture as a file."""
    message = await _on_photograph(request, name, "export", body.model_dump())
    return Response(
        message.blobs[0], media_type=message.head["media_type"],
        headers={"X-Visagist-Suffix": message.head["suffix"], "X-Visagist-Warnings": str(len(message.head["warnings"]))},
    )  # fmt: skip


@router.post("/studio/sample", include_in_schema=False)
async def sample(request: Request, body: SampleBody) -> dict[str, Any]:
    """New faces."""
    return _faces(await run_task(request, "sample", body.model_dump()))


@router.post("/studio/alike", include_in_schema=False)
async def alike(request: Request, body: AlikeBody) -> dict[str, Any]:
    """Faces like one."""
    picture = await _decoded(request, body.picture)
    return _faces(await run_task(request, "alike", body.model_dump(exclude={"picture"}), picture))


@router.post("/studio/between", include_in_schema=False)
async def between(request: Request, body: BetweenBody) -> dict[str, Any]:
    """Faces between two."""
    pictures = [await _decoded(request, text) for text in body.pictures]
    return _faces(await run_task(request, "between", body.model_dump(exclude={"pictures"}), *pictures))


async def _on_photograph(request: Request, name: str, task: str, given: dict[str, Any]) -> Message:
    worker, _, own = name.partition(".")
    return await run_task(request, task, {**given, "id": own}, worker=int(worker))


async def _decoded(request: Request, text: str) -> bytes:
    data = decode_picture(text)
    await check_picture(data, request.app.state.settings)
    return data


def _faces(message: Message) -> dict[str, Any]:
    return {"model": message.head["model"], "faces": [_address(blob, "png") for blob in message.blobs]}


def _address(data: bytes, kind: str = "jpeg") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
