"""A pack: a folder with every face as memory-mapped uint8, or as WebP or JPEG, and a manifest that checks it.

It holds `images.bin` (faces one after another), `labels.npz`, `skipped.json` and `manifest.json`.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import math
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.schema import Attributes, Bounds, Count, Open, Sha256, check, json_text, read_json
from visagist.boundary.untrusted import read_regular
from visagist.data.catalogue import BadPicture, Catalogue
from visagist.data.crops import SIZES, Box, read_face
from visagist.data.decoding import decode_pictures, map_in_threads
from visagist.data.faces import Faces, split_counts
from visagist.errors import VisagistError, nearest
from visagist.files import sha256_of, sha256_of_json, sha256_of_text, sync_file, write_synced
from visagist.progress import ProgressLike

FORMAT_VERSION = 1
FILES = ("images.bin", "labels.npz", "skipped.json", "manifest.json")
MANIFEST_KEYS = frozenset({"format_version", "fingerprint", "image_size", "encoding", "checksum"})
ENCODINGS = ("raw", "webp", "jpeg")
FIRST_SKIPPED = 20
AGAIN = "pack the source again"
# The list of skipped pictures grows with the source.
MOST_MANIFEST_BYTES, MOST_SKIPPED_BYTES = 64 * 2**20, 2**29


@dataclass(frozen=True)
class _Images:
    bytes: Count
    sha256: Sha256


@dataclass(frozen=True)
class _Labels:
    sha256: Sha256


@dataclass(frozen=True)
class PackManifest(Open):
    """What the `manifest.json` of a pack holds; what its source adds is checked by the checksum alone."""

    format_version: int
    image_size: Annotated[int, Bounds(1, 2**16)]
    encoding: Literal["raw", "webp", "jpeg"]
    count: Annotated[int, Bounds(1, 2**40)]
    attributes: Attributes
    images: _Images
    labels: _Labels
    checksum: Sha256
    source: str
    crop: str | None = None


@dataclass(frozen=True)
class PackForm:
    """How a pack holds faces: size in pixels, crop, and encoding with its quality (0 for raw)."""

    image_size: int
    crop: str
    encoding: str = "raw"
    quality: int = 0

    def check(self) -> None:
        """Raise VisagistError for an encoding or a quality that does not exist."""
        if self.encoding not in ENCODINGS:
            raise VisagistError(f"no encoding {self.encoding!r}: {nearest(self.encoding, ENCODINGS)}")
        if self.encoding != "raw" and not 1 <= self.quality <= 100:
            raise VisagistError(f"quality is {self.quality}: give a number from 1 to 100, such as 90")


def read_pack(folder: Path, verify: bool = True) -> Faces:
    """Read the faces of a pack: memory-mapped where raw, else decoded into memory.

    The manifest, the labels and every byte of the images are checked; without `verify` only the size of the images.
    """
    manifest = read_manifest(folder)
    labels = folder / "labels.npz"
    images = folder / "images.bin"
    if not labels.is_file() or sha256_of(labels) != manifest["labels"]["sha256"]:
        raise VisagistError(f"the pack {folder} is damaged: labels.npz is not what was written; pack the source again")
    size = images.stat().st_size if images.is_file() else 0
    if size != manifest["images"]["bytes"]:
        expected = manifest["images"]["bytes"]
        raise VisagistError(
            f"the pack {folder} is damaged: images.bin has {size} bytes, not {expected}; pack the source again"
        )
    if verify and sha256_of(images) != manifest["images"]["sha256"]:
        raise VisagistError(f"the pack {folder} is damaged: images.bin is not what was written; pack the source again")
    columns = _read_columns(labels, manifest)
    return Faces(
        images=_open_images(images, manifest, columns["offsets"]),
        labels=columns["labels"],
        names=tuple(manifest["attributes"]),
        split=columns["split"],
        files=tuple(columns["files"].tobytes().decode(errors="surrogateescape").split("\0")),
        identity=columns.get("identity"),
        landmarks=columns.get("landmarks"),
        manifest=manifest,
    )


def _read_columns(path: Path, manifest: dict[str, Any]) -> dict[str, NDArray[Any]]:
    """Read the arrays of labels.npz after comparing their headers with the manifest."""
    count, attributes = manifest["count"], len(manifest["attributes"])
    expected: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "labels": ("uint8", (count, attributes)), "split": ("uint8", (count,)), "offsets": ("int64", (count + 1,)),
        "files": ("uint8", (None,)), "identity": ("int64", (count,)), "landmarks": ("float32", (count, None, 2)),
    }  # fmt: skip
    damaged = f"the pack {path.parent} is damaged: {path.name}"
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            names = [info.filename.removesuffix(".npy") for info in infos]
            if not {"labels", "split", "offsets", "files"} <= set(names) <= set(expected) or len(set(names)) < len(names):
                raise VisagistError(f"{damaged} has other arrays than a pack; pack the source again")
            for name, info in zip(names, infos):
                kind, shape = expected[name]
                dtype, got, size = _read_header(archive, info)
                alike = len(got) == len(shape) and all(
                    expected_side in (None, number) for expected_side, number in zip(shape, got)
                )
                stored = info.compress_type == zipfile.ZIP_STORED and size == dtype.itemsize * math.prod(got)
                if dtype != np.dtype(kind) or not alike or not stored:
                    difference = f"{name} is {dtype} {list(got)}, not {kind} {list(shape)} as it is written"
                    raise VisagistError(f"{damaged}: {difference}; pack the source again")
        with np.load(path, allow_pickle=False) as table:
            return {name: table[name] for name in names}
    except (zipfile.BadZipFile, OSError, ValueError, KeyError, EOFError) as error:
        raise VisagistError(f"{damaged} cannot be read ({error}); pack the source again") from error


def _read_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """The type and the shape of an array in an archive, and how many bytes follow them."""
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version != (1, 0):
            raise ValueError(f"{info.filename} is of version {version}")
        shape, _, dtype = np.lib.format.read_array_header_1_0(member)
        return dtype, shape, info.file_size - member.tell()


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read the manifest of a pack; VisagistError where it is missing, changed, or of another format."""
    try:
        path = folder / "manifest.json"
        manifest: dict[str, Any] = read_json(path, dict[str, Any], AGAIN, MOST_MANIFEST_BYTES, path.name)
    except FileNotFoundError:
        raise VisagistError(f"{folder} is no pack: it has no manifest.json; make one with visagist data pack") from None
    except VisagistError as error:
        raise VisagistError(f"the pack {folder} is damaged: {error}") from error
    if manifest.get("format_version") != FORMAT_VERSION:
        version = str(manifest.get("format_version"))[:20]
        raise VisagistError(f"the pack {folder} has format {version}, not {FORMAT_VERSION}: {AGAIN}")
    check(manifest, PackManifest, str(folder / "manifest.json"), AGAIN)
    checksum = manifest.pop("checksum")
    if checksum != sha256_of_json(manifest):
        raise VisagistError(f"the pack {folder} is damaged: manifest.json was changed; {AGAIN}")
    _check_sizes(folder, manifest)
    return manifest


