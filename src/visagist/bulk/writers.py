"""Shards as they are written: what stood beside a picture carried over, and an account of what was done with it.

A shard is written aside and put in its place when it is whole (`store.py`).
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from visagist.boundary.schema import json_text
from visagist.bulk.names import harmless, harmless_ending, quoted
from visagist.bulk.samples import ParquetRow, Sample, opened_parquet, other_endings, plain, split_key
from visagist.bulk.shards import FOLDER, PARQUET, WEBDATASET, Shard
from visagist.bulk.store import Store, Written
from visagist.bulk.written import Names, names_of
from visagist.data.columns import BATCH_BYTES, ROWS_AT_ONCE, image_column
from visagist.errors import NAME_ERRORS, VisagistError, suggest_remedy

EDIT = "edit"  # the member or column with the account
ENDINGS = {WEBDATASET: ".tar", PARQUET: ".parquet", FOLDER: ".edits.jsonl"}
_HUGGING_FACE = b"huggingface"


class UnwritableError(VisagistError):
    """A sample whose files cannot have their names; others can."""


class EditedSample(NamedTuple):
    """A sample to be written: its picture, under a name with a fitting ending, and the account of the edit."""

    sample: Sample
    name: str
    picture: bytes | None
    account: dict[str, Any]


class Writer(Protocol):
    """`files` has the SHA-256 of what is written beside the shard's own output."""

    files: dict[str, str]
    written: Written | None

    def add(self, edited: EditedSample) -> None: ...
    def close(self) -> None: ...
    def abandon(self) -> None: ...


def output_name(shard: Shard, kind: str) -> str:
    """The file that is there when the shard is finished; of a folder of pictures, the list of what was done."""
    return f"{shard.name}{ENDINGS[kind]}"


@contextmanager
def open_writer(shard: Shard, kind: str, store: Store) -> Iterator[Writer]:
    """Open what takes the samples of a shard; the output appears in its place when all have been taken.

    It has been `written` when the block has ended.
    """
    name = output_name(shard, kind)
    makers: dict[str, Callable[[Shard, Any, Names], Writer]]
    makers = {WEBDATASET: TarWriter, PARQUET: ParquetWriter, FOLDER: FolderWriter}
    try:
        listed = names_of(store, shard.name)
        listed.take_output(name)
        with store.writing(name) as output:
            writer = makers[kind](shard, output.file, listed)
            try:
                yield writer
            except BaseException:
                writer.abandon()
                raise
            writer.close()
        writer.written = output.written
    except OSError as error:
        remedy = suggest_remedy(error, "choose another --out, then run it again")
        raise VisagistError(f"cannot write {store.where(name)}: {error.strerror or error}; {remedy}") from error


def unused_name(name: str, taken: Collection[str]) -> str:
    """The name itself, or with the first number from 2 on that is not taken: edit, edit2, edit3."""
    numbered = (name if number == 1 else f"{name}{number}" for number in range(1, len(taken) + 2))
    return next(candidate for candidate in numbered if candidate not in taken)


def _json(value: Mapping[str, Any]) -> bytes:
    return json_text(value).encode()


class TarWriter:
    """Members of a tar file in their order, the picture's in its place and the account behind the last."""

    def __init__(self, shard: Shard, file: Any, listed: Names) -> None:
        self.tar = tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `close`
        self.keys: set[str] = set()
        self.files: dict[str, str] = {}
        self.written: Written | None = None
        self.image = shard.image

    def add(self, edited: EditedSample) -> None:
        sample = edited.sample
        if sample.members:
            for index, member in enumerate(sample.members):
                is_picture = index == sample.picture_index and edited.picture is not None
                name, data = (edited.name, edited.picture or b"") if is_picture else (member.info.name, member.data)
                self._put(name, data, member.info)
            if not sample.unmatched:
                endings = {split[1].removesuffix(".json") for m in sample.members if (split := split_key(m.info.name))}
                self._put(f"{sample.key}.{unused_name(EDIT, endings)}.json", _json(edited.account), sample.members[0].info)
            return
        key = self._fresh_key(sample.key if sample.row else os.path.splitext(sample.key)[0])
        if edited.picture is not None:
            self._put(f"{key}{PurePosixPath(edited.name).suffix.lower()}", edited.picture)
        if sample.row is not None:
            self._put(f"{key}.columns.json", _json(_columns(sample.row, self.image)))
        self._put(f"{key}.{EDIT}.json", _json(edited.account))

    def close(self) -> None:
        self.tar.close()

    def abandon(self) -> None:
        """Nothing is held."""

    def _fresh_key(self, key: str) -> str:
        """A key of a tar file, which ends at a dot, for a row or a path that is none."""
        folder, _, name = key.replace(".parquet#", "-").rpartition("/")
        plain = re.sub(r"[.\x00-\x1f]", "_", f"{folder}/{name}".lstrip("/"))
        key = unused_name(plain, self.keys)
        self.keys.add(key)
        return key

    def _put(self, name: str, data: bytes, like: tarfile.TarInfo | None = None) -> None:
        info = tarfile.TarInfo(name)
        if like is not None:
            info.mode, info.mtime, info.uid, info.gid = like.mode, like.mtime, like.uid, like.gid
            info.uname, info.gname = like.uname, like.gname
        info.size = len(data)
        self.tar.addfile(info, io.BytesIO(data))


