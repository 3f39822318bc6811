"""Open pictures with Pillow strictly, without changing the settings of Pillow or Python for the process."""

from __future__ import annotations

import importlib
import io
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from visagist.errors import VisagistError
from visagist.photos.bounds import check_exif, check_frames, check_size, check_structure
from visagist.photos.formats import BY_NAME, READABLE, TITLES

_STRICT = "visagist_whole_"
MAX_BOXES = 1000  # that are looked at of a HEIC file


class _StrictDecoder:
    """One of Pillow's decoders, which raises OSError for data that are cut off or damaged.

    Pillow itself forgives both where a program has set ImageFile.LOAD_TRUNCATED_IMAGES.
    """

    def __init__(self, codec: str, mode: str, *args: Any) -> None:
        make = Image.DECODERS.get(codec) or getattr(vars(Image)["core"], f"{codec}_decoder")
        self._decoder: Any = make(mode, *args)
        self._ended = False

    @property
    def pulls_fd(self) -> bool:
        return bool(self._decoder.pulls_fd)

    def setimage(self, *args: Any) -> None:
        self._decoder.setimage(*args)

    def setfd(self, file: Any) -> None:
        self._decoder.setfd(file)

    def decode(self, data: bytes) -> tuple[int, int]:
        used, error = self._decoder.decode(data)
        self._ended = used < 0 or error < 0 or self.pulls_fd
        if error < 0:
            raise OSError(f"its pixels are damaged ({ImageFile.ERRORS.get(error, f'decoder error {error}')})")
        return used, error

    def cleanup(self) -> None:
        self._decoder.cleanup()
        if not self._ended:
            raise OSError("image file is truncated")


def open_picture(data: bytes, name: str) -> ImageFile.ImageFile:
    """A picture whose header is read, by its content and not by its name.

    UnidentifiedImageError for what is no picture; VisagistError for one that is too large in any respect, or whose reader is
    not installed. Pixels are to be decoded by `load_whole`.
    """
    check_structure(data, name)
    if BY_NAME["HEIF"].matches(data):
        use_heif(name)
        if {b"moov", b"meta"} & _boxes(data) == {b"moov"}:
            raise VisagistError(
                f"{name} is a HEIC sequence, a film without a still picture: save one of its pictures as JPEG or HEIC, or "
                "the whole as .mp4"
            )
    Image.init()
    for row in READABLE:
        factory, accept = Image.OPEN.get(row.name, (None, None))
        # Image.open would compare the size with Image.MAX_IMAGE_PIXELS, which is the program's and not ours.
        if factory is None or (accept is not None and accept(data[:16]) is not True):
            continue
        try:
            picture = factory(io.BytesIO(data), "")
        except (SyntaxError, IndexError, TypeError, struct.error):
            continue
        check_size(name, picture.width * picture.height)
        _check_exif_data(picture, name)
        if row.frames:
            check_frames(name, 1 if row.name == "GIF" else int(getattr(picture, "n_frames", 1)))
        _make_strict(picture)  # reading the EXIF data of a PNG decodes it
        return picture
    raise UnidentifiedImageError(f"{name} is not a picture")


def holds_sequence(data: bytes) -> bool:
    """Whether a HEIC file holds a film beside its still picture."""
    return b"moov" in _boxes(data)


def _boxes(data: bytes) -> set[bytes]:
    """The kinds of the boxes in which an ISO file lies; as far as their lengths make sense."""
    kinds, position = set[bytes](), 0
    for _ in range(MAX_BOXES):
        if position + 8 > len(data):
            break
        length = int.from_bytes(data[position : position + 4], "big")
        kinds.add(data[position + 4 : position + 8])
        if length == 1:
            length = int.from_bytes(data[position + 8 : position + 16], "big")
        if length < 8:  # 0: to the end of the file
            break
        position += length
    return kinds


@contextmanager
def open_header(data: bytes, name: str) -> Iterator[ImageFile.ImageFile]:
    """A picture whose header is read and allowed; what goes wrong while it is used is a VisagistError."""
    try:
        with open_picture(data, name) as picture:
            yield picture
    except VisagistError:
        raise
    except UnidentifiedImageError:
        raise VisagistError(f"{name} is not a picture that can be read: give {TITLES}") from None
    except MemoryError as error:
        raise VisagistError(f"{name} needs more memory than there is: make it smaller") from error
    except Exception as error:  # Pillow's decoders raise anything from SyntaxError to struct.error on damaged files
        reason = " ".join(str(error).split()) or type(error).__name__
        raise VisagistError(f"cannot read {name} as a picture: {reason}; give a whole file") from error


def load_whole(picture: Image.Image, name: str) -> None:
    """Decode the current frame; raises for one that is cut off, whatever ImageFile.LOAD_TRUNCATED_IMAGES is."""
    if not isinstance(picture, ImageFile.ImageFile):
        return
    _make_strict(picture)
    if picture.format == "HEIF" and ImageFile.LOAD_TRUNCATED_IMAGES and picture.fp is not None:
        picture.fp.seek(0)
        # Decoded outside Pillow, as this reader forgives cut data where Pillow does.
        np.asarray(importlib.import_module("pillow_heif").open_heif(picture.fp.read(), convert_hdr_to_8bit=True))
    picture.load()
    _check_exif_data(picture, name)  # a PNG may say more after its pixels


def _check_exif_data(picture: Image.Image, name: str) -> None:
    """VisagistError for EXIF data that are not to be parsed; those of a PNG may be written as text."""
    exif, text = picture.info.get("exif"), picture.info.get("Raw profile type exif")
    if isinstance(exif, bytes):
        check_exif(exif, name)
    if isinstance(text, str):
        try:
            hidden = bytes.fromhex("".join(text.split()[2:]))  # after a name and a length
        except ValueError:
            return  # damaged; whoever reads it finds the same
        check_exif(hidden, name)


def _make_strict(picture: ImageFile.ImageFile) -> None:
    """Have the current frame decoded by strict decoders."""
    picture.tile = [tile._replace(codec_name=_strict_codec(tile.codec_name)) for tile in picture.tile]
    if picture.tile and picture.format in ("JPEG", "MPO"):
        assert picture.fp is not None
        vars(picture)["load_read"] = picture.fp.read  # JPEG's own makes up an end where there is none


def use_heif(name: str) -> None:
    """Let Pillow read and write HEIC; VisagistError where pillow-heif is not installed."""
    try:
        importlib.import_module("pillow_heif").register_heif_opener(thumbnails=False)
    except ImportError as error:
        raise VisagistError(
            f"{name} is a HEIC picture, which pillow-heif reads: pip install visagist[heic], or convert it to JPEG"
        ) from error


def _strict_codec(codec: str) -> str:
    """The name of the strict form of one of Pillow's decoders; libtiff, called by itself, always is."""
    if codec == "libtiff" or codec.startswith(_STRICT):
        return codec
    if _STRICT + codec not in Image.DECODERS:
        Image.register_decoder(_STRICT + codec, partial(_StrictDecoder, codec))  # type: ignore[arg-type]
    return _STRICT + codec
