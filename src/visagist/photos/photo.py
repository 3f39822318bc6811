"""Read a photograph: its own pixels, upright; the sRGB view for a model; and the metadata of its file."""

from __future__ import annotations

import importlib
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from visagist.boundary.untrusted import PHOTO_BYTES, read_regular
from visagist.errors import VisagistError
from visagist.photos.bounds import check_size
from visagist.photos.colour import ColourSpace, Pixels, cmyk_to_rgb, deep_codecs, differs_from_srgb
from visagist.photos.formats import BY_NAME
from visagist.photos.metadata import Metadata, png_chunks, read_coding, read_metadata, read_orientation
from visagist.photos.opening import holds_sequence, load_whole, open_header

_TURNS = {2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (3, False), 7: (1, True), 8: (1, False)}


class PixelChange(Protocol):
    """What is added to pixels in [0, 1] inside a box, left, top, right and bottom: [h, w, 3]."""

    @property
    def box(self) -> tuple[int, int, int, int]: ...

    @property
    def detail(self) -> NDArray[np.float32]: ...


@dataclass(frozen=True, repr=False)
class PhotoFile:
    """A photograph in its own form.

    frames     upright pixels [H, W, C], uint8 or uint16; C is 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha
    durations  of each frame in milliseconds; None for what does not move
    loop       how often an animation runs; 0 for ever, None where the file does not say
    form       how the file was coded, as far as writing can do the same
    notes      what of the file is not kept, one clause each
    original   the file as it was; None for a picture in memory
    """

    name: str
    format: str
    frames: tuple[Pixels, ...]
    colours: ColourSpace
    metadata: Metadata
    durations: tuple[float, ...] | None = None
    loop: int | None = None
    form: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()
    original: bytes | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        width, height = self.size
        pixels = self.frames[0]
        frames = f", {len(self.frames)} frames" if len(self.frames) > 1 else ""
        form = f"{width}×{height}×{pixels.shape[2]} {pixels.dtype}{frames}"
        return f"PhotoFile({self.name!r}, {self.format or 'in memory'}, {form})"

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright photo."""
        return self.frames[0].shape[1], self.frames[0].shape[0]

    def view(self, frame: int = 0) -> NDArray[np.uint8]:
        """A frame as a model sees it: upright sRGB, uint8 [H, W, 3], without alpha."""
        pixels = self.frames[frame]
        return self.colours.to_srgb(pixels[..., : _colour_channels(pixels)])

    def is_viewed_as_it_is(self, frame: int = 0) -> bool:
        """Whether the view of a frame has its own pixels, but for alpha."""
        return self.colours.icc is None and self.frames[frame].dtype == np.uint8 and self.frames[frame].shape[2] >= 3

    def with_changes(self, changes: Sequence[Sequence[PixelChange]]) -> PhotoFile:
        """Add changes, given in sRGB, to each frame.

        They are added in the photo's own colours and depth; alpha, and pixels whose change is 0, stay bit-identical.
        """
        frames = []
        for pixels, of_frame in zip(self.frames, changes, strict=True):
            pixels = pixels.copy() if of_frame else pixels
            channels = _colour_channels(pixels)
            for change in of_frame:
                left, top, right, bottom = change.box
                self.colours.add_detail(pixels[top:bottom, left:right, :channels], change.detail)
            frames.append(pixels)
        return replace(self, frames=tuple(frames))


def read_photo(photo: Path | str | bytes | Image.Image, name: str | None = None) -> PhotoFile:
    """The photograph in a file, its bytes or a picture; VisagistError for what is none, damaged, or too large.

    Too large are more than 200 megapixels, over all frames of an animation, or what $VISAGIST_MAX_MEGAPIXELS says.
    """
    if isinstance(photo, Image.Image):
        return _read_picture(photo, name or "the picture")
    name = name or ("the photo" if isinstance(photo, bytes) else str(photo))
    data = photo if isinstance(photo, bytes) else read_bytes(Path(photo))
    with open_header(data, name) as picture:
        return _read(picture, data, name)


def read_bytes(path: Path) -> bytes:
    """The bytes of a picture's file; VisagistError where it cannot be read or is far too large."""
    try:
        return read_regular(path, PHOTO_BYTES)
    except FileNotFoundError as error:
        raise VisagistError(f"there is no picture {path}: check the path") from error
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}; check the path and its rights") from error


