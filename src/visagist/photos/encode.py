"""Encode a photograph as a file: in its own form where the format is the same, always with its provenance."""

from __future__ import annotations

import importlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import VisagistError, nearest
from visagist.files import write_file
from visagist.photos.colour import ColourSpace, Pixels, deep_codecs
from visagist.photos.content_credentials import Signing
from visagist.photos.formats import BY_NAME, WRITABLE
from visagist.photos.metadata import (
    ORIENTATION,
    Metadata,
    has_groups,
    icc_chunk,
    insert_gif_xmp,
    insert_png_chunks,
    make_exif,
    xmp_chunk,
)
from visagist.photos.opening import use_heif
from visagist.photos.photo import PhotoFile, read_photo
from visagist.photos.provenance import Step, add_step, is_readable

_MOST_XMP, _MOST_EXIF = 65504, 65527  # bytes in a segment of a JPEG
_TIFF_KEPT = ("raw", "tiff_lzw", "tiff_adobe_deflate", "tiff_deflate", "packbits", "lzma", "zstd")
_TIFF_TEXTS = (271, 272, 306, 315, 33432)  # maker, model, date, artist, copyright
_XMP_TAG, _DESCRIPTION = 700, 270


class EncodedPhoto(NamedTuple):
    """A file's bytes, and what of the photograph it does not hold."""

    data: bytes
    notes: tuple[str, ...]


def write_photo(
    photo: PhotoFile, path: Path, step: Step, *, strip_metadata: bool = False, signing: Signing | None = None
) -> tuple[str, ...]:
    """Write a photo whole or not at all, as `encode_photo` makes it; returns its notes."""
    made = encode_photo(photo, path.suffix, step, strip_metadata=strip_metadata, signing=signing)
    write_file(path, made.data, "choose another --out, or add --overwrite")
    return made.notes


def encode_photo(
    photo: PhotoFile, suffix: str, step: Step, *, strip_metadata: bool = False, signing: Signing | None = None
) -> EncodedPhoto:
    """The photo as a file with this suffix, which says of itself what `step` did to it.

    `strip_metadata` leaves out what the photo said before, except its colour profile, without which its colours would
    change, and its history of edits. `signing` adds content credentials. VisagistError for a format that cannot say what
    was done (BMP), or cannot hold the photo.
    """
    kind = format_of(suffix)
    metadata, notes = _metadata_for(photo, kind, step, strip_metadata)
    fitting, more = _convert_to(photo, kind)
    width, height = photo.size
    exif = make_exif(metadata.exif, step.note, width, height)
    if kind == "JPEG" and metadata.exif and len(exif.tobytes()) > _MOST_EXIF:
        exif, more = make_exif(b"", step.note, width, height), [*more, "its EXIF data are larger than a JPEG can hold"]
    if fitting.metadata.icc is None:
        metadata = replace(metadata, icc=None)
    fitting = replace(fitting, metadata=metadata)
    try:
        data = _WRITERS[kind](fitting, exif, step)
    except (OSError, ValueError, OverflowError, RuntimeError) as error:
        raise VisagistError(f"{suffix} cannot hold a picture of {width}×{height} pixels ({error}): write .png") from error
    if signing is not None:
        data = signing.sign(data, suffix, step, photo.original)
    return EncodedPhoto(data, (*notes, *more))


def write_picture(picture: Image.Image, path: Path, step: Step, source: PhotoFile | None = None) -> None:
    """Write a drawn or generated picture whole or not at all, as `encode_picture` makes it."""
    write_file(path, encode_picture(picture, path.suffix, step, source), "choose another --out, or add --overwrite")


def encode_picture(picture: Image.Image, suffix: str, step: Step, source: PhotoFile | None = None) -> bytes:
    """A picture as the bytes of a file with this suffix, which says what the step was, and all steps of `source` before.

    VisagistError where the format cannot hold it: WebP ends at 16383 pixels a side, JPEG at 65500.
    """
    photo = read_photo(picture)
    if source is not None:
        photo = replace(photo, metadata=Metadata(xmp=source.metadata.xmp))
    return encode_photo(photo, suffix, step, strip_metadata=source is not None).data


def format_of(suffix: str) -> str:
    """The format of files with this suffix; VisagistError where none is written."""
    row = WRITABLE.get(suffix.lower())
    if row is None:
        raise VisagistError(f"pictures are not written as {suffix or 'files without a suffix'}: {nearest(suffix, WRITABLE)}")
    if row.name == "HEIF":
        use_heif(f"a {suffix} file")
    return row.name


