"""The page of a latent map."""

from __future__ import annotations

import math
from collections.abc import Sequence

from visagist.reports.html import data_uri, render


def map_page(names: Sequence[str], jpeg: bytes, title: str, about: str) -> str:
    """Return a page that shows the picture of a map, given as a JPEG, to zoom and pan; a cell tells its face's name.

    `names` are those of the faces [N] row by row, `about` is a line by the title.
    """
    side = math.isqrt(len(names))
    return render("latent_map.html", title=title, about=about, side=side, names=names, picture=data_uri(jpeg, "jpeg"))
