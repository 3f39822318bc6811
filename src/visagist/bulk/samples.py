"""The samples of a shard, one after the other: of tar files as WebDataset writes them, of parquet files, of picture files.

Nothing is unpacked: the names in a tar file are data, and lead nowhere.
"""

from __future__ import annotations

import itertools
import re
import tarfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from visagist.bulk.addresses import RemoteFile, Source, StorageError, open_source, read_source
from visagist.data.columns import image_column, picture_in, read_batches, stream_parquet
from visagist.errors import VisagistError
from visagist.photos.formats import PICTURES

_LARGEST = 1 << 30  # bytes of one sample
_BUFFER = 1 << 20
_PARQUET_BLOCK = 1 << 20  # columns lie apart
_AT_ONCE = 16
_ABOUT = re.compile(r"__[^/]*__($|/)")  # WebDataset's own remarks on a shard
_KEY = re.compile(r"((?:.*/|)[^./][^.]*)\.([^/]*)", re.DOTALL)  # as WebDataset splits: at the first dot of the file's name


class DamagedShardError(VisagistError):
    """A shard that cannot be read to its end."""


class Member(NamedTuple):
    """A file in a tar file."""

    info: tarfile.TarInfo
    data: bytes


@dataclass(frozen=True)
class ParquetRow:
    """A row of a parquet file, in the batch that it was read with."""

    batch: pa.RecordBatch
    index: int

    @property
    def nbytes(self) -> int:
        return int(self.batch.slice(self.index, 1).nbytes)


@dataclass(frozen=True)
class Sample:
    """One picture of a shard.

    name     the picture's own, whose ending says in which format it is; "" where there is none
    picture  its bytes; None where there is none
    members  of a tar file, all of the sample; `picture_index` is the picture's index among them, -1 for none
    row      of a parquet file
    unmatched  a file of a tar file that belongs to no sample: it is carried over and not counted
    """

    key: str
    name: str
    picture: bytes | None
    members: tuple[Member, ...] = ()
    picture_index: int = -1
    row: ParquetRow | None = None
    unmatched: bool = False


def file_samples(files: Sequence[tuple[Source, str]]) -> Iterator[Sample]:
    """Files, each with its name among the results; what cannot be read has no picture. StorageError of addresses."""
    if not any(isinstance(source, RemoteFile) for source, _ in files):
        for source, name in files:
            yield Sample(name, name, _bytes_of(source))
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:  # an address takes its time to answer
        for start in range(0, len(files), _AT_ONCE):
            part = files[start : start + _AT_ONCE]
            for (_, name), data in zip(part, pool.map(_bytes_of, [source for source, _ in part]), strict=True):
                yield Sample(name, name, data)


def _bytes_of(source: Source) -> bytes | None:
    try:
        return read_source(source, _LARGEST)
    except StorageError:
        raise
    except (OSError, VisagistError):
        return None  # reported as any other picture that cannot be read


def tar_samples(path: Source, image: str | None) -> Iterator[Sample]:
    """The samples of a tar file and, each by itself, the files that belong to none; raises DamagedShardError."""
    for unmatched, key, members in _tar_groups(path, with_data=True):
        index = -1 if unmatched else _picture_index([member.info.name for member in members], image)
        name, data = (members[index].info.name, members[index].data) if index >= 0 else ("", None)
        yield Sample(key, name, data, tuple(members), index, unmatched=unmatched)


def _picture_index(names: Sequence[str], image: str | None) -> int:
    """The index of the picture among members: the one with this ending, or the first with a picture's; -1 for none."""
    endings = ["." + (split_key(name) or ("", ""))[1].lower() for name in names]
    if image is not None:
        return endings.index("." + image.lower()) if "." + image.lower() in endings else -1
    exact = [i for i, ending in enumerate(endings) if ending in PICTURES]
    alike = [i for i, ending in enumerate(endings) if ending.endswith(PICTURES)]
    return (exact or alike or [-1])[0]


def split_key(name: str) -> tuple[str, str] | None:
    """The key and the ending of a member of a tar file; None for what belongs to no sample."""
    match = _KEY.fullmatch(name)
    return None if match is None or _ABOUT.match(name) else (match[1], match[2])


