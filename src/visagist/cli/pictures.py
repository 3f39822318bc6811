"""Pictures that a command writes: whole or not at all, and each with a note of what made it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.errors import VisagistError

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
SOFTWARE_TAG = 0x0131  # of EXIF


def write_picture(picture: Image.Image, path: Path, note: str) -> None:
    """Write a picture whole or not at all; the file says of itself that it is edited or generated."""
    from PIL import Image

    fresh = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    exif = Image.Exif()
    exif[SOFTWARE_TAG] = note
    options: dict[str, Any] = {"quality": 95} if path.suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        picture.save(fresh, exif=exif, **options)
        os.replace(fresh, path)
    except OSError as error:
        raise VisagistError(f"cannot write {path}: {error.strerror or error}; choose another --out") from error
    finally:
        if fresh.parent.is_dir():
            fresh.unlink(missing_ok=True)
