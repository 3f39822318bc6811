"""Decode a picture into a square uint8 face: orientation, a named crop, an antialiased resize."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from visagist.boundary.untrusted import PHOTO_BYTES, read_regular
from visagist.errors import VisagistError, nearest
from visagist.photos.formats import PICTURES
from visagist.photos.opening import load_whole, open_picture

Box = tuple[int, int, int, int]

# Pillow widens the support of the filter with the reduction, so this is antialiased.
FILTER = "lanczos"
# Raise it when the same picture would become other pixels: every pack is then built anew.
DECODER = 1
SIZES = range(8, 1025)
_MAX_PIXELS = 89_478_485  # of a picture that becomes a face; several are decoded at a time


class BadImageError(Exception):
    """One picture that cannot become a face; the message is the reason, without the file's name."""


def is_picture(name: str) -> bool:
    """Whether a file's name says that it is a picture; hidden files are not."""
    return name.lower().endswith(PICTURES) and not name.startswith(".")


def _centre(side: int) -> Callable[[int, int], Box]:
    def box(width: int, height: int) -> Box:
        if min(width, height) < side:
            raise BadImageError(f"{width}×{height} pixels, smaller than the crop of {side}×{side}")
        left, top = (width - side) // 2, (height - side) // 2
        return left, top, left + side, top + side

    return box


def _square(width: int, height: int) -> Box:
    return _centre(min(width, height))(width, height)


# The box (left, top, right, bottom) that a crop takes out of a picture of this width and height.
CROPS: dict[str, Callable[[int, int], Box]] = {
    "centre108": _centre(108),
    "centre128": _centre(128),
    "centre148": _centre(148),
    "centre178": _centre(178),
    "square": _square,
}


def check_form(image_size: int, crop: str) -> None:
    """Raise VisagistError unless this is a size in pixels that faces can have and a crop in `CROPS`."""
    if image_size not in SIZES:
        raise VisagistError(f"image_size is {image_size}: give a number from {SIZES[0]} to {SIZES[-1]}, such as 64")
    if crop not in CROPS:
        raise VisagistError(f"no crop {crop!r}: {nearest(crop, CROPS)}")


def decode_face(picture: Path | bytes, crop: str, image_size: int) -> tuple[NDArray[np.uint8], Box]:
    """A picture as pixels [S, S, 3], RGB, and the box of the upright picture that they show; or BadImageError."""
    try:
        data = read_regular(picture, PHOTO_BYTES) if isinstance(picture, Path) else picture
        with open_picture(data, "it") as opened:
            if opened.mode.startswith(("I", "F")):
                raise BadImageError(f"pixels of mode {opened.mode}, not 8 bits a channel")
            if opened.width * opened.height > _MAX_PIXELS:
                raise BadImageError(f"image size ({opened.width}×{opened.height} pixels) exceeds limit of {_MAX_PIXELS:,}")
            load_whole(opened, "it")
            upright = ImageOps.exif_transpose(opened)
            if "transparency" in upright.info:  # else Pillow warns that the palette's transparency is lost
                upright = upright.convert("RGBA")
            upright = upright.convert("RGB")
    except (BadImageError, MemoryError):
        raise
    except FileNotFoundError:
        raise BadImageError("missing") from None
    except VisagistError as error:  # of what is no regular file, or a huge one
        raise BadImageError(f"unreadable: {str(error).removeprefix(f'{picture!s} ')}") from None
    except UnidentifiedImageError:
        raise BadImageError("not an image") from None
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error on damaged files
        raise BadImageError(f"unreadable: {' '.join(str(error).split()) or type(error).__name__}") from error
    box = CROPS[crop](*upright.size)
    face = upright.crop(box).resize((image_size, image_size), Image.Resampling.LANCZOS)
    return np.asarray(face), box


def encode_face(pixels: NDArray[np.uint8], encoding: str, quality: int) -> bytes:
    """Pixels [S, S, 3] as raw bytes, WebP or JPEG."""
    if encoding == "raw":
        return pixels.tobytes()
    stream = io.BytesIO()
    if encoding == "webp":
        Image.fromarray(pixels).save(stream, "WEBP", quality=quality, method=4)
    else:
        Image.fromarray(pixels).save(stream, "JPEG", quality=quality, subsampling=0, optimize=True)
    return stream.getvalue()


def read_face(data: bytes) -> NDArray[np.uint8]:
    """Pixels [S, S, 3] of what `encode_face` wrote as WebP or JPEG."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


# Width and height of CelebA's aligned pictures; a model trained on a crop of them sees that crop.
ALIGNED_SIZE = (178, 218)
# Mean points of MTCNN over aligned pictures of CelebA, 178×218 pixels, made symmetric.
TEMPLATE = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])
# The same for drawn faces, in shares of the picture.
DRAWN_TEMPLATE = np.array([[0.361, 0.466], [0.639, 0.466], [0.5, 0.602], [0.38, 0.735], [0.62, 0.735]])
DEFAULT_CROP = "centre178"  # for models of other crops: the largest square of an aligned picture


def inner_square(outer: str | None, inner: str | None, side: int) -> slice:
    """Rows, and columns, of the crop `inner` in aligned faces of the crop `outer`; all of them where it is not inside."""
    if outer not in CROPS or inner not in CROPS:
        return slice(None)
    (left, _, right, _), (start, *_) = (CROPS[crop](*ALIGNED_SIZE) for crop in (outer, inner))
    edge = max(round((start - left) * side / (right - left)), 0)
    return slice(edge, side - edge)


def template(crop: str | None, side: int) -> NDArray[np.float64]:
    """The five points [5, 2] of a usual face in the square of models trained on this crop, in its pixels.

    Models of crops other than CelebA's and of drawn faces are taken to be trained on the largest square of aligned faces.
    """
    if crop == "drawn":
        return DRAWN_TEMPLATE * side - 0.5
    box = CROPS[crop if crop in CROPS else DEFAULT_CROP](*ALIGNED_SIZE)
    return (TEMPLATE + 0.5 - np.array(box[:2])) * (side / (box[2] - box[0])) - 0.5
