"""The faces of a photograph as a list for scripts, and as a picture with boxes, points and numbers on it."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from visagist.boundary.ownership import NAMESPACE
from visagist.errors import VisagistError
from visagist.faces.detection import Face
from visagist.files import write_file

DONE, DOUBTED, REFUSED = (60, 220, 90), (255, 190, 40), (255, 70, 60)
LONGEST = 4096  # pixels of the drawn picture


def face_facts(number: int, face: Face) -> dict[str, Any]:
    """What is known of a face, for scripts: pixels of the photograph, degrees, shares."""
    return {
        "number": number,
        "box": list(face.box),
        "score": round(face.score, 4),
        "landmarks": [[round(float(v), 2) for v in point] for point in face.landmarks],
        "angle": round(face.angle, 1),
        "yaw": round(face.yaw, 1),
        "inter_ocular": round(face.inter_ocular, 2),
        "hidden": round(face.hidden, 3),
        "warnings": list(face.warnings),
        "unfit": list(face.unfit),
    }


def draw_faces(pixels: NDArray[np.uint8], faces: Sequence[Face]) -> Image.Image:
    """The photograph [H, W, 3] with the box, the points and the number of each face.

    Green: nothing is doubted; yellow: it carries warnings; red: an edit of it is refused. At most `LONGEST` pixels a side.
    """
    picture = Image.fromarray(pixels)
    ratio = min(LONGEST / max(picture.size), 1.0)
    if ratio < 1:
        picture = picture.resize((max(round(picture.width * ratio), 1), max(round(picture.height * ratio), 1)))
    pen = ImageDraw.Draw(picture)
    for number, face in reversed(list(enumerate(faces))):
        colour = REFUSED if face.unfit else DOUBTED if face.warnings else DONE
        left, top, right, bottom = (v * ratio for v in face.box)
        line = max(round((right - left) / 50), 1)
        pen.rectangle((left, top, right, bottom), outline=colour, width=line)
        for x, y in (face.landmarks + 0.5) * ratio:
            pen.ellipse((x - line, y - line, x + line, y + line), fill=colour)
        size = min(max((right - left) / 4, 11.0), 64.0)
        label = pen.textbbox((left, top), str(number), font_size=size)
        pen.rectangle((label[0] - 1, label[1] - 1, label[2] + 1, label[3] + 1), fill=colour)
        pen.text((left, top), str(number), fill=(0, 0, 0), font_size=size)
    return picture


def write_drawn_faces(pixels: NDArray[np.uint8], faces: Sequence[Face], path: Path) -> None:
    """Write what `draw_faces` draws as a PNG; VisagistError for another suffix, and as `write_file`."""
    if path.suffix.lower() != ".png":
        raise VisagistError(f"the picture of the faces is a PNG, got {path}: write {path.stem or 'faces'}.png")
    says, encoded = PngInfo(), io.BytesIO()
    says.add_text("Source", f"faces of a photograph, {NAMESPACE}")
    draw_faces(pixels, faces).save(encoded, "PNG", pnginfo=says)
    write_file(path, encoded.getvalue(), "choose another --out, or add --overwrite")