def _check_sizes(folder: Path, manifest: dict[str, Any]) -> None:
    """Raise VisagistError where the sizes in a manifest contradict each other."""
    try:
        count, side, names = manifest["count"], manifest["image_size"], manifest["attributes"]
        size, encoding = manifest["images"]["bytes"], manifest["encoding"]
        whole = all(type(number) is int and number > 0 for number in (count, side, size)) and side in SIZES
        fits = whole and (size == count * side * side * 3 if encoding == "raw" else count <= size)
        sound = fits and encoding in ENCODINGS and all(isinstance(name, str) and "\0" not in name for name in names)
    except (KeyError, TypeError):
        sound = False
    if not sound:
        raise VisagistError(f"the pack {folder} is damaged: its manifest contradicts itself; pack the source again")


def read_skipped(folder: Path) -> tuple[BadPicture, ...]:
    """Read which pictures were left out of a pack, and why."""
    try:
        pairs: list[list[Any]] = read_json(folder / "skipped.json", list[list[Any]], AGAIN, MOST_SKIPPED_BYTES)
    except FileNotFoundError as error:
        raise VisagistError(f"the pack {folder} is damaged: skipped.json is not there; {AGAIN}") from error
    if any(len(pair) != 2 or not all(isinstance(part, str) for part in pair) for pair in pairs):
        raise VisagistError(f"the pack {folder} is damaged: skipped.json is no list of files and reasons; {AGAIN}")
    return tuple(BadPicture(*pair) for pair in pairs)


def refuse_bad(bad: tuple[BadPicture, ...], on_bad: str, source: str) -> None:
    """Raise VisagistError where there are bad pictures and `on_bad` is "refuse"."""
    if on_bad not in ("skip", "refuse"):
        raise VisagistError(f"on_bad is {on_bad!r}: it is skip or refuse")
    if bad and on_bad == "refuse":
        raise VisagistError(f"{describe_bad(bad, source)}; correct them, or leave them out with on_bad=skip")


def describe_bad(bad: tuple[BadPicture, ...], source: str) -> str:
    """Count the bad pictures of a source and name the first, in one line."""
    first = ", ".join(f"{file} ({reason})" for file, reason in bad[:3])
    return f"{len(bad)} bad picture{'s' * (len(bad) > 1)} in {source}: {first}{', …' * (len(bad) > 3)}"


