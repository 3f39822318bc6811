"""Which shards there are, parquet files row by row, and shards that are damaged."""

from __future__ import annotations

import contextlib
import json
import os
import random
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bulk_runs import BROKEN, NOBODY, PNG, edited, run
from shards import encoded, face, face_shards, read_tar, write_parquet, write_tar

from visagist.bulk.samples import DamagedShardError
from visagist.bulk.shards import find_shards
from visagist.errors import VisagistError


def test_parquet_keeps_its_columns_and_its_rows_and_hugging_face_knows_the_account(tmp_path: Path) -> None:
    features = {"info": {"features": {"id": {"dtype": "int64", "_type": "Value"}, "image": {"_type": "Image"}}}}
    cells = [
        {"bytes": PNG, "path": None},
        None,
        {"bytes": None, "path": "gone.png"},
        *[{"bytes": PNG, "path": "a.png"}] * 150,
    ]
    given = write_parquet(tmp_path / "in" / "a.parquet", cells, {"huggingface": json.dumps(features), "more": "kept"})
    summary = run(given, tmp_path / "out")
    before, after = pq.read_table(given), pq.read_table(tmp_path / "out" / "a.parquet")
    assert after.select(["id", "words"]).equals(before.select(["id", "words"]))
    assert after.schema.field("image").type == before.schema.field("image").type
    pictures = after["image"].to_pylist()
    assert pictures[1:3] == cells[1:3]
    assert (pictures[0]["path"], pictures[3]["path"]) == (None, "a.png")
    assert all(edited(cell["bytes"]) for cell in (pictures[0], pictures[-1]))
    assert json.loads(after["edit"][1].as_py())["reason"] == "unreadable: it has no picture"
    assert json.loads(after.schema.metadata[b"huggingface"])["info"]["features"]["edit"] == {
        "dtype": "string",
        "_type": "Value",
    }
    assert after.schema.metadata[b"more"] == b"kept"
    assert (summary["pictures"]["edited"], summary["pictures"]["unreadable"]) == (151, 2)
    run(given, tmp_path / "dropped", failures="drop")
    assert pq.read_table(tmp_path / "dropped" / "a.parquet")["id"].to_pylist() == [0, *range(3, 153)]


def test_rows_without_names_are_called_by_their_numbers_and_formats(tmp_path: Path) -> None:
    cells = [{"bytes": data, "path": None} for data in (PNG, NOBODY, BROKEN, None)]
    given = write_parquet(tmp_path / "a.parquet", cells)
    run(given, tmp_path / "tar", to="webdataset")
    names = [name for name, _ in read_tar(tmp_path / "tar" / "a.tar") if not name.endswith("json")]
    assert names == ["a-0.png", "a-1.png", "a-2.bin"]
    run(given, tmp_path / "folder", to="folder")
    told = [json.loads(line) for line in (tmp_path / "folder" / "a.edits.jsonl").read_text().splitlines()]
    assert [one["file"] for one in told] == ["a.parquet#0.png", "a.parquet#1.png", "a.parquet#2.bin", None]
    assert (tmp_path / "folder" / "a" / "a.parquet#2.bin").read_bytes() == BROKEN


def test_a_column_of_plain_bytes_is_a_column_of_pictures_and_may_be_named(tmp_path: Path) -> None:
    table = pa.table({"other": pa.array([b"1", b"2"]), "jpeg": pa.array([PNG, PNG], pa.large_binary())})
    pq.write_table(table, tmp_path / "a.parquet")
    run(tmp_path / "a.parquet", tmp_path / "out", image="jpeg")
    made = pq.read_table(tmp_path / "out" / "a.parquet")
    assert made.schema.field("jpeg").type == pa.large_binary()
    assert made["other"].to_pylist() == [b"1", b"2"]
    assert all(edited(data) for data in made["jpeg"].to_pylist())


def test_a_bit_that_flips_in_a_parquet_file_of_results_is_seen_where_it_is_read(tmp_path: Path) -> None:
    noise = encoded(face(3, 64))
    write_parquet(tmp_path / "in.parquet", [{"bytes": noise, "path": "0.png"}])
    run(tmp_path / "in.parquet", tmp_path / "out", aligned=True, mode="detail")
    made = tmp_path / "out" / "in.parquet"
    data = bytearray(made.read_bytes())
    data[data.index(b"IDAT") + 2000] ^= 1
    made.write_bytes(bytes(data))
    with pytest.raises(VisagistError, match="cannot read the column 'image' of"):
        list(find_shards([str(made)])[0].samples())


