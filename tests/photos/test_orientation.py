"""A photograph that lies on its side is set upright once, in every format and depth, and stays so when it is written."""

from __future__ import annotations

import io

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from visagist.data.crops import decode_face
from visagist.photos.encode import encode_photo
from visagist.photos.metadata import insert_png_chunks
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step

STEP = Step("edited", "tiny")
WIDTH, HEIGHT = 24, 16
CHANNELS = {"grey": 1, "rgb": 3, "rgba": 4}
# Of pixels as they lie in the file: what EXIF's orientation 1 to 8 makes of them, by its definition.
UPRIGHT = (
    lambda a: a,
    lambda a: a[:, ::-1],
    lambda a: a[::-1, ::-1],
    lambda a: a[::-1],
    lambda a: a.swapaxes(0, 1),
    lambda a: a[::-1].swapaxes(0, 1),
    lambda a: a[::-1, ::-1].swapaxes(0, 1),
    lambda a: a[:, ::-1].swapaxes(0, 1),
)
LOSSLESS = [
    (kind, depth, channels)
    for kind, depths in {"png": (8, 16), "tiff": (8, 16), "tiff lzw": (8, 16), "webp": (8,)}.items()
    for depth in depths
    for channels in CHANNELS
    if (kind, channels) != ("webp", "grey")
]
LOSSY = [("jpeg", "grey"), ("jpeg", "rgb"), ("avif", "rgb"), ("avif", "rgba"), ("heic", "rgb"), ("heic", "rgba")]


def stored(depth: int, channels: str) -> NDArray[np.uint8 | np.uint16]:
    """Four flat quarters, whose colours tell every orientation from every other."""
    quarters = np.array([[20, 90], [150, 230]])
    grey = np.kron(quarters, np.ones((HEIGHT // 2, WIDTH // 2), int))
    pixels = np.dstack([grey, grey[::-1], 255 - grey, 255 - grey // 4])[..., : CHANNELS[channels]]
    return pixels.astype(np.uint8) if depth == 8 else (pixels * 257 - pixels % 3).astype(np.uint16)


def exif(orientation: int) -> bytes:
    said = Image.Exif()
    said[0x0112] = orientation
    return said.tobytes()


def encoded(kind: str, pixels: NDArray[np.uint8 | np.uint16], orientation: int) -> bytes:
    buffer, flat = io.BytesIO(), pixels[..., 0] if pixels.shape[2] == 1 else pixels
    if kind.startswith("tiff"):
        tifffile.imwrite(
            buffer, flat, metadata=None, photometric="minisblack" if flat.ndim == 2 else "rgb",
            extrasamples=["unassalpha"] if pixels.shape[2] == 4 else None, compression="lzw" if "lzw" in kind else None,
            extratags=[(0x0112, 3, 1, orientation, True)],
        )  # fmt: skip
    elif kind == "png":
        return insert_png_chunks(imagecodecs.png_encode(flat), [(b"eXIf", exif(orientation)[6:])])
    elif kind == "webp":
        Image.fromarray(flat).save(buffer, "WEBP", lossless=True, exact=True, exif=exif(orientation))
    elif kind == "heic":
        pillow_heif.register_heif_opener(thumbnails=False)
        Image.fromarray(flat).save(buffer, "HEIF", quality=95, exif=exif(orientation))
    else:
        Image.fromarray(flat).save(buffer, kind.upper(), quality=95, exif=exif(orientation))
    return buffer.getvalue()


SUFFIXES = {"tiff": ".tif", "tiff lzw": ".tif", "jpeg": ".jpg"}


@pytest.mark.parametrize(("kind", "depth", "channels"), LOSSLESS)
def test_a_lossless_photo_is_upright_once_read_and_once_written(kind: str, depth: int, channels: str) -> None:
    pixels = stored(depth, channels)
    for orientation in range(1, 9):
        photo = read_photo(encoded(kind, pixels, orientation), f"{kind} {orientation}")
        upright = UPRIGHT[orientation - 1](pixels)
        assert np.array_equal(photo.frames[0], upright), (orientation, "read")
        for suffix in {SUFFIXES.get(kind, f".{kind}"), ".png", ".tif"}:
            data = encode_photo(photo, suffix, STEP).data
            assert np.array_equal(read_photo(data).frames[0], upright), (orientation, suffix)
            with Image.open(io.BytesIO(data)) as written:
                assert written.getexif().get(0x0112, 1) == 1


@pytest.mark.parametrize(("kind", "channels"), LOSSY)
def test_a_lossy_photo_is_upright_once_read_and_once_written(kind: str, channels: str) -> None:
    pixels = stored(8, channels)
    for orientation in range(1, 9):
        photo = read_photo(encoded(kind, pixels, orientation), f"{kind} {orientation}")
        upright = UPRIGHT[orientation - 1](pixels).astype(int)
        for now in (photo, read_photo(encode_photo(photo, SUFFIXES.get(kind, f".{kind}"), STEP).data)):
            assert now.frames[0].shape == upright.shape, orientation
            assert np.abs(now.frames[0] - upright).mean() < 12, orientation


@pytest.mark.parametrize("kind", ["png", "tiff", "tiff lzw", "webp", "jpeg", "avif", "heic"])
def test_a_face_of_a_data_source_is_upright_too(kind: str) -> None:
    pixels = stored(8, "rgb")[:, :HEIGHT]
    for orientation in range(1, 9):
        face, _ = decode_face(encoded(kind, pixels, orientation), "square", HEIGHT)
        assert np.abs(face - UPRIGHT[orientation - 1](pixels).astype(int)).mean() < 12, orientation


@pytest.mark.parametrize("kind", ["png", "tiff", "tiff lzw", "jpeg"])
def test_a_picture_in_memory_is_set_upright_once(kind: str) -> None:
    pixels = stored(8, "rgb")
    for orientation in range(1, 9):
        with Image.open(io.BytesIO(encoded(kind, pixels, orientation))) as picture:
            seen = read_photo(picture).frames[0]
        upright = UPRIGHT[orientation - 1](pixels).astype(int)
        assert seen.shape == upright.shape
        assert np.abs(seen - upright).mean() < 12, orientation
