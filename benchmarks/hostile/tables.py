"""Grammars of tables and archives: CSV labels, parquet, tar files, and results that stand where new ones go."""

from __future__ import annotations

import csv
import io
import os
import shutil
import tarfile
from pathlib import Path
from random import Random
from typing import Any

from hostile import readers
from hostile.damage import CONTROLS, damage_bytes, draw_value
from hostile.ground import Grammar, Ground
from hostile.models import EDIT, use_command

NAMES = (
    "0.png", "1.png", "../secret/face.png", "/etc/hostname", "", ".", "..", "a/../../secret/face.png", "x" * 300, "0.PNG ",
    CONTROLS + ".png", "nul\0.png", "-rf.png", "0.png/", "folder", "fifo.png", "link.png", "🙂.png", "con.png", "0.png\r",
)  # fmt: skip
CELLS = ("0", "1", "-1", "", "2", "nan", "1e999", "true", "yes", "1.0", " 1", "0x1", "9" * 400, CONTROLS, "=1+1", '"')
HEADS = ("file", "Smiling", "split", "identity", "Hat", "", "smiling", "File", "x" * 2000, CONTROLS, "landmarks")
SPLITS = ("train", "val", "test", "valid", "", "0", "all", "TRAIN", CONTROLS)


def lay_pictures(draw: Random, folder: Path, ground: Ground) -> None:
    """A few pictures, and what is called like one and is none."""
    folder.mkdir()
    for number in range(3):
        shutil.copyfile(ground.templates / f"face-{number}.png", folder / f"{number}.png")
    if draw.randrange(3) == 0:
        (folder / "folder").mkdir()
        os.mkfifo(folder / "fifo.png")
        (folder / "link.png").symlink_to(ground.secret / "face.png")
    if draw.randrange(4) == 0:
        (folder / "folder.png").mkdir()


def build_csv(draw: Random, ground: Ground) -> str:
    folder = ground.given / "folder"
    lay_pictures(draw, folder, ground)
    heads = list(HEADS[: draw.randint(1, 4)])
    heads = heads if len(heads) > 1 else [*heads, "Smiling"]
    if draw.randrange(6) == 0:
        heads = [draw.choice(HEADS) for _ in range(draw.randint(0, 6))]
    stream = io.StringIO()
    delimiter = draw.choice(",,,,,,,;\t|")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator=draw.choice(("\n", "\n", "\r\n", "\n\n", "\r")))
    writer.writerow(heads)
    for row in range(draw.choice((0, 1, 3, 3, 3, 3, 3, 8))):
        cells = [f"{row % 3}.png" if draw.randrange(9) else draw.choice(NAMES)]
        for head in heads[1:]:
            usual = draw.choice(SPLITS[:3]) if head == "split" else str(row % 2)
            cells.append(usual if draw.randrange(6) else draw.choice(CELLS))
        if draw.randrange(12) == 0:
            cells = cells[: draw.randint(0, len(cells))] + ["1"] * draw.choice((0, 1, 5000))
        writer.writerow(cells)
    text = stream.getvalue().encode("utf-8", "surrogatepass")
    action = draw.randrange(10)
    if action == 0:
        text = damage_bytes(draw, text)
    elif action == 1:
        text = draw.choice((b"\xef\xbb\xbf" + text, text.decode().encode("utf-16"), text + b"\xff\xfe", b"\0" * 1000))
    elif action == 2:
        text += b'"' + b"unclosed," * 100_000
    (folder / draw.choice(("labels.csv",) * 8 + ("other.csv",))).write_bytes(text)
    if draw.randrange(10) == 0:
        shutil.copytree(folder, ground.given / "more", symlinks=True, ignore=shutil.ignore_patterns("fifo.png"))
    return f"folder:{folder}"


def use_faces(ground: Ground, source: str) -> None:
    readers.load_faces(source, ground.out / "cache")


def build_parquet(draw: Random, ground: Ground) -> str:
    import pyarrow as pa
    import pyarrow.parquet as pq

    faces = [(ground.templates / f"face-{number}.png").read_bytes() for number in range(3)]
    rows = draw.choice((0, 1, 3, 3, 5))
    cells: list[Any] = [{"bytes": faces[i % 3], "path": f"{i}.png"} for i in range(rows)]
    for i in range(rows):
        if draw.randrange(4) == 0:
            odd = draw.choice((b"", b"no picture", damage_bytes(draw, faces[0]), None))
            cells[i] = draw.choice((None, {"bytes": odd, "path": draw.choice(NAMES).replace("\0", "")}))
    kind = draw.choice(
        (
            pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
            pa.struct([("bytes", pa.large_binary()), ("path", pa.string())]),
            pa.struct([("bytes", pa.string()), ("path", pa.string())]),
            pa.struct([("path", pa.string())]),
            pa.struct([("bytes", pa.list_(pa.int32()))]),
        )
    )
    if kind.get_field_index("bytes") < 0 or not pa.types.is_binary(kind.field("bytes").type):
        cells = [None] * rows
    columns: dict[str, Any] = {draw.choice(("image", "image", "picture", "")): pa.array(cells, kind)}
    if draw.randrange(5):
        columns["Smiling"] = pa.array([i % 2 for i in range(rows)], draw.choice((pa.int64(), pa.float64(), pa.int8())))
    for _ in range(draw.randrange(4)):
        columns[draw.choice(HEADS)] = draw_column(draw, rows)
    table = pa.table(columns)
    path = ground.given / draw.choice(("faces.parquet", "train-00000-of-00001.parquet", "test.parquet"))
    codec = draw.choice(("snappy", "zstd", "gzip", "none"))
    pq.write_table(table, path, compression=codec, row_group_size=draw.choice((None, 1, 2)))
    if draw.randrange(3) == 0:
        path.write_bytes(damage_bytes(draw, path.read_bytes()))
    if draw.randrange(8) == 0:
        pq.write_table(pa.table({"other": draw_column(draw, 2)}), path.with_name("validation.parquet"))
    return str(path if draw.randrange(2) else path.parent)