def test_a_broken_parquet_file_is_told_of_and_the_others_are_finished(tmp_path: Path) -> None:
    good = write_parquet(tmp_path / "in" / "good.parquet", [{"bytes": PNG, "path": "a.png"}] * 3)
    (tmp_path / "in" / "bad.parquet").write_bytes(good.read_bytes()[:-20])
    pq.write_table(pa.table({"x": [1]}), tmp_path / "in" / "none.parquet")
    summary = run(tmp_path / "in", tmp_path / "out")
    assert [failed["shard"] for failed in summary["failed_shards"]] == ["bad", "none"]
    assert "no column of images" in summary["failed_shards"][1]["reason"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".bulk", "good.parquet"}


def test_folders_are_cut_into_shards_and_names_that_would_meet_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.png").write_bytes(PNG)
    assert [shard.count() for shard in find_shards([str(tmp_path)], shard_size=2)] == [2, 1]
    (tmp_path / "list.txt").write_text("a.png\n\nc.png\n")
    assert [name for shard in find_shards([str(tmp_path / "list.txt")]) for _, name in shard.files] == ["a.png", "c.png"]
    (tmp_path / "a.bmp").write_bytes(PNG)
    with pytest.raises(VisagistError, match=r"two pictures would both be written to a\.png"):
        find_shards([str(tmp_path)])


def test_shards_are_found_by_folders_patterns_and_numbers_in_braces(tmp_path: Path) -> None:
    face_shards(tmp_path / "x", 3, 1)
    write_parquet(tmp_path / "b.parquet", [])
    names = ["faces-000000", "faces-000001", "faces-000002"]
    for given in ("x", "x/*.tar", "x/faces-{000000..000002}.tar"):
        assert [shard.name for shard in find_shards([str(tmp_path / given)])] == names
    with pytest.raises(VisagistError, match=r"there is no shard or picture .*faces-000003\.tar"):
        find_shards([str(tmp_path / "x" / "faces-{000002..000003}.tar")])
    with pytest.raises(VisagistError, match="parquet and webdataset are given together"):
        find_shards([str(tmp_path)])


def test_a_shard_of_pictures_goes_by_names_sizes_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    (shard,) = find_shards([str(tmp_path)])
    before = shard.fingerprint()
    assert replace(shard).fingerprint() == before
    os.utime(path, ns=(1, 1))
    assert shard.fingerprint() != before
    path.unlink()
    assert shard.fingerprint() != before
    summary = run([*face_pictures(tmp_path / "more")], tmp_path / "out")
    assert summary["pictures"]["edited"] == 2


def face_pictures(folder: Path) -> list[Path]:
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(encoded(face(number)))
    return sorted(folder.iterdir())


@pytest.mark.parametrize("harm", ["cut", "header"])
def test_a_damaged_tar_file_is_told_of_and_the_others_are_finished(harm: str, tmp_path: Path) -> None:
    first, second = face_shards(tmp_path / "in", 2, 6)
    data = bytearray(first.read_bytes())
    middle = data.index(b"00-0003.png")
    data[middle : middle + 200] = b"\xff" * 200
    first.write_bytes(bytes(data) if harm == "header" else bytes(data[: middle + 700]))
    summary = run(tmp_path / "in", tmp_path / "out")
    assert [failed["shard"] for failed in summary["failed_shards"]] == ["faces-000000"]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".bulk", second.name}


def harmed(data: bytes, draw: random.Random) -> bytes:
    """The file cut, or with some bytes or a number in a header replaced."""
    made = bytearray(data)
    how, place = draw.randrange(3), draw.randrange(len(data))
    if how == 0:
        return data[:place]
    if how == 1:
        made[place : place + draw.randrange(1, 600)] = draw.randbytes(draw.randrange(600))
        return bytes(made)
    header = place // 512 * 512 + 124
    made[header : header + 12] = bytes(draw.choices(b"01234567 \0\x80\xff", k=12))
    return bytes(made)


@pytest.mark.parametrize("seed", range(60))
def test_a_harmed_tar_file_is_refused_or_read_whole(seed: int, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [(f"{i}.png", PNG) for i in range(8)])
    path.write_bytes(harmed(path.read_bytes(), random.Random(seed)))
    (shard,) = find_shards([str(path)])
    number = None
    with contextlib.suppress(DamagedShardError):
        number = sum(not sample.unmatched for sample in shard.samples())
    assert number in (None, 8)
