"""Small photographs in every format, made of the public-domain portrait that the package carries."""

from __future__ import annotations

import io
import struct
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from numpy.typing import NDArray
from PIL import Image

SIZE = 48
DURATIONS = [100, 50, 200]
pillow_heif.register_heif_opener(thumbnails=False)


class Change(NamedTuple):
    """A change, as the editor makes them."""

    box: tuple[int, int, int, int]
    detail: NDArray[np.float32]


@cache
def portrait(size: int = SIZE) -> Image.Image:
    with Image.open(io.BytesIO(files("visagist").joinpath("demo_face.png").read_bytes())) as picture:
        return picture.convert("RGB").resize((size, size * 5 // 6))


def encoded(picture: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


@cache
def adobe_rgb() -> bytes:
    """A profile with more colours than sRGB has."""
    return _undated(imagecodecs.cms_profile("adobergb"))


@cache
def grey_gamma() -> bytes:
    return _undated(imagecodecs.cms_profile("gray", gamma=1.8))


def _undated(profile: bytes) -> bytes:
    """The profile with the first of January 2020 in place of now, so that the seeds are the same every day."""
    return bytes(profile[:24]) + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + bytes(profile[36:])


def exif(orientation: int | None = None) -> Image.Exif:
    said = Image.Exif()
    if orientation:
        said[0x0112] = orientation
    said[0x010F], said[0x0131] = "Maker", "Camera 1.0"
    said.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    said.get_ifd(0x8825)[1] = "N"
    loaded = Image.Exif()
    loaded.load(said.tobytes())  # Pillow writes groups into a TIFF only if it has read them
    return loaded


def deep(picture: Image.Image) -> NDArray[np.uint16]:
    """16 bits a channel, the lower ones used."""
    pixels = np.asarray(picture).astype(np.uint16) * 257
    return pixels ^ (np.arange(pixels.size, dtype=np.uint16).reshape(pixels.shape) % 128)


def tiff(pixels: NDArray[np.uint16], **options: Any) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, pixels, metadata=None, **options)
    return buffer.getvalue()


@cache
def seeds() -> dict[str, tuple[bytes, str]]:
    """By name: the bytes of a file, and the suffix of the format to write it in."""
    face = portrait()
    veiled = face.copy()
    veiled.putalpha(Image.linear_gradient("L").resize(face.size))
    moving = [face.rotate(5 * i) for i in range(3)]
    moves = {"save_all": True, "append_images": moving[1:], "duration": DURATIONS}
    sixteen, adobe = deep(face), adobe_rgb()
    return {
        "jpeg": (encoded(face, "JPEG", quality=80, comment=b"a comment", exif=exif()), ".jpg"),
        "jpeg adobe": (encoded(face, "JPEG", icc_profile=adobe, progressive=True, subsampling=0), ".jpeg"),
        "jpeg grey": (encoded(face.convert("L"), "JPEG"), ".jpg"),
        "jpeg cmyk": (encoded(face.convert("CMYK"), "JPEG"), ".jpg"),
        "png": (encoded(face, "PNG", exif=exif(), dpi=(300, 300)), ".png"),
        "png adobe": (encoded(face, "PNG", icc_profile=adobe), ".png"),
        "png alpha": (encoded(veiled, "PNG"), ".png"),
        "png grey": (encoded(face.convert("L"), "PNG"), ".png"),
        "png grey gamma": (encoded(face.convert("L"), "PNG", icc_profile=grey_gamma()), ".png"),
        "png grey alpha": (encoded(veiled.convert("LA"), "PNG"), ".png"),
        "png palette": (encoded(face.quantize(32), "PNG"), ".png"),
        "png bilevel": (encoded(face.convert("1"), "PNG"), ".png"),
        "png 16": (imagecodecs.png_encode(sixteen), ".png"),
        "png 16 alpha": (imagecodecs.png_encode(np.dstack([sixteen, sixteen[..., :1]])), ".png"),
        "png 16 grey": (encoded(Image.fromarray(sixteen[..., 0]), "PNG"), ".png"),
        "apng": (encoded(face, "PNG", loop=3, **moves), ".png"),
        "webp": (encoded(face, "WEBP", quality=80, exif=exif()), ".webp"),
        "webp lossless": (encoded(veiled, "WEBP", lossless=True, exact=True), ".webp"),
        "webp moving": (encoded(face, "WEBP", lossless=True, **moves), ".webp"),
        "gif": (encoded(face, "GIF"), ".gif"),
        "gif moving": (encoded(face, "GIF", loop=0, **moves), ".gif"),
        "tiff": (encoded(face, "TIFF", compression="tiff_lzw", dpi=(300, 300)), ".tif"),
        "tiff exif": (encoded(veiled, "TIFF", exif=exif()), ".tiff"),
        "tiff cmyk": (encoded(face.convert("CMYK"), "TIFF"), ".tif"),
        "tiff 16": (tiff(sixteen, photometric="rgb", iccprofile=adobe), ".tif"),
        "tiff 16 lzw": (tiff(sixteen, photometric="rgb", compression="lzw", predictor=True), ".tif"),
        "tiff 16 planes": (tiff(np.moveaxis(sixteen, 2, 0), photometric="rgb", planarconfig="separate"), ".tif"),
        "tiff 16 grey": (tiff(sixteen[..., 0], photometric="minisblack"), ".tif"),
        "bmp": (encoded(face, "BMP"), ".png"),
        "jpeg 2000": (encoded(face, "JPEG2000"), ".png"),
        "avif": (encoded(face, "AVIF", exif=exif()), ".avif"),
        "heic": (encoded(face, "HEIF", quality=80), ".heic"),
    }