def write_pack(
    folder: Path, catalogue: Catalogue, form: PackForm, expected: dict[str, Any], on_bad: str, progress: ProgressLike
) -> None:
    """Decode a catalogue into an empty folder, the manifest last: `expected` and the facts of the content.

    Raises VisagistError where a picture is bad and `on_bad` is "refuse" and where none is good, OSError where the disk
    does not take it.
    """
    kept = np.ones(len(catalogue.files), dtype=bool)
    bad: list[BadPicture] = []
    boxes: list[Box | None] = []
    offsets = [0]
    digest = hashlib.sha256()
    faces = decode_pictures(catalogue, form.crop, form.image_size, form.encoding, form.quality, progress)
    with open(folder / "images.bin", "wb") as images, contextlib.closing(faces):
        for row, outcome in enumerate(faces):
            if isinstance(outcome, str):
                kept[row] = False
                bad.append(BadPicture(catalogue.files[row], outcome))
                refuse_bad(tuple(bad), on_bad, catalogue.source)
                continue
            data, box = outcome
            boxes.append(box)
            images.write(data)
            digest.update(data)
            offsets.append(offsets[-1] + len(data))
        sync_file(images)
    catalogue = catalogue.keep(kept, bad)
    if not catalogue.files:
        raise VisagistError(f"no usable picture: {describe_bad(catalogue.bad, catalogue.source)}")
    labels = _encode_labels(catalogue, boxes, form.image_size, np.array(offsets, dtype=np.int64))
    write_synced(folder / "labels.npz", labels)
    write_synced(folder / "skipped.json", json_text(catalogue.bad))
    manifest = expected | _describe(catalogue, offsets[-1], digest.hexdigest(), hashlib.sha256(labels).hexdigest())
    manifest["checksum"] = sha256_of_json(manifest)
    write_synced(folder / "manifest.json", json_text(manifest, 1))


def _describe(catalogue: Catalogue, num_bytes: int, images_hash: str, labels_hash: str) -> dict[str, Any]:
    reasons: dict[str, int] = {}
    for _, reason in catalogue.bad:
        kind = reason.split(":")[0] if reason.startswith(("unlabelled", "unreadable")) else reason
        reasons[kind] = reasons.get(kind, 0) + 1
    return {
        "count": len(catalogue.files),
        "counts": split_counts(catalogue.split),
        "attributes": list(catalogue.names),
        "hash": sha256_of_text(f"{images_hash} {labels_hash}"),
        "images": {"bytes": num_bytes, "sha256": images_hash},
        "labels": {"sha256": labels_hash},
        "skipped": {
            "count": len(catalogue.bad),
            "reasons": dict(sorted(reasons.items(), key=lambda item: -item[1])),
            "first": [list(bad) for bad in catalogue.bad[:FIRST_SKIPPED]],
        },
        "facts": dict(catalogue.facts),
    }


def _encode_labels(catalogue: Catalogue, boxes: list[Box | None], image_size: int, offsets: NDArray[np.int64]) -> bytes:
    columns: dict[str, Any] = {
        "labels": catalogue.labels,
        "split": catalogue.split,
        "offsets": offsets,
        "files": np.frombuffer("\0".join(catalogue.files).encode(errors="surrogateescape"), dtype=np.uint8),
    }
    if catalogue.identity is not None:
        columns["identity"] = catalogue.identity
    if catalogue.landmarks is not None:
        columns["landmarks"] = _move_into_crop(catalogue.landmarks, boxes, image_size)
    stream = io.BytesIO()
    np.savez(stream, **columns)
    return stream.getvalue()


def _move_into_crop(landmarks: NDArray[np.float32], boxes: list[Box | None], image_size: int) -> NDArray[np.float32]:
    """Landmarks [N, L, 2] from pixels of the whole picture to pixels of the face; whole numbers are pixel centres."""
    box = np.array([(0, 0, image_size, image_size) if box is None else box for box in boxes], dtype=np.float32)
    corner, side = box[:, None, :2], (box[:, 2] - box[:, 0])[:, None, None]
    return ((landmarks + 0.5 - corner) * (image_size / side) - 0.5).astype(np.float32)


def _open_images(path: Path, manifest: dict[str, Any], offsets: NDArray[np.int64]) -> NDArray[np.uint8]:
    size = manifest["image_size"]
    if manifest["encoding"] == "raw":
        return np.memmap(path, dtype=np.uint8, mode="r", shape=(manifest["count"], size, size, 3))
    data = memoryview(read_regular(path, manifest["images"]["bytes"]))
    images = np.empty((manifest["count"], size, size, 3), dtype=np.uint8)
    faces = map_in_threads(read_face, (bytes(data[start:end]) for start, end in pairwise(offsets.tolist())))
    try:
        with contextlib.closing(faces):
            for row, pixels in enumerate(faces):
                images[row] = pixels
    except (OSError, ValueError, SyntaxError) as error:
        raise VisagistError(f"the pack {path.parent} is damaged: a face cannot be read; pack the source again") from error
    return images
