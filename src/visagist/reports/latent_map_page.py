"""The page of a latent map."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from importlib.resources import files
from string import Template

from visagist.boundary.schema import json_text
from visagist.latent.tsne_grid import Map


def map_page(layout: Map, names: Sequence[str], jpeg: bytes, title: str, about: str) -> str:
    """A page of HTML that shows the picture of a map, given as a JPEG, to zoom and pan; a cell tells its face's name.

    The page holds all that it shows and loads nothing. `names` are those of the faces [N], `about` is a line by the title.
    """
    ordered = [names[face] for face in layout.row_by_row]
    return Template(files("visagist.reports").joinpath("templates/latent_map.html").read_text(encoding="utf-8")).substitute(
        title=html.escape(title),
        about=html.escape(about),
        side=layout.side,
        names=json_text(ordered, ensure_ascii=False).replace("<", "\\u003c"),
        picture=f"data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}",
    )
