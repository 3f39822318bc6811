"""Bodies of requests as they come: the picture in a form or in JSON, sniffed before any of its pixels are decoded."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

from anyio import to_thread
from pydantic import BaseModel, ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from visagist.errors import VisagistError
from visagist.photos.formats import BY_NAME, TITLES, format_of_bytes
from visagist.photos.opening import open_header
from visagist.server.settings import ServerSettings
from visagist.settings import parse_pairs

Body = TypeVar("Body", bound=BaseModel)
_NAME = "the picture"
_MOST_FIELDS, _FIELD_BYTES = 64, 4096


class InvalidBodyError(Exception):
    """A body that is not as the schema says; in one line, why."""


async def read_picture(request: Request, settings: ServerSettings, options: type[Body]) -> tuple[Body, bytes]:
    """The options and the picture of a form with files, or of JSON with base64; HTTPException and InvalidBodyError else."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    data = await request.body()
    if kind == "application/json":
        values, picture = await to_thread.run_sync(_parse_json, data)
    elif kind == "multipart/form-data":
        values, picture = await _parse_form(request, data)
    else:
        raise HTTPException(415, f"the body is {kind or 'of no kind'}: send multipart/form-data or application/json")
    given = validate(options, values)
    await check_picture(picture, settings)
    return given, picture


async def check_picture(data: bytes, settings: ServerSettings) -> None:
    """Refuse what is no picture, or more of one than is edited, by its header: HTTPException 415, else VisagistError."""
    await to_thread.run_sync(_check_picture, data, settings.max_frames)


def validate(kind: type[Body], values: dict[str, Any]) -> Body:
    """The values as this kind of body; InvalidBodyError says what is wrong with the first that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise InvalidBodyError(describe_errors([dict(line) for line in error.errors(include_url=False)])) from None


def describe_errors(errors: list[dict[str, Any]]) -> str:
    """What pydantic finds wrong, the first of it in one line."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part != "body") or "the body"
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{where}: {first['msg']}{more}"


def decode_picture(text: str) -> bytes:
    """The bytes that base64 stands for; InvalidBodyError for what is none."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidBodyError("picture: it is not base64") from None


def _parse_json(data: bytes) -> tuple[dict[str, Any], bytes]:
    try:
        values = json.loads(data)
    except (ValueError, RecursionError):
        raise HTTPException(400, "the body is no JSON") from None
    if not isinstance(values, dict):
        raise InvalidBodyError("the body: it is no object")
    text = values.pop("picture", None)
    if not isinstance(text, str):
        raise InvalidBodyError("picture: give the file of a picture in base64")
    return values, decode_picture(text)


class _MemoryParser(MultiPartParser):
    """A parser that writes no file into a folder of temporary files, however large a part is."""

    spool_max_size = 1 << 40


async def _parse_form(request: Request, data: bytes) -> tuple[dict[str, Any], bytes]:
    async def stream() -> AsyncGenerator[bytes, None]:
        yield data

    parser = _MemoryParser(
        request.headers, stream(), max_files=1, max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
    )
    try:
        form = await parser.parse()
    except (MultiPartException, KeyError, ValueError) as error:
        raise HTTPException(400, f"the form cannot be read: {str(error) or type(error).__name__}") from None
    try:
        return await _form_values(form)
    finally:
        await form.close()


async def _form_values(form: FormData) -> tuple[dict[str, Any], bytes]:
    values: dict[str, Any] = {}
    picture: bytes | None = None
    for name, value in form.multi_items():
        if not isinstance(value, str):
            if name != "picture":
                raise InvalidBodyError(f"{name}: it is no file")
            picture = await value.read()
        elif name == "set":
            values.setdefault("set", []).append(value)
        elif name in values:
            raise InvalidBodyError(f"{name}: it is given twice")
        elif value:
            values[name] = int(value) if name == "face" and value.isdecimal() and len(value) < 5 else value
    if picture is None:
        raise InvalidBodyError("picture: give the file of a picture")
    if "set" in values:
        try:
            values["set"] = parse_pairs(values["set"])
        except VisagistError as error:
            raise InvalidBodyError(f"set: {error}") from None
    return values, picture


def _check_picture(data: bytes, max_frames: int) -> None:
    if format_of_bytes(data) is None:
        raise HTTPException(415, f"this is no picture that can be read: give {TITLES}")
    with open_header(data, _NAME) as picture:
        frames = int(getattr(picture, "n_frames", 1))
        kind = BY_NAME.get(str(picture.format))
    if kind is not None and kind.frames and frames > max_frames:
        raise VisagistError(f"the picture has {frames} frames, more than the {max_frames} that are edited here")