def _read(picture: Image.Image, data: bytes, name: str) -> PhotoFile:
    kind = "JPEG" if picture.format == "MPO" else str(picture.format)
    metadata, notes = read_metadata(picture, data, name)
    turn = 1 if kind == "TIFF" else read_orientation(picture)
    form = read_coding(picture, data, kind)
    durations: tuple[float, ...] | None = None
    count = int(getattr(picture, "n_frames", 1))
    if BY_NAME[kind].frames and count > 1:
        frames, durations = _read_frames(picture, name)
    else:
        if count > 1:
            what = "pages" if kind == "TIFF" else "pictures"
            notes.append(f"only the first of its {count} {what} is edited and written")
        if kind == "HEIF" and holds_sequence(data):
            notes.append("only its still picture is edited and written, not the sequence beside it")
        native, more = _read_native(picture, data, kind, name)
        frames, notes = [native], notes + more
    channels = _colour_channels(frames[0])
    colours, more = _read_colours(metadata.icc, grey=channels == 1, converted=picture.mode in ("CMYK", "LAB"))
    if picture.mode in ("CMYK", "LAB"):
        metadata = replace(metadata, icc=None)
    loop = picture.info.get("loop") if durations else None
    upright = tuple(_turn_upright(frame, turn) for frame in frames)
    return PhotoFile(name, kind, upright, colours, metadata, durations, loop, form, tuple(notes + more), data)


def _read_frames(picture: Image.Image, name: str) -> tuple[list[Pixels], tuple[float, ...]]:
    frames: list[Pixels] = []
    durations: list[float] = []
    while True:
        check_size(name, picture.width * picture.height * (len(frames) + 1))
        load_whole(picture, name)
        frames.append(np.array(picture.convert("RGBA" if _has_alpha(picture) else "RGB")))
        durations.append(float(picture.info.get("duration") or 0))
        try:
            picture.seek(len(frames))
        except EOFError:
            break
    if len({frame.shape[2] for frame in frames}) > 1:
        frames = [f if f.shape[2] == 4 else np.dstack([f, np.full(f.shape[:2], 255, np.uint8)]) for f in frames]
    return frames, tuple(durations)


def _read_native(picture: Image.Image, data: bytes, kind: str, name: str) -> tuple[Pixels, list[str]]:
    """The pixels [H, W, C] in their own depth, as they lie in the file; of a TIFF upright, as Pillow decodes no other."""
    depth, turn = _read_depth(picture, data, kind), read_orientation(picture)
    if depth > 16 or (picture.mode in ("F", "I") and depth != 16):
        raise VisagistError(f"{name} has {depth} bits a channel, of mode {picture.mode}: convert it to 8 or 16 bits")
    if kind:
        load_whole(picture, name)
    if depth == 16 and kind in ("PNG", "TIFF"):
        return _read_deep(picture, data, kind, name, turn), []
    if picture.mode.startswith("I"):
        return np.asarray(picture).astype(np.uint16)[..., None], []
    if picture.mode in ("CMYK", "LAB"):
        done = cmyk_to_rgb(picture, picture.info.get("icc_profile"))
        return np.asarray(done), [f"{picture.mode} is written as RGB, in sRGB"]
    grey = picture.mode in ("1", "L", "LA", "La")
    mode = ("LA" if grey else "RGBA") if _has_alpha(picture) else ("L" if grey else "RGB")
    pixels = np.array(picture if picture.mode == mode else picture.convert(mode))
    bits = picture.info.get("bit_depth") or 8  # of HEIC
    notes = [f"its {bits} bits a channel are read as 8"] if bits != 8 else []
    return (pixels[..., None] if pixels.ndim == 2 else pixels), notes