def suffix_of(format: str) -> str:
    """The suffix of files of a format: `jpeg`, `.jpg`, `JPEG` and `image/jpeg` all are .jpg; VisagistError for none."""
    name = format.lower().removeprefix("image/").removeprefix(".")
    for row in WRITABLE.values():
        if name in (row.name.lower(), row.title.lower(), *(suffix[1:] for suffix in row.suffixes)):
            return row.suffixes[0]
    known = [row.suffixes[0][1:] for row in WRITABLE.values()]
    raise VisagistError(f"pictures are not written as {format}: {nearest(name, known)}")


def _metadata_for(photo: PhotoFile, kind: str, step: Step, strip: bool) -> tuple[Metadata, list[str]]:
    """The metadata of the written file, with the step, and notes on what is left out."""
    own, notes = photo.metadata, []
    if own.xmp and not is_readable(own.xmp):
        notes.append("its XMP is damaged and left out")
    xmp = add_step(own.xmp, step, only_history=strip)
    if kind == "JPEG" and len(xmp) > _MOST_XMP:
        xmp, notes = add_step(own.xmp, step, only_history=True), [*notes, "its XMP is larger than a JPEG can hold"]
        if len(xmp) > _MOST_XMP:
            raise VisagistError(f"its history of edits has {len(xmp):,} bytes, a JPEG holds {_MOST_XMP:,}: write .png")
    if strip:
        return Metadata(xmp=xmp, icc=own.icc), notes
    segments = own.segments if photo.format == kind else b""
    return replace(own, xmp=xmp, segments=segments, chunks=own.chunks if photo.format == kind else ()), notes


def _convert_to(photo: PhotoFile, kind: str) -> tuple[PhotoFile, list[str]]:
    """Convert a photo to the depth, channels and frames that a format can hold, with notes."""
    frames, colours, icc, notes = photo.frames, photo.colours, photo.metadata.icc, []
    row = BY_NAME[kind]
    if 16 not in row.depths and frames[0].dtype != np.uint8:
        frames, notes = tuple(np.rint(f / 257).astype(np.uint8) for f in frames), [f"16 bits a channel become 8 in a {kind}"]
    if len(frames) > 1 and not row.frames:
        frames, notes = frames[:1], [*notes, f"of its {len(frames)} frames a {kind} holds the first"]
    if not row.alpha and frames[0].shape[2] in (2, 4):
        frames, notes = tuple(_blend_on_white(f) for f in frames), [*notes, f"its transparency becomes white in a {kind}"]
    if not row.profile or (frames[0].shape[2] < 3 and not row.grey):
        frames = tuple(_convert_to_srgb(f, colours) for f in frames)
        colours, icc = ColourSpace(), None
    metadata = replace(photo.metadata, icc=icc)
    return replace(photo, frames=frames, colours=colours, metadata=metadata), notes


def _blend_on_white(pixels: Pixels) -> Pixels:
    share = pixels[..., -1:] / np.iinfo(pixels.dtype).max
    mixed = pixels[..., :-1] * share + np.iinfo(pixels.dtype).max * (1 - share)
    return np.rint(mixed).astype(pixels.dtype)


def _convert_to_srgb(pixels: Pixels, colours: ColourSpace) -> NDArray[np.uint8]:
    alpha = pixels[..., -1:] if pixels.shape[2] in (2, 4) else None
    srgb = colours.to_srgb(pixels[..., : 1 if pixels.shape[2] < 3 else 3])
    return srgb if alpha is None else np.concatenate([srgb, alpha], axis=2)


def picture_of(pixels: Pixels) -> Image.Image:
    """Pixels [H, W, C] of 8 bits, or of 16 and one channel, as a picture."""
    return Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)


def _common_options(photo: PhotoFile, exif: Image.Exif) -> dict[str, Any]:
    """The options that all of Pillow's writers take."""
    options: dict[str, Any] = {"exif": exif, "xmp": photo.metadata.xmp, "icc_profile": photo.metadata.icc}
    return options if photo.metadata.dpi is None else {**options, "dpi": photo.metadata.dpi}


def _save(photo: PhotoFile, kind: str, **options: Any) -> bytes:
    buffer, pictures = io.BytesIO(), [picture_of(frame) for frame in photo.frames]
    if len(pictures) > 1:
        # A GIF that says nothing runs once, which the other formats have to be told.
        once = {} if kind == "GIF" else {"loop": 1}
        loop = once if photo.loop is None else {"loop": photo.loop}
        whole = [round(d) for d in photo.durations or ()]
        options |= {"save_all": True, "append_images": pictures[1:], "duration": whole, **loop}
    pictures[0].save(buffer, kind, **options)
    return buffer.getvalue()


