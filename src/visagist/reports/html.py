"""The Jinja2 environment of all pages: text is escaped, unknown names are errors, a page loads nothing from elsewhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.ownership import GENERATOR
from visagist.boundary.schema import json_text


def render(template: str, **values: Any) -> str:
    """Render a template of `templates/`; text among the values is escaped, `Markup` is not."""
    return _environment().get_template(template).render(values)


def data_uri(picture: NDArray[np.uint8] | Image.Image | bytes, kind: str = "png") -> str:
    """Encode a picture as a data address: uint8 [H, W, 3] or a PIL image as a PNG, or bytes that are `kind` already."""
    if not isinstance(picture, bytes):
        file = io.BytesIO()
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        image.save(file, "PNG", optimize=True)
        picture = file.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def words(name: object) -> str:
    """Spell a name of the field with spaces, as `Wearing_Hat`."""
    return str(name).replace("_", " ")


def definitions(manifest: Mapping[str, Any]) -> list[tuple[str, object]]:
    """What the words of a page mean, as facts beside its manifest."""
    return [(words(key), text) for key, text in manifest["definitions"].items()]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("visagist.reports"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters |= {"data_uri": data_uri, "words": words, "json_text": _indented, "thousands": _thousands}
    environment.globals["generator"] = Markup(GENERATOR)
    return environment


def _indented(value: Any) -> str:
    return json_text(value, 1, ensure_ascii=False)


def _thousands(count: int) -> str:
    return f"{count:,}"
