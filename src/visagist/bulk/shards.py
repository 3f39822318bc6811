"""Many photographs in shards: tar files as WebDataset writes them, parquet files, and folders or lists in virtual shards.

    IN -> find_shards -> Shard (name, kind, files) -> samples: key, picture's name and bytes, what stands beside it

A shard is read from its start to its end, a few samples in memory at a time. Nothing is unpacked: the names in a tar file
are data, and lead nowhere.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from visagist.boundary.untrusted import check_regular, read_text, refuse_addresses
from visagist.bulk.addresses import RemoteFile, Source, facts_of, list_remote, scheme_of, shown
from visagist.bulk.samples import Sample, count_tar, file_samples, opened_parquet, parquet_samples, tar_samples
from visagist.editing.input_files import files_in, matching_files
from visagist.errors import VisagistError
from visagist.photos.formats import BY_NAME, PICTURES, WRITABLE

WEBDATASET, PARQUET, FOLDER = KINDS = ("webdataset", "parquet", "folder")
LISTS = (".txt", ".lst")
SHARD_SIZE = 1000
_SUFFIXES = {".tar": WEBDATASET, ".parquet": PARQUET}
S = TypeVar("S", bound=Source)
_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


@dataclass(frozen=True)
class Shard:
    """Pictures that one process edits from the first to the last.

    name    that of its output, without an ending; may hold folders
    files   the one tar or parquet file, or the pictures of a virtual shard, with their names in a folder of results
    image   the member's ending or the column that holds the picture; None: the first that does
    most    how many pictures to take; None for all
    """

    name: str
    kind: str
    files: tuple[tuple[Source, str], ...] = field(repr=False)
    image: str | None = None
    most: int | None = None

    @property
    def path(self) -> Source:
        return self.files[0][0]

    @property
    def is_remote(self) -> bool:
        return any(isinstance(source, RemoteFile) for source, _ in self.files)

    def fresh(self) -> Shard:
        """The shard with what is known of its file now; pictures are taken as they were listed."""
        (source, name), *others = self.files
        return self if others or not isinstance(source, RemoteFile) else replace(self, files=((source.fresh(), name),))

    def fingerprint(self) -> str:
        """A hash of the names, sizes and times of its files, of addresses as they were listed.

        A missing file has neither size nor time.
        """
        digest = hashlib.sha256()
        for source, name in self.files:
            size, version = facts_of(source)
            digest.update(f"{name}\0{size}\0{version}\n".encode(errors="surrogateescape"))
        return digest.hexdigest()

    def count(self) -> int:
        """How many pictures it has, by headers alone; raises DamagedShardError."""
        if self.kind == FOLDER:
            number = len(self.files)
        elif self.kind == PARQUET:
            with opened_parquet(self.path) as file:
                number = file.metadata.num_rows
        else:
            number = count_tar(self.path)
        return number if self.most is None else min(number, self.most)

    def samples(self) -> Iterator[Sample]:
        """Its samples in order; raises DamagedShardError where it is damaged."""
        if self.kind == FOLDER:
            samples = file_samples(self.files)
        else:
            samples = (tar_samples if self.kind == WEBDATASET else parquet_samples)(self.path, self.image)
        left = self.most
        for sample in samples:
            if left is not None and not sample.unmatched:
                if not left:
                    return
                left -= 1
            yield sample


def find_shards(
    given: Sequence[str], shard_size: int = SHARD_SIZE, image: str | None = None, limit: int | None = None,
    out: Path | str | None = None,
) -> list[Shard]:  # fmt: skip
    """The shards that files, folders, patterns, `{000..099}`, addresses and lists of files stand for; all of one kind.

    Folders are taken with all folders in them but `out`, which results are written to. VisagistError where nothing is found,
    or several kinds are.
    """
    files = list({str(path): path for argument in given for path in _sources(argument, out)}.values())
    kinds = {_SUFFIXES.get(path.suffix.lower(), FOLDER) for path in files}
    if len(kinds) != 1:
        raise VisagistError(f"{' and '.join(sorted(kinds))} are given together: edit one kind at a time, by a pattern")
    named = _named(files)
    kind = kinds.pop()
    if kind == FOLDER:
        _refuse_collisions([name for _, name in named])
        parts = [tuple(named[start : start + shard_size]) for start in range(0, len(named), shard_size)]
        shards = [Shard(f"photos-{number:06d}", FOLDER, part) for number, part in enumerate(parts)]
    else:
        _refuse_collisions([name[: -len(path.suffix)] for path, name in named], "shards", lambda name: name)
        shards = [Shard(name[: -len(path.suffix)], kind, ((path, name),), image) for path, name in named]
    return shards if limit is None else _limited(shards, limit)


def _named(files: Sequence[Source]) -> list[tuple[Source, str]]:
    """Files, sorted, with their names below the folder that holds all of them."""
    remote = [isinstance(file, RemoteFile) for file in files]
    if any(remote) and not all(remote):
        raise VisagistError("paths and addresses are given together: edit one after the other")
    paths = [  # without `..`, which in a name would lead out of the results
        file.path if isinstance(file, RemoteFile) else Path(os.path.abspath(file)) for file in files
    ]
    root = os.path.commonpath([path.parent for path in paths])
    named = zip(files, (path.relative_to(root).as_posix() for path in paths))
    return sorted(named, key=lambda pair: pair[0].path if isinstance(pair[0], RemoteFile) else pair[0])


def written_name(name: str, form: str = "") -> str:
    """What an edited picture is called: its own name or, where its format is read only, that with .png.

    Where the name has no picture's ending, `form`, the format that it was read in, says which it is.
    """
    stem, ending = os.path.splitext(name)
    if ending.lower() in WRITABLE:
        return name
    known = BY_NAME.get(form)
    by_form = known.suffixes[0] if known is not None and known.writable else ".png"
    return f"{stem}.png" if ending.lower() in PICTURES else f"{name}{by_form}"


def _refuse_collisions(
    names: Iterable[str], what: str = "pictures", written: Callable[[str], str] = written_name
) -> None:
    seen: set[str] = set()
    for name in map(written, names):
        if name in seen:
            raise VisagistError(f"two {what} would both be written to {name}: rename one of them")
        seen.add(name)


def _limited(shards: Iterable[Shard], limit: int) -> list[Shard]:
    """The shards with the first `limit` pictures."""
    taken = []
    for shard in shards:
        if limit <= 0:
            break
        part = replace(shard, most=limit)
        limit -= part.count()
        taken.append(part)
    return taken


def _sources(argument: str, out: Path | str | None) -> Iterator[Source]:
    span = _RANGE.search(argument)
    if span:
        first, last = span.groups()
        for number in range(int(first), int(last) + 1):
            yield from _sources(f"{argument[: span.start()]}{number:0{len(first)}d}{argument[span.end() :]}", out)
    elif scheme_of(argument) is not None:
        files = [file for file in list_remote(argument) if not file.address.startswith(f"{str(out).rstrip('/')}/")]
        yield from _of_one_kind(files, shown(argument)) if files else _no_shard(argument)
    else:
        yield from _paths(argument, out if isinstance(out, Path) else None)


def _no_shard(argument: str) -> list[Source]:
    raise VisagistError(f"there is no shard or picture {argument}: give files, a folder, a pattern or a list of files")


def _paths(argument: str, out: Path | None) -> Iterator[Path]:
    path = Path(argument).expanduser()
    if not path.exists():
        refuse_addresses(argument)
    if path.is_dir():
        yield from _inside(path, out)
    elif path.exists():
        check_regular(path)
        yield from _listed(path) if path.suffix.lower() in LISTS else [path]
    else:
        files = matching_files(argument, out)
        if not files:
            _no_shard(argument)
        yield from files


def _inside(folder: Path, out: Path | None) -> list[Path]:
    return _of_one_kind(files_in(folder, out), str(folder))


def _of_one_kind(files: Sequence[S], folder: str) -> list[S]:
    """The tar files of a folder and its folders, else the parquet files, else the pictures."""
    for endings in (tuple(_SUFFIXES), PICTURES):
        matching = [p for p in files if p.suffix.lower() in endings]
        if matching:
            return matching
    raise VisagistError(f"{folder} holds no tar file, no parquet file and no picture: name another folder")


def _listed(path: Path) -> Iterator[Path]:
    """The files that a text file names, one a line, from its own folder on."""
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise VisagistError(f"cannot read the list {path}: {error}; write UTF-8, one file a line") from error
    for line in lines:
        if line.strip():
            named = path.parent / Path(line.strip()).expanduser()
            if not named.is_file():
                raise VisagistError(f"{path} names {line.strip()}, which is no file: put the list right")
            yield named