def draw_column(draw: Random, rows: int) -> Any:
    import pyarrow as pa

    return draw.choice(
        (
            lambda: pa.nulls(rows),
            lambda: pa.array([draw.choice(CELLS) for _ in range(rows)], pa.string()),
            lambda: pa.array([draw.choice((True, False, None)) for _ in range(rows)], pa.bool_()),
            lambda: pa.array([[1] * draw.randrange(3) for _ in range(rows)], pa.list_(pa.int64())),
            lambda: pa.array([float("nan")] * rows, pa.float64()),
            lambda: pa.array([2**62] * rows, pa.int64()),
            lambda: pa.array(["a"] * rows).dictionary_encode(),
            lambda: pa.array([{"x": {"y": ascii(draw_value(draw))[:20]}} for _ in range(rows)]) if rows else pa.nulls(0),
            lambda: pa.array([10**9] * rows, pa.timestamp("us")),
        )
    )()


def use_parquet(ground: Ground, path: str) -> None:
    readers.load_faces(f"parquet:{path}", ground.out / "cache")


def use_samples(ground: Ground, path: str) -> None:
    readers.read_samples(Path(path))


def write_hostile_tar(draw: Random, ground: Ground) -> Path:
    """A tar file of samples and of all that tar files can hold beside."""
    faces = [(ground.templates / f"face-{number}.png").read_bytes() for number in range(3)]
    path = ground.given / "shard-000000.tar"
    form = draw.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT))
    with tarfile.open(path, "w", format=form, errors="surrogateescape") as tar:
        for number in range(draw.choice((0, 1, 3, 6))):
            name, data = f"{number:04d}.png", faces[number % 3]
            if draw.randrange(4) == 0:
                name = draw.choice((*NAMES[2:], "a.b.c.png", ".png", "__x__/a.png", "\udcff.png", "a/" * 60 + "b.png"))
                name = name.replace("\0", "") or "empty"
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), draw.choice((0, 1234567, 8**11 - 1))
            if draw.randrange(5) == 0:
                info.type = draw.choice((b"1", b"2", b"3", b"4", b"5", b"6", b"7", b"S", b"x", b"K", b"Z"))
                info.linkname = draw.choice(("../secret/face.png", "0000.png", "/etc/hostname", name))
                if info.type in b"12":
                    info.size = 0
            if form == tarfile.PAX_FORMAT and draw.randrange(6) == 0:
                info.pax_headers = draw.choice(
                    (
                        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(2**40)},
                        {"GNU.sparse.size": str(2**40), "GNU.sparse.map": f"0,{len(data)}"},
                        {"size": draw.choice(("-1", str(2**62), "x"))},
                        {"path": "../../secret/face.png"},
                        {"mtime": draw.choice(("nan", "1e308", "-1"))},
                        {"comment": CONTROLS},
                    )
                )
            try:
                tar.addfile(info, io.BytesIO(data) if info.isreg() else None)
            except (ValueError, tarfile.TarError):
                continue
            if draw.randrange(3) == 0:
                text = tarfile.TarInfo(f"{os.path.splitext(name)[0]}.{draw.choice(('txt', 'json', 'edit.json', 'png'))}")
                text.size = 4
                tar.addfile(text, io.BytesIO(b"text"))
    data = bytearray(path.read_bytes())
    if draw.randrange(4) == 0 and len(data) > 512:
        start = 512 * draw.randrange(len(data) // 512)
        field, length = draw.choice(((124, 12), (156, 1), (0, 100), (148, 8), (257, 8), (136, 12), (482, 1)))
        values = (b"77777777777\0", b"\x80" + b"\xff" * 11, b"S", b"-0000000001\0", b"\0" * 12, draw.randbytes(12))
        value = draw.choice(values)
        data[start + field : start + field + length] = value[:length].ljust(length, b"\0")
        if draw.randrange(4):
            header = bytes(data[start : start + 148]) + b" " * 8 + bytes(data[start + 156 : start + 512])
            data[start + 148 : start + 156] = f"{sum(header):06o}\0 ".encode()
    path.write_bytes(damage_bytes(draw, bytes(data)) if draw.randrange(5) == 0 else data)
    return path


def build_tar(draw: Random, ground: Ground) -> str:
    return str(write_hostile_tar(draw, ground))


def build_bulk(draw: Random, ground: Ground) -> list[str]:
    path = write_hostile_tar(draw, ground)
    more = draw.choice(([], ["--to", "folder"], ["--to", "parquet"], ["--failures", "drop"]))
    return ["bulk", str(path), "--model", str(ground.templates / "run"), *EDIT, str(ground.out), *more]


GRAMMARS = (
    Grammar("csv", build_csv, use_faces),
    Grammar("parquet", build_parquet, use_parquet),
    Grammar("bulk-parquet", build_parquet, use_samples),
    Grammar("tar", build_tar, use_samples),
    Grammar("bulk-tar", build_bulk, use_command),
)