def _tar_groups(path: Source, with_data: bool = False) -> Iterator[tuple[bool, str, list[Member]]]:
    """Members in a row with one key: whether they belong to no sample, the key, and them."""

    def sort(member: Member) -> tuple[bool, str]:
        split = split_key(member.info.name)
        return (True, member.info.name) if split is None else (False, split[0])

    for (unmatched, key), together in itertools.groupby(_tar_members(path, with_data), sort):
        members: dict[str, Member] = {}
        for member in together:
            if member.info.name in members:
                raise DamagedShardError(
                    f"{path} holds {member.info.name!r} twice in a row: give each sample a key of its own"
                )
            members[member.info.name] = member
            if sum(member.info.size for member in members.values()) > _LARGEST:
                raise DamagedShardError(f"{path}: the sample {key!r} has more than 1 GB: give each picture a key of its own")
        yield unmatched, key, list(members.values())


def count_tar(path: Source) -> int:
    """How many samples a tar file has, by its headers."""
    return sum(not unmatched for unmatched, _, _ in _tar_groups(path))


def other_endings(path: Source, image: str | None) -> list[str]:
    """The endings of all members of a tar file beside the pictures, in the order in which they first come."""
    endings: dict[str, None] = {}
    for unmatched, _, members in _tar_groups(path):
        names = [member.info.name for member in members]
        index = -1 if unmatched else _picture_index(names, image)
        splits = [split_key(name) for i, name in enumerate(names) if i != index and not unmatched]
        endings |= {split[1]: None for split in splits if split}
    return list(endings)


def _tar_members(path: Source, with_data: bool) -> Iterator[Member]:
    """The files in a tar file; links, devices and folders, of which WebDataset knows nothing, are left out."""
    try:
        with _opened(path) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for info in tar:
                if not info.isreg():
                    continue
                if info.issparse():  # a few bytes that stand for gigabytes of zeros
                    raise DamagedShardError(f"{path} holds {info.name!r} as a sparse file: make it without --sparse")
                if info.size > _LARGEST:
                    raise DamagedShardError(
                        f"{path} holds {info.name!r} of {info.size / 1e9:.1f} GB, more than 1: leave it out"
                    )
                content = tar.extractfile(info) if with_data else None
                yield Member(info, content.read() if content else b"")
            # Python's tarfile takes a damaged header for the end.
            file.seek(tar.offset)
            if any(file.read(_BUFFER)):
                raise DamagedShardError(f"{path} is damaged at byte {tar.offset}: make it anew")
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise DamagedShardError(f"cannot read {path} as a tar file: {' '.join(str(error).split())}; make it anew") from error


@contextmanager
def _opened(path: Source) -> Iterator[BinaryIO]:
    """A shard to read from; raises DamagedShardError for what is no regular file."""
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_source(path))
        except StorageError:
            raise
        except VisagistError as error:
            raise DamagedShardError(str(error)) from error
        yield file


@contextmanager
def opened_parquet(path: Source) -> Iterator[pq.ParquetFile]:
    """A parquet file to read from, streamed; raises DamagedShardError for what goes wrong with it."""
    try:
        with stream_parquet(path, lambda: open_source(path, _PARQUET_BLOCK)) as file:
            yield file
    except StorageError:
        raise
    except VisagistError as error:
        raise DamagedShardError(str(error)) from error


def plain(cell: Any) -> Any:
    """The value of a cell; text that is not UTF-8 keeps its bytes as names of files do."""
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        if pa.types.is_struct(cell.type):
            return {field.name: plain(cell[field.name]) for field in cell.type}
        if hasattr(cell, "as_buffer"):
            return cell.as_buffer().to_pybytes().decode(errors="surrogateescape")
        return [plain(item) for item in cell.values]


def parquet_samples(path: Source, image: str | None) -> Iterator[Sample]:
    """The rows of a parquet file, a hundred in memory at a time; raises DamagedShardError."""
    with opened_parquet(path) as file:
        column = image_column(file.schema_arrow, image, path)
        number = 0
        for batch in read_batches(file, path):
            keys = batch.column("__key__") if "__key__" in batch.schema.names else None
            for index, cell in enumerate(batch.column(column)):
                data, name = picture_in(plain(cell))
                key = f"{path.name}#{number}" if keys is None else str(plain(keys[index]))
                yield Sample(key, name, data, row=ParquetRow(batch, index))
                number += 1
