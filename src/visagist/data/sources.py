"""Load labelled faces from any source, as in `load_data("celeba:PATH")`.

Sources: `celeba:PATH` the genuine layout · `folder:PATH` your own pictures with a CSV or one sub-folder a class ·
`parquet:PATH-or-GLOB` Hugging Face's image layout · `lfw:PATH`, `celeba-hq:PATH`, `celebamask-hq:PATH`, `ffhq:PATH` and
`cifar10:PATH` these data sets as they are distributed · `synthetic:N` drawn faces · `pack:PATH` a pack made earlier.
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import numpy as np

from visagist.attributes import attribute_columns, check_available, rules_in_use
from visagist.boundary.ownership import is_same_path, probe_object
from visagist.boundary.terminal import escape_controls
from visagist.data.catalogue import BadPicture, Catalogue, catalogue_of_faces
from visagist.data.celeba import read_celeba
from visagist.data.cifar10 import read_cifar10
from visagist.data.crops import check_form
from visagist.data.faces import SPLITS, Faces
from visagist.data.folder import read_folder
from visagist.data.layouts.celeba_hq import read_celeba_hq
from visagist.data.layouts.high_quality import read_celebamask_hq, read_ffhq
from visagist.data.layouts.lfw import read_lfw
from visagist.data.pack_builder import ensure_pack, is_pack
from visagist.data.pack_format import PackForm, describe_bad, read_manifest, read_pack, read_skipped, refuse_bad
from visagist.data.parquet import read_parquet
from visagist.errors import VisagistError, nearest
from visagist.files import cache_folder, sha256_of_text
from visagist.progress import Messages, Progress, ProgressLike

_log = logging.getLogger(__name__)

_READERS: dict[str, Callable[[Path], Catalogue]] = {
    "celeba": read_celeba,
    "folder": read_folder,
    "parquet": read_parquet,
    "lfw": read_lfw,
    "celeba-hq": read_celeba_hq,
    "celebamask-hq": read_celebamask_hq,
    "ffhq": read_ffhq,
    "cifar10": read_cifar10,
}
KINDS = (*_READERS, "synthetic", "pack")


def load_data(
    source: str,
    *,
    image_size: int = 64,
    crop: str | None = None,
    attributes: Sequence[str] | None = None,
    split: str = "all",
    on_bad: str = "skip",
    cache: Path | None = None,
    progress: ProgressLike = False,
    verify: bool = True,
    **options: Any,
) -> Faces:
    """Load the faces of a source, decoded once into a pack under `cache` and memory-mapped from it.

    image_size  side S of the faces in pixels
    crop        a name in `crops.CROPS`; by default centre148 for celeba and square for the others.
                Drawn faces have no crop
    attributes  the labels to keep, in this order, derived ones such as Facial_Hair too; all that the source has by default
    split       train, val, test or all
    on_bad      skip (they are counted and named in the manifest, and on stderr) or refuse
    cache       $VISAGIST_CACHE, else ~/.cache/visagist
    progress    True for a bar on stderr, a `Progress`, or a function of the number done and of all
    verify      check every byte of a pack; False: only its sizes, manifest and labels
    options     of the source: synthetic takes seed and correlation; they may also follow a `?` in it

    Raises VisagistError for what a person can put right.
    """
    faces, _ = open_data(
        source, image_size=image_size, crop=crop, attributes=attributes, on_bad=on_bad, cache=cache, progress=progress,
        verify=verify, **options,
    )  # fmt: skip
    return _take_split(faces if attributes is None else faces.with_attributes(attributes), split)


def open_data(
    source: str,
    *,
    image_size: int = 64,
    crop: str | None = None,
    attributes: Sequence[str] | None = None,
    on_bad: str = "skip",
    cache: Path | None = None,
    progress: ProgressLike = False,
    verify: bool = True,
    **options: Any,
) -> tuple[Faces, tuple[BadPicture, ...]]:
    """Load all faces of a source with all their labels, and the pictures left out; parameters as for `load_data`."""
    kind, where, options = _parse_source(source, options)
    refuse_bad((), on_bad, source)
    if kind == "synthetic":
        check_form(image_size, crop or "square")
        return _load_drawn(where, image_size, progress, options, attributes), ()
    _refuse_options(kind, options)
    if kind == "pack":
        folder = Path(where).expanduser()
        _check_pack(folder, image_size, crop, attributes)
    else:
        catalogue = _read_catalogue(kind, where)
        check_available(attributes or (), catalogue.names, source)
        form = PackForm(image_size, crop or catalogue.default_crop)
        check_form(form.image_size, form.crop)
        folder = (cache_folder() if cache is None else Path(cache).expanduser()) / _pack_name(kind, catalogue, form)
        ensure_pack(folder, catalogue, form, on_bad=on_bad, progress=progress, verify=verify)
    faces, bad = read_pack(folder, verify=verify and kind == "pack"), read_skipped(folder)
    _report_bad(bad, on_bad, faces.manifest["source"], progress)
    return faces, bad


def pack(
    source: str,
    out: Path | str,
    *,
    image_size: int = 64,
    crop: str | None = None,
    encoding: str = "raw",
    quality: int = 90,
    attributes: Sequence[str] | None = None,
    split: str = "all",
    on_bad: str = "skip",
    overwrite: bool = False,
    progress: ProgressLike = False,
    **options: Any,
) -> Faces:
    """Write a self-contained pack that `pack:OUT` reads anywhere, and return its faces.

    `encoding` is raw (memory-mapped), webp or jpeg; the last two take `quality` from 1 to 100 and lose a little.
    An existing pack of the same source and form is kept, one of another form is replaced, and with `overwrite` one of
    another source too. Anything else at `out` is never replaced. Other parameters are as for `load_data`.
    """
    kind, where, parsed = _parse_source(source, options)
    refuse_bad((), on_bad, source)
    if kind in _READERS:
        _refuse_options(kind, parsed)
        catalogue = _read_catalogue(kind, where)
        check_available(attributes or (), catalogue.names, source)
        check_form(image_size, crop or catalogue.default_crop)
    else:
        faces, _ = open_data(source, image_size=image_size, crop=crop, attributes=attributes, progress=progress, **options)
        catalogue, crop = catalogue_of_faces(faces), None
    form = PackForm(image_size, crop or catalogue.default_crop, encoding, 0 if encoding == "raw" else quality)
    form.check()
    folder = Path(out).expanduser()
    if kind != "synthetic" and is_same_path(folder, Path(where).expanduser()):
        raise VisagistError(f"{folder} is the source itself and would be lost: choose another --out")
    if not overwrite:
        _check_source(folder, catalogue.source)
    ensure_pack(folder, _narrow(catalogue, attributes, split), form, on_bad=on_bad, progress=progress)
    faces = read_pack(folder)
    _report_bad(read_skipped(folder), on_bad, faces.manifest["source"], progress)
    return faces


def require_both_classes(faces: Faces, attributes: Sequence[str] | None = None) -> None:
    """Raise VisagistError for the first attribute that every one of these faces has, or that none has."""
    for name in check_available(attributes or faces.names, faces.names):
        column = faces.column(name)
        if len(column) and column.min() == column.max():
            have = "have" if column[0] else "lack"
            raise VisagistError(
                f"all {len(column)} faces {have} {name}: add faces of the other class or leave the attribute out"
            )


def _check_source(folder: Path, source: str) -> None:
    """VisagistError where a folder holds a pack of another source."""
    before = probe_object(folder / "manifest.json").get("source", source) if is_pack(folder) else source
    if before != source:
        raise VisagistError(f"{folder} holds a pack of {before}, not of {source}: choose another --out, or add --overwrite")


def check_source(source: str) -> None:
    """VisagistError for a source of no known kind, and for one whose path is not there."""
    kind, where, _ = _parse_source(source, {})
    path = Path(where).expanduser()
    if kind == "pack":
        read_manifest(path)
    elif kind in _READERS and not path.exists() and not glob.has_magic(where):
        _read_catalogue(kind, where)


def attribute_names(source: str) -> tuple[str, ...]:
    """The labels of a source, without any picture of it; VisagistError as for `load_data`."""
    kind, where, _ = _parse_source(source, {})
    if kind == "synthetic":
        from visagist.data.drawn.labels import ATTRIBUTES

        return ATTRIBUTES
    if kind == "pack":
        return tuple(read_manifest(Path(where).expanduser())["attributes"])
    return _read_catalogue(kind, where).names


def sample_data(
    source: str, number: int, *, split: str = "all", seed: int = 0, image_size: int = 64, crop: str | None = None,
    cache: Path | None = None, progress: ProgressLike = False,
) -> Faces:  # fmt: skip
    """At most `number` faces of a split, drawn by the seed; no more pictures of files are decoded than that.

    Where all of the source are decoded already, or a drawn picture cannot be read, they are drawn of all.
    """
    kind, where, _ = _parse_source(source, {})
    if kind in _READERS:
        catalogue = _read_catalogue(kind, where)
        form = PackForm(image_size, crop or catalogue.default_crop)
        check_form(form.image_size, form.crop)
        folder = (cache_folder() if cache is None else Path(cache).expanduser()) / _pack_name(kind, catalogue, form)
        rows = np.flatnonzero(catalogue.split == SPLITS.index(split)) if split in SPLITS else np.arange(len(catalogue.files))
        if len(rows) > 2 * number and not (folder / "manifest.json").exists():
            mask = np.zeros(len(catalogue.files), bool)
            mask[np.random.default_rng(seed).permutation(rows)[:number]] = True  # as `Faces.sample` draws
            fingerprint = sha256_of_text(f"{catalogue.fingerprint} {split} {number} {seed}")
            drawn = replace(catalogue.keep(mask), fingerprint=fingerprint)
            few = folder.with_name(f"{folder.name}-sample")
            ensure_pack(few, drawn, form, on_bad="skip", progress=progress)
            faces = read_pack(few)
            if len(faces) == number:
                return faces
    return load_data(source, image_size=image_size, crop=crop, cache=cache, progress=progress)


def _parse_source(source: str, options: Mapping[str, Any]) -> tuple[str, str, dict[str, Any]]:
    kind, separator, where = source.partition(":")
    if kind not in KINDS:
        hint = nearest(kind, KINDS) if separator else f"write KIND:PATH with one of {', '.join(KINDS)}"
        raise VisagistError(f"no data source {source!r}: {hint}")
    query = ""
    if kind == "synthetic":
        where, _, query = where.partition("?")
    if not where:
        raise VisagistError(f"{source!r} names no {'number of faces' if kind == 'synthetic' else 'path'} after the colon")
    return kind, where, dict(parse_qsl(query, keep_blank_values=True)) | dict(options)


def _read_catalogue(kind: str, where: str) -> Catalogue:
    try:
        return _READERS[kind](Path(where).expanduser())
    except OSError as error:
        raise VisagistError(f"cannot read {error.filename or where}: {error.strerror or error}") from error


def _refuse_options(kind: str, options: Mapping[str, Any]) -> None:
    if options:
        raise VisagistError(f"{kind} takes no option {', '.join(options)}: leave it out")


def _load_drawn(
    where: str, image_size: int, progress: ProgressLike, options: Mapping[str, Any], attributes: Sequence[str] | None
) -> Faces:
    from visagist.data.drawn.labels import ATTRIBUTES
    from visagist.data.drawn.synthetic import load_synthetic

    check_available(attributes or (), ATTRIBUTES, f"synthetic:{where}")
    known = ("seed", "correlation")
    for name in options:
        if name not in known:
            raise VisagistError(f"synthetic takes no option {name!r}: {nearest(name, known)}")
    seed = str(options.get("seed", 0))
    if not where.isdecimal() or int(where) < 1:
        raise VisagistError(f"synthetic:{where} is not a number of faces: write for instance synthetic:1000")
    if not seed.isdecimal():
        raise VisagistError(f"the seed of synthetic is {seed!r}: give a whole number")
    if isinstance(options.get("correlation"), str):
        raise VisagistError("a correlation cannot be written in the source: give load_data correlation=… in Python")
    return load_synthetic(
        int(where), image_size=image_size, seed=int(seed), correlation=options.get("correlation"), progress=progress
    )


def _check_pack(folder: Path, image_size: int, crop: str | None, attributes: Sequence[str] | None) -> None:
    manifest = read_manifest(folder)
    if manifest["image_size"] != image_size:
        size = manifest["image_size"]
        raise VisagistError(f"the pack {folder} holds faces of {size} pixels, not {image_size}: ask for image_size={size}")
    packed = manifest.get("crop")
    if crop not in (None, packed):
        raise VisagistError(f"the pack {folder} holds the crop {packed or 'unknown'}, not {crop}: pack the source again")
    check_available(attributes or (), manifest["attributes"], f"the pack {folder}")


def _pack_name(kind: str, catalogue: Catalogue, form: PackForm) -> str:
    """The pack's folder by location and form of the source, not by its state: a changed source replaces its pack."""
    key = sha256_of_text(catalogue.location)[:12]
    return f"{kind}-{form.image_size}-{form.crop}-{key}"