def _read_deep(picture: Image.Image, data: bytes, kind: str, name: str, turn: int) -> Pixels:
    """16 bits a channel. Pillow holds one such channel; more are read by imagecodecs and tifffile.

    The picture is decoded before, which refuses what is damaged; imagecodecs does too, but never gives back the memory that
    it took for it.
    """
    if picture.mode.startswith("I;16") or picture.mode == "I":
        return np.asarray(picture).astype(np.uint16)[..., None]
    codecs = deep_codecs()
    if kind == "PNG":
        pixels = codecs.png_decode(data)
    else:
        tifffile = importlib.import_module("tifffile")
        logging.getLogger("tifffile").addHandler(logging.NullHandler())  # its remarks on odd tags are no concern of ours
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            page = file.pages[0]
            check_size(name, page.size // max(1, page.samplesperpixel))
            pixels = page.asarray(maxworkers=1)
            if page.planarconfig == 2 and pixels.ndim == 3:
                pixels = np.moveaxis(pixels, 0, -1)
    pixels = np.array(pixels if pixels.ndim == 3 else pixels[..., None])
    pixels = _turn_upright(pixels, turn if kind == "TIFF" else 1)
    right = pixels.dtype == np.uint16 and pixels.shape[2] <= 4 and pixels.shape[:2] == picture.size[::-1]
    if not right or picture.mode not in ("RGB", "RGBA", "LA", "L"):
        raise VisagistError(
            f"{name} has 16-bit channels that cannot be kept ({picture.mode}, {list(pixels.shape)}): convert it to RGB"
        )
    return pixels


def _read_depth(picture: Image.Image, data: bytes, kind: str) -> int:
    """Bits a channel."""
    if kind == "PNG":
        header = next(iter(png_chunks(data)), (b"", b""))[1]
        return header[8] if len(header) > 8 else 8
    if kind == "TIFF":
        bits = picture.tag_v2.get(258, (1,))  # type: ignore[attr-defined]
        return int(max(bits)) if isinstance(bits, tuple) else int(bits)
    return {"F": 32, "I": 32}.get(picture.mode, 16 if picture.mode.startswith("I;16") else 8)


def _read_colours(icc: bytes | None, grey: bool, converted: bool) -> tuple[ColourSpace, list[str]]:
    if icc is None or converted:
        return ColourSpace(), []
    try:
        return ColourSpace(icc if differs_from_srgb(icc, grey) else None), []
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return ColourSpace(), ["its colour profile cannot be used, and its colours are taken as sRGB"]


def _has_alpha(picture: Image.Image) -> bool:
    return picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info


def _colour_channels(pixels: Pixels) -> int:
    return 1 if pixels.shape[2] < 3 else 3


def _turn_upright(pixels: Pixels, turn: int) -> Pixels:
    if turn not in _TURNS:
        return pixels
    quarters, mirrored = _TURNS[turn]
    turned = np.rot90(pixels, quarters)
    return np.ascontiguousarray(turned[:, ::-1] if mirrored else turned)


def photo_of_pixels(pixels: NDArray[np.uint8], name: str) -> PhotoFile:
    """A photograph of RGB pixels [H, W, 3] that a program holds; they are not copied. VisagistError as `read_photo`."""
    check_size(name, pixels.shape[0] * pixels.shape[1])
    return PhotoFile(name, "", (np.ascontiguousarray(pixels),), ColourSpace(), Metadata(), form={})


def _read_picture(picture: Image.Image, name: str) -> PhotoFile:
    """A picture that a program holds already: its pixels and what its `info` says."""
    check_size(name, picture.width * picture.height)
    metadata, notes = read_metadata(picture, b"", name)
    native, more = _read_native(picture, b"", "", name)
    channels = _colour_channels(native)
    colours, more_notes = _read_colours(metadata.icc, channels == 1, picture.mode in ("CMYK", "LAB"))
    upright = _turn_upright(native, read_orientation(picture))
    return PhotoFile(name, "", (upright,), colours, metadata, form={}, notes=(*notes, *more, *more_notes))
