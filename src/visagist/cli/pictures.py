"""Pictures that a command writes: whole or not at all, and each with a note of what made it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.files import write_file

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SOFTWARE_TAG = 0x0131  # of EXIF


def write_picture(picture: Image.Image, path: Path, note: str) -> None:
    """Write a picture whole or not at all; the file says of itself that it is edited or generated."""
    from PIL import Image

    exif, encoded = Image.Exif(), io.BytesIO()
    exif[SOFTWARE_TAG] = note
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    picture.save(encoded, Image.registered_extensions()[path.suffix.lower()], exif=exif, **options)
    write_file(path, encoded.getvalue())