def _narrow(catalogue: Catalogue, attributes: Sequence[str] | None, split: str) -> Catalogue:
    """Keep these label columns and the rows of one split, and let the fingerprint say so."""
    if attributes is not None:
        labels = attribute_columns(catalogue.labels, catalogue.names, attributes)
        rules = rules_in_use(attributes, catalogue.names)
        facts = {**catalogue.facts, **({"derived": rules} if rules else {})}
        catalogue = replace(catalogue, labels=labels, names=tuple(attributes), facts=facts)
    if split != "all":
        if split not in SPLITS:
            raise VisagistError(f"no split {split!r}: it is one of {', '.join(SPLITS)}, all")
        catalogue = catalogue.keep(catalogue.split == SPLITS.index(split))
        if not catalogue.files:
            raise VisagistError(f"the {split} split of {catalogue.source} is empty: ask for another")
    fingerprint = sha256_of_text(f"{catalogue.fingerprint} {split} {','.join(catalogue.names)}")
    return replace(catalogue, fingerprint=fingerprint)


def _take_split(faces: Faces, split: str) -> Faces:
    """The faces of a split, as a view of the mapped file where its rows are adjacent, as in packs."""
    if split == "all":
        return faces
    rows = faces.indices(split)
    if int(rows[-1]) - int(rows[0]) + 1 != len(rows):
        return faces.take(rows)
    span = slice(int(rows[0]), int(rows[-1]) + 1)
    return replace(
        faces,
        images=faces.images[span],
        labels=faces.labels[span],
        split=faces.split[span],
        files=faces.files[span],
        identity=None if faces.identity is None else faces.identity[span],
        landmarks=None if faces.landmarks is None else faces.landmarks[span],
    )


def _report_bad(bad: tuple[BadPicture, ...], on_bad: str, source: str, progress: ProgressLike) -> None:
    """Refuse bad pictures, or say that they are skipped: to the progress, or else as a warning, which stderr shows."""
    refuse_bad(bad, on_bad, source)
    if not bad:
        return
    line = f"skipped {describe_bad(bad, source)}"
    if isinstance(progress, Progress) and progress.speaks:
        progress.message(line)
    elif progress and not isinstance(progress, Progress):
        Messages().message(line)
    else:
        _log.warning("%s", escape_controls(line))
