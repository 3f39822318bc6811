from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from visagist.data import load_data
from visagist.errors import VisagistError

Jpeg = Callable[..., bytes]


@pytest.fixture
def write(tmp_path: Path, jpeg: Jpeg) -> Callable[..., Path]:
    def write_parquet(name: str, number: int = 6, seed: int = 0, **columns: list[Any]) -> Path:
        images = [{"bytes": jpeg(seed + i, (60, 80)), "path": f"{i:06d}.jpg"} for i in range(number)]
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"image": images, **columns}), path, row_group_size=4)
        return path

    return write_parquet


def test_boolean_and_integer_columns_are_labels_and_the_file_name_is_the_split(write: Callable[..., Path]) -> None:
    for split, number in (("train", 6), ("validation", 2), ("test", 3)):
        smiles = [i % 2 == 0 for i in range(number)]
        hats = [1 if i % 2 else -1 for i in range(number)]
        write(f"{split}-00000-of-00001.parquet", number, Smiling=smiles, Hat=hats, celeb_id=list(range(number)))
    folder = write("train-00000-of-00001.parquet", 6, Smiling=[True] * 6, Hat=[1] * 6, celeb_id=[9] * 6).parent
    faces = load_data(f"parquet:{folder}/*.parquet", image_size=32)
    assert faces.names == ("Smiling", "Hat")
    assert faces.manifest["counts"] == {"train": 6, "val": 2, "test": 3}
    assert faces.identity is not None
    assert (faces.identity[:6] == 9).all()
    validation = load_data(f"parquet:{folder}", image_size=32, split="val")
    assert validation.files == ("validation-00000-of-00001.parquet#0", "validation-00000-of-00001.parquet#1")
    assert validation.labels.tolist() == [[1, 0], [0, 1]]


def test_pictures_and_labels_stay_together_where_rows_are_left_out(write: Callable[..., Path], jpeg: Jpeg) -> None:
    path = write("faces.parquet", 9, split=["train", "test", "val"] * 3, Smiling=[0, 1, None, 0, 1, 0, 1, 1, 0])
    table = pq.read_table(path)
    images = table["image"].to_pylist()
    images[4]["bytes"] = None
    images[5]["bytes"] = b"text"
    pq.write_table(table.set_column(0, "image", pa.array(images)), path)
    faces = load_data(f"parquet:{path}", image_size=32)
    assert [int(name.split("#")[1]) for name in faces.files] == [0, 1, 3, 6, 7, 8]
    assert faces.labels[:, 0].tolist() == [0, 1, 0, 1, 1, 0]
    assert faces.split.tolist() == [0, 2, 0, 0, 2, 1]
    assert faces.manifest["skipped"]["reasons"] == {"not an image": 2, "unlabelled": 1}
    test = load_data(f"parquet:{path}", image_size=32, split="test")
    np.testing.assert_array_equal(test.images, faces.images[[1, 4]])


def test_other_columns_are_left_out_by_name(write: Callable[..., Path]) -> None:
    path = write("x.parquet", 3, Smiling=[0, 1, 1], age=[31, 44, 5], caption=["a", "b", "c"], box=[[1, 2]] * 3)
    faces = load_data(f"parquet:{path}", image_size=32)
    assert faces.names == ("Smiling",)
    assert faces.manifest["facts"]["columns_left_out"] == ["age", "caption", "box"]


def test_files_of_one_name_in_folders_of_splits_are_told_apart(write: Callable[..., Path]) -> None:
    write("train/0000.parquet", 4, Smiling=[0, 1, 0, 1])
    root = write("test/0000.parquet", 2, seed=9, Smiling=[1, 1]).parents[1]
    faces = load_data(f"parquet:{root}", image_size=32)
    assert faces.files[-1] == "test/0000.parquet#1"
    assert faces.split.tolist() == [0, 0, 0, 0, 2, 2]


def test_a_wrong_file_is_one_clear_line(write: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="no parquet file matches"):
        load_data(f"parquet:{tmp_path}/*.parquet")
    (tmp_path / "text.parquet").write_text("not parquet at all")
    with pytest.raises(VisagistError, match=r"cannot read .*text\.parquet as parquet"):
        load_data(f"parquet:{tmp_path / 'text.parquet'}")
    pq.write_table(pa.table({"Smiling": [0, 1]}), tmp_path / "bare.parquet")
    with pytest.raises(VisagistError, match="no column of images"):
        load_data(f"parquet:{tmp_path / 'bare.parquet'}")
    with pytest.raises(VisagistError, match="has no attribute"):
        load_data(f"parquet:{write('unlabelled.parquet')}")
    write("set/a.parquet", 2, Smiling=[0, 1])
    with pytest.raises(VisagistError, match=r"b\.parquet has no column 'Smiling'"):
        load_data(f"parquet:{write('set/b.parquet', 2, Hat=[0, 1]).parent}")


def test_a_file_damaged_inside_is_named_and_leaves_nothing(write: Callable[..., Path], cache: Path) -> None:
    path = write("x.parquet", 6, Smiling=[0, 1] * 3)
    data = bytearray(path.read_bytes())
    data[4:200] = bytes(196)
    path.write_bytes(bytes(data))
    with pytest.raises(VisagistError, match=r"cannot read .*x\.parquet as parquet"):
        load_data(f"parquet:{path}", image_size=32)
    assert not list(cache.iterdir())