def _encode_jpeg(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    same = photo.form if photo.format == "JPEG" and photo.form and photo.form.get("qtables") else None
    how = dict(same) if same else {"quality": BY_NAME["JPEG"].quality, "subsampling": 0}
    comment = photo.metadata.comment
    return _save(
        photo, "JPEG", **_common_options(photo, exif), **how, extra=photo.metadata.segments, comment=comment[:65533]
    )


def _encode_png(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    metadata, deep = photo.metadata, photo.frames[0].dtype == np.uint16 and photo.frames[0].shape[2] > 1
    more = [xmp_chunk(metadata.xmp), *metadata.chunks]
    if deep:
        data = bytes(deep_codecs().png_encode(np.ascontiguousarray(photo.frames[0])))
        more += [(b"eXIf", exif.tobytes(8)[6:]), *([icc_chunk(metadata.icc)] if metadata.icc else [])]
    else:
        options = {name: value for name, value in _common_options(photo, exif).items() if name != "xmp"}
        data = _save(photo, "PNG", **options, **({"disposal": 0, "blend": 0} if len(photo.frames) > 1 else {}))
    return insert_png_chunks(data, more)


def _encode_webp(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    known = BY_NAME.get(photo.format)
    lossless = (photo.form or {}).get("lossless", known is None or not known.lossy)
    how = {"lossless": True, "exact": True} if lossless else {"quality": BY_NAME["WEBP"].quality}
    return _save(photo, "WEBP", **_common_options(photo, exif), **how)


def _encode_avif(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    return _save(photo, "AVIF", **_common_options(photo, exif), quality=BY_NAME["AVIF"].quality)


def _encode_heif(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    exif[ORIENTATION] = 1
    options = {**_common_options(photo, exif), "exif": exif.tobytes()}
    return _save(photo, "HEIF", **options, quality=BY_NAME["HEIF"].quality)


def _encode_gif(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    """Colours are chosen anew, for each frame, since a palette cannot take new ones; XMP stands in an application block."""
    moving = {"disposal": 2 if photo.frames[0].shape[2] == 4 else 1} if len(photo.frames) > 1 else {}
    comment = b"\n".join(part for part in (photo.metadata.comment, step.note.encode()) if part)
    return insert_gif_xmp(_save(photo, "GIF", comment=comment, optimize=False, **moving), photo.metadata.xmp)


def _encode_tiff(photo: PhotoFile, exif: Image.Exif, step: Step) -> bytes:
    before = (photo.form or {}).get("compression")
    compression = before if before in _TIFF_KEPT else "tiff_adobe_deflate"
    if has_groups(exif):
        compression = "raw"  # libtiff, which compresses, writes no directory for the camera's settings
    if photo.frames[0].dtype == np.uint16 and photo.frames[0].shape[2] > 1:
        return _encode_deep_tiff(photo, exif, step, compression)
    exif[_XMP_TAG] = photo.metadata.xmp
    options = {name: value for name, value in _common_options(photo, exif).items() if name != "xmp"}
    try:
        return _save(photo, "TIFF", **options, compression=compression)
    except (TypeError, ValueError, OSError, RuntimeError):  # libtiff refuses tags of kinds that it does not know
        plain = Image.Exif()
        for tag in (_DESCRIPTION, *_TIFF_TEXTS):
            if isinstance(exif.get(tag), str):
                plain[tag] = exif[tag]
        plain[0x0131], plain[_XMP_TAG] = step.note, photo.metadata.xmp
        return _save(photo, "TIFF", **{**options, "exif": plain}, compression=compression)


def _encode_deep_tiff(photo: PhotoFile, exif: Image.Exif, step: Step, compression: str) -> bytes:
    deep_codecs()
    buffer, pixels, metadata = io.BytesIO(), photo.frames[0], photo.metadata
    channels = pixels.shape[2]
    texts = [(tag, 2, 0, str(exif[tag]), True) for tag in _TIFF_TEXTS if isinstance(exif.get(tag), str)]
    description = exif.get(_DESCRIPTION)
    importlib.import_module("tifffile").imwrite(
        buffer, pixels, photometric="rgb" if channels > 2 else "minisblack", planarconfig="contig",
        extrasamples=["unassalpha"] if channels in (2, 4) else None, metadata=None, software=step.note,
        compression=None if compression == "raw" else "zlib", predictor=None if compression == "raw" else True,
        iccprofile=metadata.icc, description=description if isinstance(description, str) else None,
        resolution=metadata.dpi, resolutionunit=2 if metadata.dpi else None,
        extratags=[(_XMP_TAG, 1, len(metadata.xmp), metadata.xmp, True), *texts],
    )  # fmt: skip
    return buffer.getvalue()


_WRITERS = {
    "JPEG": _encode_jpeg,
    "PNG": _encode_png,
    "WEBP": _encode_webp,
    "AVIF": _encode_avif,
    "HEIF": _encode_heif,
    "GIF": _encode_gif,
    "TIFF": _encode_tiff,
}
