"""Which column of a parquet file is the picture, that paths in it are not followed, and what a small file may unpack to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from memory_peaks import peak
from shards import LAYOUT

from visagist.bulk.samples import parquet_samples
from visagist.data import load_data
from visagist.data.columns import image_column, open_parquet, read_batches
from visagist.errors import VisagistError

Jpeg = Callable[..., bytes]
LABELS = [0, 1, 0, 1]
LOAD = ("from visagist.data import load_data", "load_data(f'parquet:{sys.argv[1]}', image_size=32)")
BULK = ("from pathlib import Path\nfrom visagist.bulk.samples import parquet_samples",
        "any(sample is None for sample in parquet_samples(Path(sys.argv[1]), None))")  # fmt: skip


def write(path: Path, compression: str = "zstd", **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path, compression=compression)
    return path


@pytest.mark.parametrize("cells", ["strings", "structs of paths", "structs of strings", "structs without bytes"])
def test_a_path_in_a_file_is_refused_and_its_file_is_not_read(cells: str, tmp_path: Path, jpeg: Jpeg) -> None:
    secret = tmp_path / "secret.jpg"
    secret.write_bytes(jpeg(1))
    kinds = {
        "strings": [str(secret)] * 4,
        "structs of paths": [{"path": str(secret)}] * 4,
        "structs of strings": [{"bytes": str(secret), "path": str(secret)}] * 4,
        "structs without bytes": [{"bytes": None, "path": str(secret)}] * 4,
    }
    path = write(tmp_path / "x.parquet", image=kinds[cells], Smiling=LABELS)
    with pytest.raises(VisagistError, match=r"'image' of .*x\.parquet holds paths, not pictures: write the pictures' own"):
        load_data(f"parquet:{path}", image_size=32)
    with pytest.raises(VisagistError, match="holds paths, not pictures"):
        list(parquet_samples(path, "image"))


def test_rows_of_paths_alone_are_refused_in_a_column_of_bytes_too(tmp_path: Path, jpeg: Jpeg) -> None:
    (tmp_path / "secret.jpg").write_bytes(jpeg(1))
    cells = pa.array([{"bytes": None, "path": str(tmp_path / "secret.jpg")}] * 4, LAYOUT)
    path = write(tmp_path / "x.parquet", image=cells, Smiling=LABELS)
    with pytest.raises(VisagistError, match="holds paths, not pictures"):
        load_data(f"parquet:{path}", image_size=32)
    assert [sample.picture for sample in parquet_samples(path, None)] == [None] * 4


def test_training_and_bulk_editing_take_the_same_column(tmp_path: Path, jpeg: Jpeg) -> None:
    first, second = [jpeg(i) for i in range(4)], [jpeg(i) for i in range(4, 8)]
    path = write(tmp_path / "x.parquet", mask=first, image=second, Smiling=LABELS)
    alone = write(tmp_path / "alone.parquet", image=second, Smiling=LABELS)
    taken = load_data(f"parquet:{path}", image_size=32)
    np.testing.assert_array_equal(taken.images, load_data(f"parquet:{alone}", image_size=32).images)
    assert [sample.picture for sample in parquet_samples(path, None)] == second


@pytest.mark.parametrize(
    ("fields", "asked", "taken"),
    [
        ({"a": pa.binary(), "image": LAYOUT}, None, "image"),
        ({"a": pa.binary(), "b": LAYOUT}, None, "a"),
        ({"a": pa.binary(), "image": pa.string()}, None, "a"),
        ({"a": pa.large_binary(), "image": LAYOUT}, "a", "a"),
    ],
)
def test_the_picture_is_the_asked_for_column_else_image_else_the_first_with_bytes(
    fields: dict[str, pa.DataType], asked: str | None, taken: str
) -> None:
    assert image_column(pa.schema(list(fields.items())), asked, Path("x.parquet")) == taken


@pytest.mark.parametrize(
    ("names", "asked", "said"),
    [
        (["id"], None, "has no column of images"),
        (["id"], "id", "has no images in a column 'id'"),
        (["id", "id"], None, "has two columns 'id'"),
    ],
)
def test_a_file_without_one_such_column_is_one_clear_line(names: list[str], asked: str | None, said: str) -> None:
    with pytest.raises(VisagistError, match=said):
        image_column(pa.schema([(name, pa.int64()) for name in names]), asked, Path("x.parquet"))


def test_labels_of_a_categorical_column_are_read(tmp_path: Path, jpeg: Jpeg) -> None:
    words = pa.array(["1", "-1", "1", "-1"]).dictionary_encode()
    path = write(tmp_path / "x.parquet", image=[jpeg(i) for i in range(4)], Smiling=words)
    faces = load_data(f"parquet:{path}", image_size=32)
    assert faces.names == ("Smiling",)
    assert sorted(faces.labels[:, 0].tolist()) == [0, 0, 1, 1]


def test_a_column_that_cannot_be_read_is_named(tmp_path: Path, jpeg: Jpeg) -> None:
    path = write(tmp_path / "x.parquet", image=[jpeg(i) for i in range(4)], Hat=LABELS, Smiling=LABELS)
    chunk = pq.read_metadata(path).row_group(0).column(2)
    data = bytearray(path.read_bytes())
    start = chunk.dictionary_page_offset
    data[start : start + chunk.total_compressed_size] = bytes(chunk.total_compressed_size)
    path.write_bytes(bytes(data))
    with pytest.raises(VisagistError, match=r"cannot read the column 'Smiling' of .*x\.parquet as parquet"):
        load_data(f"parquet:{path}", image_size=32)
    with pytest.raises(VisagistError, match=r"cannot read the column 'Smiling' of .*x\.parquet as parquet"):
        list(parquet_samples(path, None))


@pytest.mark.parametrize("work", [LOAD, BULK], ids=["load_data", "bulk"])
def test_a_small_file_of_large_pictures_takes_little_memory(work: tuple[str, str], tmp_path: Path) -> None:
    zeros = pa.DictionaryArray.from_arrays([0] * 23, [bytes(30 << 20)])  # written as it is, each value once
    path = tmp_path / "zeros.parquet"
    table = pa.table({"image": zeros, "Smiling": LABELS * 5 + LABELS[:3]})
    pq.write_table(table, path, compression="zstd", store_schema=False)
    assert path.stat().st_size < 8000
    mebibytes, said = peak(*work, path)
    assert mebibytes < 500
    assert ("not an image" in said) == (work is LOAD)


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_a_column_that_unpacks_to_more_than_pictures_do_is_refused(use_dictionary: bool, tmp_path: Path) -> None:
    half = np.zeros(150 << 20, np.uint8).tobytes()
    other = half[:-1] + b"1"
    path = tmp_path / "x.parquet"
    table = pa.table({"image": [half, other], "Smiling": [0, 1]})
    pq.write_table(table, path, compression="zstd", use_dictionary=use_dictionary)
    with pytest.raises(VisagistError, match=r"'image' of .*x\.parquet unpacks from .* KiB to 300 MiB, more than 256"):
        load_data(f"parquet:{path}", image_size=32)
    with pytest.raises(VisagistError, match="unpacks from"):
        list(parquet_samples(path, None))


def test_rows_are_read_a_hundred_at_a_time_where_they_are_small(tmp_path: Path, jpeg: Jpeg) -> None:
    path = write(tmp_path / "x.parquet", image=[jpeg(1)] * 250)
    with open_parquet(path) as file:
        assert [len(batch) for batch in read_batches(file, path)] == [100, 100, 50]


def test_long_texts_beside_the_pictures_are_no_labels_and_take_little_memory(tmp_path: Path, jpeg: Jpeg) -> None:
    texts = pa.DictionaryArray.from_arrays([0] * 24, ["x" * (60 << 20)])
    path = tmp_path / "x.parquet"
    columns = {"image": [jpeg(i % 3) for i in range(24)], "Smiling": [0, 1] * 12, "caption": texts}
    pq.write_table(pa.table(columns), path, compression="zstd", store_schema=False)
    mebibytes, said = peak(*LOAD, path)
    assert (mebibytes < 500, said) == (True, "")
    named = write(tmp_path / "y.parquet", image=[jpeg(1)] * 2, Smiling=[0, 1], split=["train", "x" * 2000])
    with pytest.raises(VisagistError, match=r"'split' of .* holds texts of more than 1000 bytes"):
        load_data(f"parquet:{named}", image_size=32)
