"""Shards of small pictures: tar files and parquet files to write, and what is in them."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

LAYOUT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def encoded(pixels: NDArray[np.uint8], kind: str = "PNG") -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def decoded(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def face(seed: int, side: int = 16) -> NDArray[np.uint8]:
    """A picture of one aligned face, as tiny models see it: noise."""
    return np.random.default_rng(seed).integers(0, 256, (side, side, 3), dtype=np.uint8)


def write_tar(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.uname = len(data), 1234567, "somebody"
            tar.addfile(info, io.BytesIO(data))
    return path


def read_tar(path: Path) -> list[tuple[str, bytes]]:
    with tarfile.open(path) as tar:
        return [(info.name, tar.extractfile(info).read()) for info in tar]  # type: ignore[union-attr]


def face_shards(folder: Path, shards: int, pictures: int) -> list[Path]:
    """Tar files of aligned faces with a text beside each."""
    made = []
    for shard in range(shards):
        keys = [(f"{shard:02d}-{number:04d}", 1000 * shard + number) for number in range(pictures)]
        members = [m for key, seed in keys for m in ((f"{key}.png", encoded(face(seed))), (f"{key}.txt", key.encode()))]
        made.append(write_tar(folder / f"faces-{shard:06d}.tar", members))
    return made


def write_parquet(path: Path, cells: Iterable[Mapping[str, Any] | None], metadata: Mapping[str, str] | None = None) -> Path:
    """Pictures in Hugging Face's layout, between a column of numbers and one of lists."""
    cells = list(cells)
    schema = pa.schema([("id", pa.int64()), ("image", LAYOUT), ("words", pa.list_(pa.string()))], metadata=metadata)
    words = [[str(i)] * (i % 3) for i in range(len(cells))]
    path.parent.mkdir(parents=True, exist_ok=True)
    columns = [pa.array(range(len(cells))), pa.array(cells, LAYOUT), pa.array(words, schema.field("words").type)]
    pq.write_table(pa.table(columns, schema=schema), path)
    return path


def accounts(path: Path) -> dict[str, dict[str, Any]]:
    """What was done with each picture of a tar file, by its key."""
    ending = ".edit.json"
    return {name.removesuffix(ending): json.loads(data) for name, data in read_tar(path) if name.endswith(ending)}
