"""Turn ordinary photographs into aligned faces, as methods are trained on: found, turned upright, cut out.

    photographs -> align_photos -> one picture a face, 178×218 pixels as CelebA's or a square, beside the labels

A result says of which photograph it is, so that only what is new or changed is aligned when the same is asked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.ownership import carries_mark, refuse_foreign
from visagist.boundary.untrusted import TABLE_BYTES, list_files, read_regular
from visagist.data.crops import ALIGNED_SIZE, TEMPLATE, BadImageError, decode_face, is_picture, template
from visagist.data.faces import Faces
from visagist.data.folder import read_folder
from visagist.data.layouts.label_tables import TABLES
from visagist.editing.selection.face_choice import FaceChoice, choose_faces
from visagist.errors import VisagistError
from visagist.faces.detection import Face, detect
from visagist.faces.geometry import estimate_similarity, invert, scale_of, warp
from visagist.faces.points import inter_ocular
from visagist.files import cache_folder, sha256_of, sha256_of_text, write_file
from visagist.photos.encode import encode_picture
from visagist.photos.formats import output_suffix
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step
from visagist.photos.provenance_reading import read_provenance
from visagist.progress import Progress, ProgressLike, progress_of

SIDES = range(32, 1025)
_CROP = "centre148"  # of square results: the crop of the shipped models and judges
BLURRED = 0.5  # pixels of the photograph a pixel of the result, below which a result is told of as blurred
# What a look at faces for training sees: how many, of which side, how far their middles may lie apart (the median, in
# distances of the eyes), and how their sizes may differ (the ratio of the quartiles).
_LOOKS, _LOOK_SIDE, _APART, _SIZES = 16, 256, 0.45, 1.6
_FEWEST = 4
_UNCHECKED = ("folder:", "parquet:", "pack:")  # sources whose pictures may be ordinary photographs


@dataclass(frozen=True)
class AlignedFile:
    """What became of one photograph.

    written  the pictures of its faces; empty where none was found or it could not be read
    others   how many faces were left out
    warning  that a face is blurred, where it is
    reason   why nothing was written, else empty
    """

    file: str
    written: tuple[str, ...] = ()
    others: int = 0
    warning: str = ""
    reason: str = ""
    faceless: bool = False
    kept: bool = False


@dataclass(frozen=True)
class AlignedForm:
    """Which faces are aligned, and to what: pictures like CelebA's, or squares of this side in pixels."""

    face: FaceChoice = "largest"
    side: int | None = None

    def check(self) -> None:
        if self.side is not None and self.side not in SIDES:
            raise VisagistError(f"the side is {self.side}: give a number of pixels from {SIDES[0]} to {SIDES[-1]}")


def align_photos(
    photos: Sequence[tuple[Path, Path]], out: Path, form: AlignedForm | None = None, *, jobs: int = 1,
    progress: ProgressLike = None,
) -> list[AlignedFile]:  # fmt: skip
    """Write the faces of photographs, each given with the name of its result, into a folder.

    Results that are there and of the same photograph are kept. A photograph that cannot be read, or shows no face, does not
    stop the others. VisagistError where a result would go over what visagist did not write.
    """
    form = form or AlignedForm()
    form.check()
    align = partial(_align_file, out=out, form=form)
    with progress_of(progress) as shown, ThreadPoolExecutor(jobs, thread_name_prefix="visagist-align") as pool:
        shown.stage("aligning", len(photos), "photos")
        files = []
        for file in pool.map(align, *zip(*photos)) if photos else ():
            files.append(file)
            shown.advance()
            for line in (file.reason, file.warning):
                if line:
                    shown.message(f"! {line}")
    return files


def align_face(pixels: NDArray[np.uint8], face: Face, side: int | None = None) -> NDArray[np.uint8]:
    """One face of a photograph [H, W, 3], upright: [218, 178, 3] as CelebA's aligned pictures, or [side, side, 3]."""
    if side is not None:
        return warp(pixels, invert(estimate_similarity(face.landmarks, template(_CROP, side))), side)
    width, height = ALIGNED_SIZE
    margin = (height - width) // 2
    whole = warp(pixels, invert(estimate_similarity(face.landmarks, TEMPLATE + np.array([margin, 0]))), height)
    return np.ascontiguousarray(whole[:, margin : margin + width])


def _align_file(path: Path, name: Path, out: Path, form: AlignedForm) -> AlignedFile:
    try:
        digest = sha256_of(path)[:16]
        kept = _results_of(out, name, digest, form)
        if kept:
            return AlignedFile(str(path), tuple(map(str, kept)), kept=True)
        photo = read_photo(path)
        pixels = photo.view()
        faces = detect(pixels)
        chosen = choose_faces(faces, form.face, force=True) if faces else []
    except (VisagistError, OSError, MemoryError) as error:
        text = str(error) or "not enough memory"
        return AlignedFile(str(path), reason=text if str(path) in text else f"{path}: {text}")
    if not chosen:
        return AlignedFile(str(path), reason=f"{path}: no face was found in it", faceless=True)
    written, blurred = [], ""
    for number, face in enumerate(chosen):
        target = _target(out, name, number, form)
        picture = align_face(pixels, face, form.side)
        reduction = 1 / scale_of(estimate_similarity(face.landmarks, template(_CROP, form.side or 148)))
        if reduction < BLURRED:
            blurred = f"{path}: a face is blurred, as it is enlarged {1 / reduction:.1f} times"
        refuse_foreign(target)
        step = Step("arranged", settings=_settings(name, digest, form))
        write_file(target, encode_picture(Image.fromarray(picture), target.suffix, step, photo))
        written.append(str(target))
    return AlignedFile(str(path), tuple(written), len(faces) - len(chosen), blurred)


