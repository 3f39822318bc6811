"""Tables of labels as people and programs write them, and the layouts of known data sets."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visagist.data import load_data
from visagist.errors import VisagistError

NUMBER = 12


@pytest.fixture(autouse=True)
def own_cache_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "cache"))


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (20, 20, 3), np.uint8)).save(path)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for i in range(NUMBER):
        draw(tmp_path / "photos" / f"p{i}.png", i)
    return tmp_path / "photos"


def labels(folder: Path) -> dict[str, int]:
    faces = load_data(f"folder:{folder}", image_size=16)
    assert faces.names == ("Hat",)
    return {file: int(label) for file, label in zip(faces.files, faces.column("Hat"))}


EXPECTED = {f"p{i}.png": i % 2 for i in range(NUMBER)}


SPELLINGS = ["0 1", "0 +1", "-1 +1", "-1.0 +1.0", "no yes", "False True", "0,0 1,0", "n Y", "−1 1", "f t", "off on"]


@pytest.mark.parametrize("words", SPELLINGS)
def test_labels_are_read_however_they_are_spelled(photos: Path, words: str) -> None:
    said = words.split()
    (photos / "labels.csv").write_text("\n".join(["file;Hat", *(f"p{i}.png;{said[i % 2]}" for i in range(NUMBER))]))
    assert labels(photos) == EXPECTED


NAMES: dict[str, Callable[[int, Path], str]] = {
    "dotted": lambda i, _: f"./p{i}.png",
    "whole path": lambda i, folder: str(folder / f"p{i}.png"),
    "of another machine": lambda i, _: f"C:\\Users\\anna\\photos\\p{i}.png",
    "stem": lambda i, _: f"p{i}",
    "upper case": lambda i, _: f"P{i}.PNG",
}


@pytest.mark.parametrize("how", NAMES)
def test_pictures_are_found_however_they_are_named(photos: Path, how: str) -> None:
    rows = [f"{NAMES[how](i, photos)},{i % 2}" for i in range(NUMBER)]
    (photos / "labels.csv").write_text("\n".join(["file,Hat", *rows]))
    assert labels(photos) == EXPECTED


def test_names_are_the_same_in_both_forms_of_their_characters(tmp_path: Path) -> None:
    draw(tmp_path / "photos" / unicodedata.normalize("NFD", "zoë.png"))
    draw(tmp_path / "photos" / "b.png", 1)
    (tmp_path / "photos" / "labels.csv").write_text(f"file,Hat\n{unicodedata.normalize('NFC', 'zoë.png')},1\nb.png,0\n")
    assert set(labels(tmp_path / "photos").values()) == {0, 1}


def test_a_name_that_may_mean_two_pictures_means_none(photos: Path) -> None:
    draw(photos / "P0.png", 50)
    draw(photos / "trip" / "p1.png", 51)
    rows = ["p0.PNG,1", "p1.png,1", "p2.png,0", "../p3.png,1"]
    (photos / "labels.csv").write_text("\n".join(["file,Hat", *rows]))
    assert labels(photos) == {"p1.png": 1, "p2.png": 0}


@pytest.mark.parametrize("header", [",file,Hat", "Unnamed: 0,file,Hat", "Hat,file", "id,picture,Hat"])
def test_row_numbers_and_the_order_of_columns_are_no_trouble(photos: Path, header: str) -> None:
    names = {i: f"p{i}.png" for i in range(NUMBER)}
    cells = [{"": i, "Unnamed: 0": i, "id": 9 + i, "file": n, "picture": n, "Hat": i % 2} for i, n in names.items()]
    rows = [",".join(str(row[name]) for name in header.split(",")) for row in cells]
    (photos / "labels.csv").write_text("\n".join([header, *rows]))
    assert labels(photos) == EXPECTED


def test_row_numbers_are_not_taken_for_pictures_that_are_called_so(tmp_path: Path) -> None:
    for i in range(4):
        draw(tmp_path / "photos" / f"{i}.png", i)
    (tmp_path / "photos" / "labels.csv").write_text(",file,Hat\n0,3.png,1\n1,2.png,0\n2,1.png,0\n3,0.png,0\n")
    assert labels(tmp_path / "photos") == {"3.png": 1, "2.png": 0, "1.png": 0, "0.png": 0}


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_a_table_of_a_spreadsheet_is_read(photos: Path, encoding: str) -> None:
    rows = "\r\n".join(["file\tHat", *(f"p{i}.png\t{i % 2}" for i in range(NUMBER))])
    (photos / "labels.csv").write_bytes(rows.encode(encoding))
    assert labels(photos) == EXPECTED


def test_another_encoding_is_refused_with_what_to_do(photos: Path) -> None:
    (photos / "labels.csv").write_bytes("file,Hat\nzoë.png,1\n".encode("cp1252"))
    with pytest.raises(VisagistError, match="save it as UTF-8"):
        labels(photos)
    (photos / "labels.csv").write_text("file,Hat\nq1.png,1\nq2.png,0\n")
    with pytest.raises(VisagistError, match=r"none of the 2 files that .* names \('q1.png', 'q2.png', …\)"):
        labels(photos)


def test_the_hubs_metadata_is_read_of_one_folder_and_of_a_folder_a_split(photos: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"file_name": f"p{i}.png", "Hat": bool(i % 2), "text": "somebody"}) for i in range(NUMBER)]
    (photos / "metadata.jsonl").write_text("\n".join(lines))
    assert labels(photos) == EXPECTED
    hub = tmp_path / "hub"
    for split, numbers in {"train": range(6), "validation": range(6, 9), "test": range(9, NUMBER)}.items():
        for i in numbers:
            draw(hub / split / f"p{i}.png", i)
        (hub / split / "metadata.jsonl").write_text("\n".join(lines[i] for i in numbers))
    faces = load_data(f"folder:{hub}", image_size=16)
    assert faces.manifest["counts"] == {"train": 6, "val": 3, "test": 3}
    assert {Path(file).name: int(label) for file, label in zip(faces.files, faces.column("Hat"))} == EXPECTED


@pytest.mark.parametrize(("text", "told"), [("{", "line 1"), ("[1]", "no object"), ('{"name": "a"}', "no file_name")])
def test_damaged_metadata_is_told_of_in_one_line(photos: Path, text: str, told: str) -> None:
    (photos / "metadata.jsonl").write_text(text)
    with pytest.raises(VisagistError, match=told):
        labels(photos)


def test_celebamask_hq_is_read_as_it_is_distributed(tmp_path: Path) -> None:
    hq = tmp_path / "CelebAMask-HQ"
    for i in range(6):
        draw(hq / "CelebA-HQ-img" / f"{i}.jpg", i)
    rows = [f"{i}.jpg {'1' if i % 2 else '-1'}  -1" for i in range(8)]
    (hq / "CelebAMask-HQ-attribute-anno.txt").write_text("\n".join(["8", "Smiling Bald", *rows]) + "\n")
    faces = load_data(f"folder:{hq}", image_size=16)
    assert {f: int(v) for f, v in zip(faces.files, faces.column("Smiling"))} == {f"{i}.jpg": i % 2 for i in range(6)}
    assert faces.manifest["source"] == "celebamask-hq:CelebAMask-HQ"
    mapping = [f"{i} {100 + i} 000{100 + i}.jpg" for i in range(8)]
    (hq / "CelebA-HQ-to-CelebA-mapping.txt").write_text("\n".join(["idx orig_idx orig_file", *mapping]))
    (hq / "list_eval_partition.txt").write_text("\n".join(f"000{100 + i}.jpg {i % 3}" for i in range(8)))
    assert load_data(f"folder:{hq}", image_size=16).manifest["counts"] == {"train": 2, "val": 2, "test": 2}


def test_ffhq_is_read_as_it_is_distributed(tmp_path: Path) -> None:
    ffhq, entries = tmp_path / "ffhq", {}
    for i in range(6):
        name = f"thumbnails128x128/00000/0000{i}.png"
        if i < 5:
            draw(ffhq / name, i)
        category = "training" if i < 3 else "validation"
        entries[str(i)] = {"category": category, "thumbnail": {"file_path": name}, "image": {"file_path": "elsewhere"}}
    (ffhq / "ffhq-dataset-v2.json").write_text(json.dumps(entries))
    faces = load_data(f"folder:{ffhq}", image_size=16)
    assert (len(faces), faces.names) == (5, ())
    assert faces.manifest["counts"]["test"] == 2
    assert faces.manifest["facts"]["named_but_absent"] == 1