def _columns(row: ParquetRow, image: str | None) -> dict[str, Any]:
    """The other columns of a row as JSON; bytes become base64, and what JSON does not have, text."""

    def as_json(value: Any) -> Any:
        if isinstance(value, bytes):
            return {"base64": base64.b64encode(value).decode()}
        if isinstance(value, dict):
            return {str(name): as_json(item) for name, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [as_json(item) for item in value]
        return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)

    values = {name: plain(row.batch.column(name)[row.index]) for name in row.batch.schema.names}
    picture = image_column(row.batch.schema, image, Path())
    return {name: as_json(value) for name, value in values.items() if name != picture}


class ParquetWriter:
    """Rows, a hundred a row group, with their pictures in Hugging Face's layout and the account in a column more."""

    def __init__(self, shard: Shard, file: Any, listed: Names) -> None:
        self.waiting: list[EditedSample] = []
        self.held = 0
        self.files: dict[str, str] = {}
        self.written: Written | None = None
        if shard.kind == PARQUET:
            with opened_parquet(shard.path) as source:
                own = source.schema_arrow
                self.image = image_column(own, shard.image, shard.path)
        else:
            self.image = "image"
            beside = [] if shard.kind == FOLDER else [_column(ending) for ending in other_endings(shard.path, shard.image)]
            layout = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
            own = pa.schema([("__key__", pa.string()), ("image", layout), *((e, pa.binary()) for e in beside)])
        self.account = unused_name(EDIT, own.names)
        self.schema = own.append(pa.field(self.account, pa.string())).with_metadata(_features(own.metadata, self.account))
        self.writer = pq.ParquetWriter(file, self.schema, write_page_checksum=True)

    def add(self, edited: EditedSample) -> None:
        if not edited.sample.unmatched:
            self.waiting.append(edited)
            row = edited.sample.row
            self.held += len(edited.picture or b"") + (row.nbytes if row else 0)
        if len(self.waiting) == ROWS_AT_ONCE or self.held > BATCH_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self.writer.close()

    def abandon(self) -> None:
        """Close what would otherwise close itself after its file; what it writes is thrown away."""
        with contextlib.suppress(OSError, pa.ArrowException):
            self.writer.close()

    def _flush(self) -> None:
        if not self.waiting:
            return
        rows = [edited.sample.row for edited in self.waiting]
        if rows[0] is not None:
            parts = [row.batch.slice(row.index, 1) for row in rows if row is not None]
            table = pa.Table.from_batches(parts).combine_chunks()
            columns = {name: table[name] for name in table.column_names}
        else:
            columns = self._of_members()
        kind = self.schema.field(self.image).type
        columns[self.image] = pa.array([_cell(edited, kind, self.image) for edited in self.waiting], kind)
        columns[self.account] = pa.array([json_text(edited.account) for edited in self.waiting], pa.string())
        self.writer.write_table(pa.table([columns[name] for name in self.schema.names], schema=self.schema))
        self.waiting.clear()
        self.held = 0

    def _of_members(self) -> dict[str, Any]:
        """The columns of samples of a tar file, one for each ending, and of files in folders, which have none."""
        columns: dict[str, Any] = {"__key__": [_text(edited.sample.key) for edited in self.waiting]}
        beside = [dict(_beside(edited.sample)) for edited in self.waiting]
        for name in self.schema.names:
            if name not in ("__key__", self.image, self.account):
                columns[name] = pa.array([members.get(name) for members in beside], pa.binary())
        return columns


def _beside(sample: Sample) -> Iterator[tuple[str, bytes]]:
    """The other members of a sample by their endings."""
    for index, member in enumerate(sample.members):
        split = split_key(member.info.name)
        if index != sample.picture_index and split is not None:
            yield _column(split[1]), member.data


def _column(ending: str) -> str:
    ending = ending if _text(ending) == ending else quoted(ending)  # names of columns are UTF-8
    return f"{ending}_" if ending in ("__key__", "image") else ending