def _target(out: Path, name: Path, number: int, form: AlignedForm) -> Path:
    suffix = output_suffix(name.suffix)
    return out / name.with_name(f"{name.stem}{f'-{number}' if form.face == 'all' else ''}{suffix}")


def _settings(name: Path, digest: str, form: AlignedForm) -> str:
    size = f"{form.side}×{form.side}" if form.side else "×".join(map(str, ALIGNED_SIZE))
    return f"face {form.face} of {name.name} ({digest}), aligned, {size}"


def _results_of(out: Path, name: Path, digest: str, form: AlignedForm) -> list[Path]:
    """The results that are there of this photograph and this form."""
    results = list[Path]()
    while True:
        path = _target(out, name, len(results), form)
        if not path.is_file():
            return results
        steps = read_provenance(path).steps
        if not steps or steps[-1].settings != _settings(name, digest, form):
            return []
        results.append(path)
        if form.face != "all":
            return results


def align_folder(folder: Path, out: Path, form: AlignedForm | None = None, *, jobs: int = 1,
                 progress: ProgressLike = None) -> list[AlignedFile]:  # fmt: skip
    """Align the photographs of a folder and of those in it, and copy its tables of labels, so that `folder:OUT` reads it.

    VisagistError for a folder without photographs, and as `align_photos`.
    """
    results = out.resolve()
    files = [path for path in list_files(folder) if not path.resolve().is_relative_to(results)]
    photos = [(path, path.relative_to(folder)) for path in files if is_picture(path.name)]
    if not photos:
        raise VisagistError(f"{folder} holds no picture: name a folder of photographs")
    for table in (path for path in folder.iterdir() if path.suffix.lower() in TABLES and path.is_file()):
        remedy = f"delete it, or choose another folder than {out}"
        write_file(out / table.name, read_regular(table, TABLE_BYTES), remedy)
    return align_photos(photos, out, form, jobs=jobs, progress=progress)


def align_source(source: str, progress: ProgressLike = None) -> str:
    """The source of the aligned faces of `folder:PATH`, kept in the cache; only new and changed photographs are aligned."""
    kind, _, where = source.partition(":")
    if kind != "folder":
        raise VisagistError(f"{source} is not a folder of photographs: faces are aligned of folder:PATH")
    given = Path(where).expanduser()
    folder = given.parent if given.suffix.lower() in TABLES else given
    if not folder.is_dir():
        raise VisagistError(f"no folder {folder}: give folder: a folder of photographs")
    whole = folder.resolve()
    out = cache_folder() / f"aligned-{sha256_of_text(str(whole))[:12]}" / whole.name
    with progress_of(progress) as shown:
        _forget_labels(out)
        files = align_folder(folder, out, progress=shown)
        wanted = {Path(name) for file in files for name in file.written}
        for path in list_files(out):
            if is_picture(path.name) and path not in wanted and carries_mark(path):
                path.unlink()
        aligned, faceless = sum(bool(file.written) for file in files), sum(file.faceless for file in files)
        shown.message(f"{aligned} of {len(files)} photographs aligned, {faceless} without a face: {out}")
    return f"folder:{out / given.name if given != folder else out}"


def _forget_labels(out: Path) -> None:
    """Delete the copies of labels in a folder of the cache, which are of an earlier state."""
    for table in out.iterdir() if out.is_dir() else ():
        if table.suffix.lower() in TABLES:
            table.unlink()


def refuse_unaligned(faces: Faces, source: str, progress: Progress) -> None:
    """Raise VisagistError where the faces of a source lie in different places, by a look at some of the pictures.

    Where no face is found in most of them, that is said: they may be drawn, or show none.
    """
    if not source.startswith(_UNCHECKED):
        return
    pictures = _look(faces, source)
    rows = np.unique(np.linspace(0, len(pictures) - 1, min(_LOOKS, len(pictures))).round().astype(int))
    found = [seen for seen in (_faces_in(pictures[row], str(faces.manifest.get("crop"))) for row in rows) if seen]
    if len(rows) >= _FEWEST and len(found) < len(rows) / 3:
        without = f"{len(rows) - len(found)} of {len(rows)} pictures"
        progress.message(f"! no face was found in {without} of {source} that were looked at")
    if len(found) < _FEWEST:
        return
    eyes = np.array([inter_ocular(seen[0].landmarks) for seen in found])
    middles = np.array([seen[0].landmarks.mean(0) for seen in found])
    apart = float(np.median(np.linalg.norm(middles - np.median(middles, 0), axis=1)) / np.median(eyes))
    low, high = np.quantile(eyes, [0.25, 0.75])
    if apart > _APART or high / low > _SIZES:
        raise VisagistError(
            f"the faces of {source} lie in different places ({apart:.2f} of the eyes' distance apart, sizes differ by "
            f"{high / low:.1f}): align them (--align), or take them as they are (--as-is)"
        )


def _look(faces: Faces, source: str) -> Sequence[Path] | NDArray[np.uint8]:
    """The pictures of a source to look at: those of a folder, as faces for training may be tiny; else these faces."""
    kind, _, where = source.partition(":")
    if kind != "folder":
        return faces.images
    return [picture for picture in read_folder(Path(where).expanduser()).pictures() if isinstance(picture, Path)]


def _faces_in(picture: Path | NDArray[np.uint8], crop: str) -> list[Face]:
    if isinstance(picture, Path):
        try:
            picture, _ = decode_face(picture, crop, _LOOK_SIDE)
        except BadImageError:
            return []
    return detect(np.ascontiguousarray(picture), max(len(picture) // 6, 10))
