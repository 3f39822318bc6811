"""A picture in memory that says that it is edited in whatever file a program saves it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any

from PIL import Image

from visagist.errors import VisagistError
from visagist.files import write_files
from visagist.photos.encode import format_of, suffix_of
from visagist.photos.metadata import insert_gif_xmp, insert_png_chunks, make_exif, xmp_chunk
from visagist.photos.provenance import Step, add_step

_XMP_TAG = 700
_XMP, _NOTE = "xmp", "visagist"  # of `Image.info`; the first is Pillow's own key


class EditedPicture(Image.Image):
    """A PIL image whose files carry its history of edits.

    What Pillow derives of it (copies, crops, other sizes and modes, turned ones) says so too, pickled or not. What is put
    together anew (`Image.new`, `Image.fromarray`, pixels pasted into another picture) does not.
    """

    def _new(self, im: Any) -> EditedPicture:
        return _adopt(super()._new(im))

    def transform(self, *args: Any, **options: Any) -> EditedPicture:
        """As Pillow's, which `rotate` uses too."""
        return _adopt(super().transform(*args, **options))

    def save(self, fp: Any, format: str | None = None, **params: Any) -> None:
        """Write the picture as Pillow does, with its history of edits.

        VisagistError for formats that cannot hold one, such as BMP.
        """
        named = isinstance(fp, (str, Path))
        if format is None and not (named and Path(fp).suffix):
            raise VisagistError("the format is not known: give a name with a suffix, or format='PNG'")
        kind = format_of(Path(fp).suffix if format is None else suffix_of(format))
        data = self._encode(kind, params)
        if named:
            path = Path(fp)
            write_files(path.parent, {path.name: data}, "choose another name", owned=lambda _: True)
        else:
            save_to(fp, data)

    def _encode(self, kind: str, params: dict[str, Any]) -> bytes:
        xmp, note = self.info[_XMP], self.info[_NOTE]
        given = params.get("exif") or b""
        exif = make_exif(given.tobytes() if isinstance(given, Image.Exif) else given, note, *self.size)
        options: dict[str, Any] = {**params, "exif": exif}
        if kind == "TIFF":
            exif[_XMP_TAG] = xmp
        elif kind == "GIF":
            options["comment"] = note
        elif kind != "PNG":
            options |= {"xmp": xmp, "exif": exif.tobytes()}
        buffer = io.BytesIO()
        super().save(buffer, kind, **options)
        data = buffer.getvalue()
        if kind == "PNG":
            return insert_png_chunks(data, [xmp_chunk(xmp)])
        return insert_gif_xmp(data, xmp) if kind == "GIF" else data


def mark_edited(picture: Image.Image, step: Step, before: bytes = b"") -> EditedPicture:
    """This picture, which says of itself what its XMP said `before`, and what `step` did; it shares the pixels."""
    marked = _adopt(picture)
    marked.info = {_XMP: add_step(before, step), _NOTE: step.note}
    return marked


def xmp_of(picture: Image.Image) -> bytes:
    """The XMP that a picture in memory carries, empty where it has none."""
    xmp: Any = picture.info.get(_XMP) or b""
    return xmp.encode() if isinstance(xmp, str) else bytes(xmp)


def save_to(file: IO[bytes], data: bytes) -> None:
    """Write bytes to a file that a program opened; VisagistError for one that takes text or cannot be written."""
    try:
        file.write(data)
    except (TypeError, io.UnsupportedOperation) as error:
        raise VisagistError(f"the file takes no bytes ({error}): open it with mode 'wb'") from error


def _adopt(picture: Image.Image) -> EditedPicture:
    """The same pixels and facts as an `EditedPicture`."""
    marked = EditedPicture()
    picture.load()
    plain = picture if isinstance(picture, EditedPicture) else Image.Image._new(picture, picture.im)
    vars(marked).update(vars(plain))
    marked.info = dict(plain.info)
    return marked