def _cell(edited: EditedSample, kind: pa.DataType, image: str) -> Any:
    """The picture as its column holds it; further fields of a struct stay as they were."""
    if not pa.types.is_struct(kind):
        return edited.picture
    row = edited.sample.row
    before: Any = plain(row.batch.column(image)[row.index]) if row is not None else None
    if before is None and edited.picture is None:
        return None
    known = {name: _text(value) if isinstance(value, str) else value for name, value in (before or {}).items()}
    path = _text(edited.name) if before is None or known.get("path") else None
    return {**known, "bytes": edited.picture, **({"path": path} if kind.get_field_index("path") >= 0 else {})}


def _text(name: str) -> str:
    """A name as text that can be written; those of files may hold bytes that are none."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def _features(metadata: Mapping[bytes, bytes] | None, account: str) -> dict[bytes, bytes] | None:
    """The metadata of a schema, with the account in Hugging Face's list of features."""
    if not metadata or _HUGGING_FACE not in metadata:
        return dict(metadata) if metadata else None
    try:
        features = json.loads(metadata[_HUGGING_FACE])
        features["info"]["features"][account] = {"dtype": "string", "_type": "Value"}
    except (ValueError, KeyError, TypeError):
        return dict(metadata)  # not of the form that is known: left unchanged
    return {**metadata, _HUGGING_FACE: json_text(features).encode()}


class FolderWriter:
    """Pictures as files; the accounts are the lines of a list, which is in its place when all of them are."""

    def __init__(self, shard: Shard, file: Any, listed: Names) -> None:
        self.file, self.listed, self.image = file, listed, shard.image
        self.base = "" if shard.kind == FOLDER else f"{shard.name}/"
        self.files: dict[str, str] = {}
        self.written: Written | None = None
        self.names: set[str] = set()  # as systems see them that take capital letters for small ones
        self.waiting: dict[str, bytes] = {}

    def add(self, edited: EditedSample) -> None:
        sample = edited.sample
        if sample.unmatched:
            return
        contents = self._contents(edited)
        name = next(iter(contents))
        for file_name, data in contents.items():
            if data is not None:
                self.names.add(file_name.casefold())
                self.waiting[self.base + file_name] = data
                if len(self.waiting) >= self.listed.together:
                    self._flush(file_name)
                self.files[file_name] = hashlib.sha256(data).hexdigest()
        self.file.write(
            _json({"key": sample.key, "file": name if edited.picture is not None else None, **edited.account}) + b"\n"
        )

    def _flush(self, name: str) -> None:
        """Write what waits, on a disk the one file of this name."""
        waiting, self.waiting = self.waiting, {}
        try:
            self.listed.put(waiting)
        except VisagistError as error:  # of somebody's file in its place
            if self.listed.together > 1:  # perhaps another sample's
                raise
            raise UnwritableError(str(error)) from error
        except OSError as error:
            if error.errno not in NAME_ERRORS:
                raise
            raise UnwritableError(f"cannot write {name[:100]}: {error.strerror or error}; rename it") from error

    def close(self) -> None:
        if self.waiting:
            self.listed.put(self.waiting)

    def abandon(self) -> None:
        """Pictures that are whole stay, and are written again."""

    def _contents(self, edited: EditedSample) -> dict[str, bytes | None]:
        """The files of a sample by their names, the picture's first; keys that would meet in one name are numbered."""
        sample = edited.sample
        if not (sample.members or sample.row):
            return {edited.name: edited.picture}
        key = harmless(sample.key)
        for number in range(2, len(self.names) + 3):
            contents: dict[str, bytes | None] = {key + _ending(edited): edited.picture}
            for ending, data in self._beside(sample):
                there = {name.casefold() for name in contents}
                stem, dot, last = f"{key}.{harmless_ending(ending)}".rpartition(".")
                tries = (f"{stem}{n if n > 1 else ''}{dot}{last}" for n in range(1, len(contents) + 2))
                contents[next(name for name in tries if name.casefold() not in there)] = data
            if not any(name.casefold() in self.names for name in contents):
                break
            key = f"{harmless(sample.key)}-{number}"
        return contents

    def _beside(self, sample: Sample) -> Iterable[tuple[str, bytes]]:
        if sample.row is not None:
            return [("columns.json", _json(_columns(sample.row, self.image)))]
        return _beside(sample)


def _ending(edited: EditedSample) -> str:
    """A dot and what follows it in the picture's name."""
    split = split_key(edited.name) if edited.sample.members else None
    ending = split[1] if split else PurePosixPath(edited.name).suffix.lower().removeprefix(".")
    return f".{harmless_ending(ending)}" if ending else ""
