from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from photo_seeds import seeds
from PIL import Image

from visagist.data import load_data, require_both_classes
from visagist.errors import VisagistError
from visagist.photos.formats import BY_SUFFIX, READABLE

Jpeg = Callable[..., bytes]


@pytest.fixture
def pictures(tmp_path: Path, jpeg: Jpeg) -> Path:
    folder = tmp_path / "mine"
    folder.mkdir()
    for i in range(12):
        (folder / f"p{i:02d}.jpg").write_bytes(jpeg(i, (100 + 10 * i, 140)))
    return folder


def _write_csv(folder: Path, header: str, rows: list[str], name: str = "labels.csv") -> None:
    (folder / name).write_text("\n".join([header, *rows]) + "\n")


@pytest.mark.parametrize(("absent", "present"), [("0", "1"), ("-1", "1"), ("False", "True")])
def test_a_csv_may_say_labels_in_three_ways(pictures: Path, absent: str, present: str) -> None:
    rows = [f"p{i:02d}.jpg,{present if i % 2 else absent},{present}" for i in range(12)]
    _write_csv(pictures, "file,Smiling,Bearded", rows)
    faces = load_data(f"folder:{pictures}", image_size=32)
    assert faces.names == ("Smiling", "Bearded")
    assert {f: int(v) for f, v in zip(faces.files, faces.column("Smiling"))} == {f"p{i:02d}.jpg": i % 2 for i in range(12)}


def test_split_and_identity_columns_are_taken_as_said_and_other_columns_left_out_by_name(pictures: Path) -> None:
    rows = [f"p{i:02d}.jpg;{i % 2};{('train', 'val', 'test')[i % 3]};anna{i % 4};{20 + i};hello" for i in range(12)]
    _write_csv(pictures, "file;Smiling;split;identity;age;caption", rows)
    faces = load_data(f"folder:{pictures}", image_size=32)
    assert faces.manifest["counts"] == {"train": 4, "val": 4, "test": 4}
    assert faces.identity is not None
    assert faces.identity[faces.files.index("p05.jpg")] == 1
    assert faces.manifest["facts"]["columns_left_out"] == ["age", "caption"]
    assert len(load_data(f"folder:{pictures}", image_size=32, split="val")) == 4


def test_identities_of_more_digits_than_a_number_holds_are_names(pictures: Path) -> None:
    rows = [f"p{i:02d}.jpg,{i % 2},{'9' * 400 if i % 2 else '7'}" for i in range(12)]
    _write_csv(pictures, "file,Smiling,identity", rows)
    faces = load_data(f"folder:{pictures}", image_size=32)
    assert faces.identity is not None
    assert dict(zip(faces.files, faces.identity.tolist())) == {f"p{i:02d}.jpg": i % 2 for i in range(12)}


def test_without_a_split_column_nobody_is_in_two_splits_and_the_split_never_changes(tmp_path: Path, jpeg: Jpeg) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    picture = jpeg(0, (20, 20))
    for i in range(300):
        (folder / f"{i}.jpg").write_bytes(picture)
    _write_csv(folder, "file,Smiling,identity", [f"{i}.jpg,{i % 2},{i // 3}" for i in range(300)])
    faces = load_data(f"folder:{folder}", image_size=8)
    assert faces.identity is not None
    people = [set(faces.identity[faces.split == s].tolist()) for s in range(3)]
    assert sum(map(len, people)) == len(set.union(*people)) == 100
    assert 0.65 < len(people[0]) / 100 < 0.95
    by_file = dict(zip(faces.files, faces.split.tolist()))
    _write_csv(folder, "file,Smiling,identity", [f"{i}.jpg,{i % 2},{i // 3}" for i in range(200)])
    fewer = load_data(f"folder:{folder}", image_size=8)
    assert len(fewer) == 200
    assert all(by_file[file] == split for file, split in zip(fewer.files, fewer.split.tolist()))


def test_one_sub_folder_a_class_gives_one_attribute_a_class(tmp_path: Path, jpeg: Jpeg) -> None:
    for i, name in enumerate(("angry", "happy", "sad")):
        (tmp_path / name).mkdir()
        for k in range(3):
            (tmp_path / name / f"{k}.png").write_bytes(jpeg(3 * i + k, (40, 40)))
    faces = load_data(f"folder:{tmp_path}", image_size=16)
    assert faces.names == ("angry", "happy", "sad")
    assert (faces.labels.sum(axis=1) == 1).all()
    assert faces.labels[faces.files.index("happy/1.png")].tolist() == [0, 1, 0]


def test_two_classes_name_and_not_name_are_one_attribute(tmp_path: Path, jpeg: Jpeg) -> None:
    for part in ("train", "test"):
        for name in ("Smiling", "not_Smiling"):
            (tmp_path / part / name).mkdir(parents=True)
            (tmp_path / part / name / "a.jpg").write_bytes(jpeg(len(name), (40, 40)))
    faces = load_data(f"folder:{tmp_path}", image_size=16)
    assert faces.names == ("Smiling",)
    assert faces.manifest["counts"] == {"train": 2, "val": 0, "test": 2}
    assert faces.labels[faces.files.index("test/Smiling/a.jpg")] == 1
    assert faces.labels[faces.files.index("test/not_Smiling/a.jpg")] == 0


def test_a_picture_moved_to_the_other_class_changes_its_label(tmp_path: Path, jpeg: Jpeg) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for k in range(2):
            (tmp_path / name / f"{name}{k}.jpg").write_bytes(jpeg(k, (30, 30)))
    assert load_data(f"folder:{tmp_path}", image_size=16).column("a").sum() == 2
    (tmp_path / "a" / "a0.jpg").rename(tmp_path / "b" / "a0.jpg")
    assert load_data(f"folder:{tmp_path}", image_size=16).column("a").sum() == 1


def test_exif_orientation_is_respected_and_the_crop_is_the_centre_square(tmp_path: Path) -> None:
    pixels = np.zeros((60, 100, 3), dtype=np.uint8)
    pixels[:, 50:] = 255
    upright = Image.fromarray(pixels)
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned a quarter clockwise
    for name, picture, extra in (("up.png", upright, None), ("turned.png", upright.rotate(90, expand=True), exif)):
        picture.save(tmp_path / name, exif=extra)
    _write_csv(tmp_path, "file,A,split", ["up.png,1,train", "turned.png,0,train"])
    faces = load_data(f"folder:{tmp_path}", image_size=20)
    np.testing.assert_array_equal(faces.images[0], faces.images[1])
    assert faces.images[0, :, :8].max() < 30
    assert faces.images[0, :, 12:].min() > 225


def test_pictures_with_alpha_palette_and_grey_are_read_and_sixteen_bits_are_named(tmp_path: Path) -> None:
    grey = Image.fromarray(np.full((30, 30), 128, dtype=np.uint8))
    grey.save(tmp_path / "grey.png")
    grey.convert("RGBA").save(tmp_path / "alpha.png")
    grey.convert("P").save(tmp_path / "palette.png", transparency=b"\x00\x80")
    Image.fromarray(np.full((30, 30), 40000, dtype=np.uint16)).save(tmp_path / "deep.png")
    names = ("grey", "alpha", "palette", "deep")
    _write_csv(tmp_path, "file,A,split", [f"{name}.png,{i % 2},train" for i, name in enumerate(names)])
    faces = load_data(f"folder:{tmp_path}", image_size=16)
    assert (np.abs(faces.images.astype(int) - 128) <= 1).all()
    assert faces.manifest["skipped"]["first"] == [["deep.png", "pixels of mode I;16, not 8 bits a channel"]]


def test_bad_pictures_are_each_named_with_the_reason_and_skipped(
    pictures: Path, jpeg: Jpeg, caplog: pytest.LogCaptureFixture
) -> None:
    (pictures / "p00.jpg").write_text("this is a text file")
    (pictures / "p01.jpg").write_bytes(jpeg(1, (120, 140))[:-200])
    (pictures / "p02.jpg").write_bytes(b"")
    (pictures / "p03.jpg").unlink()
    (pictures / "notes.txt").write_text("no picture")
    (pictures / "extra.jpg").write_bytes(jpeg(50))
    rows = [f"p{i:02d}.jpg,{i % 2}" for i in range(11)] + ["p11.jpg,"]
    _write_csv(pictures, "file,Smiling", rows)
    faces = load_data(f"folder:{pictures}", image_size=32)
    reasons = dict(faces.manifest["skipped"]["first"])
    assert len(faces) == 7
    assert reasons.keys() == {"p00.jpg", "p01.jpg", "p02.jpg", "p03.jpg", "p11.jpg", "extra.jpg"}
    assert reasons["p00.jpg"] == reasons["p02.jpg"] == "not an image"
    assert "truncated" in reasons["p01.jpg"]
    assert reasons["p03.jpg"] == "missing"
    assert reasons["p11.jpg"] == "unlabelled: Smiling is neither 0/1 nor −1/1"
    assert reasons["extra.jpg"] == "unlabelled: no row in labels.csv"
    assert faces.manifest["skipped"]["count"] == 6
    assert "skipped 6 bad pictures in folder:mine" in caplog.text
    with pytest.raises(VisagistError, match=r"6 bad pictures in folder:mine: .*on_bad=skip"):
        load_data(f"folder:{pictures}", image_size=32, on_bad="refuse")


def test_refusing_stops_at_the_first_bad_picture_and_leaves_nothing(pictures: Path, cache: Path) -> None:
    _write_csv(pictures, "file,Smiling", [f"p{i:02d}.jpg,{i % 2}" for i in range(12)])
    (pictures / "p04.jpg").write_bytes(b"\xff\xd8 broken")
    with pytest.raises(VisagistError, match=r"1 bad picture in folder:mine: p04\.jpg \(not an image\)"):
        load_data(f"folder:{pictures}", image_size=32, on_bad="refuse")
    assert not list(cache.iterdir())


def test_truncated_pictures_are_bad_even_where_another_library_made_pillow_lenient(
    pictures: Path, jpeg: Jpeg, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("PIL.ImageFile.LOAD_TRUNCATED_IMAGES", True)
    _write_csv(pictures, "file,Smiling", [f"p{i:02d}.jpg,{i % 2}" for i in range(12)])
    (pictures / "p04.jpg").write_bytes(jpeg(4, (140, 140))[:-300])
    assert load_data(f"folder:{pictures}", image_size=32).manifest["skipped"]["count"] == 1


def test_a_picture_of_a_hundred_million_pixels_is_bad_and_not_a_warning(pictures: Path) -> None:
    Image.new("1", (10_000, 10_000)).save(pictures / "bomb.png")
    _write_csv(pictures, "file,Smiling", ["p00.jpg,1", "p01.jpg,0", "bomb.png,0"])
    (bomb,) = (b for b in load_data(f"folder:{pictures}", image_size=16).manifest["skipped"]["first"] if "bomb" in b[0])
    assert "exceeds limit" in bomb[1]


def test_a_name_outside_the_folder_is_missing(pictures: Path, jpeg: Jpeg) -> None:
    (pictures.parent / "secret.jpg").write_bytes(jpeg(0))
    _write_csv(pictures, "file,Smiling", ["p00.jpg,1", "p01.jpg,0", "../secret.jpg,1"])
    assert ["../secret.jpg", "missing"] in load_data(f"folder:{pictures}", image_size=32).manifest["skipped"]["first"]


@pytest.mark.parametrize(
    ("header", "rows", "message"),
    [
        ("file", ["p00.jpg"], "has no attribute"),
        ("p01.jpg,1", ["p00.jpg,0"], "has no header"),
        ("file,caption", ["p00.jpg,hello"], "has no attribute"),
        ("file,A,A", ["p00.jpg,1,0"], "names a column twice"),
        ("file,A", ["p00.jpg,1,0"], "Expected 2 columns, got 3"),
        ("file,A", ["p00.jpg,1", "p00.jpg,0"], r"two rows for 'p00\.jpg'"),
        ("file,A", ["p00.jpg,0", "p01.jpg,-1"], "holds 0 and −1 both"),
        ("file,A,split", ["p00.jpg,1,holdout"], "split 'holdout' in .* is not one of train, val, test"),
        ("file,A", ["q.jpg,1"], "none of the 1 files"),
        ("", [], "is empty"),
    ],
)
def test_a_wrong_csv_is_one_clear_line(pictures: Path, header: str, rows: list[str], message: str) -> None:
    _write_csv(pictures, header, rows)
    with pytest.raises(VisagistError, match=message) as raised:
        load_data(f"folder:{pictures}", image_size=32)
    assert "\n" not in str(raised.value)


def test_a_folder_that_cannot_be_data_is_one_clear_line(tmp_path: Path, pictures: Path, jpeg: Jpeg) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(VisagistError, match="is empty: put pictures there"):
        load_data(f"folder:{tmp_path / 'empty'}")
    with pytest.raises(VisagistError, match="no folder"):
        load_data(f"folder:{tmp_path / 'nowhere'}")
    with pytest.raises(VisagistError, match="no file"):
        load_data(f"folder:{tmp_path / 'nowhere.csv'}")
    with pytest.raises(VisagistError, match="has no labelled picture"):
        load_data(f"folder:{pictures}")
    (tmp_path / "one" / "smile").mkdir(parents=True)
    (tmp_path / "one" / "smile" / "a.jpg").write_bytes(jpeg(0))
    with pytest.raises(VisagistError, match="only one class, smile"):
        load_data(f"folder:{tmp_path / 'one'}")
    _write_csv(pictures, "file,A", ["p00.jpg,1"], "a.csv")
    _write_csv(pictures, "file,A", ["p00.jpg,1"], "b.csv")
    with pytest.raises(VisagistError, match=r"2 CSV files \(a\.csv, b\.csv\): name one"):
        load_data(f"folder:{pictures}")
    assert len(load_data(f"folder:{pictures / 'b.csv'}", image_size=32)) == 1


def test_a_folder_of_nothing_but_bad_pictures_names_them(pictures: Path) -> None:
    for file in pictures.iterdir():
        file.write_text("text")
    _write_csv(pictures, "file,Smiling", [f"p{i:02d}.jpg,{i % 2}" for i in range(12)])
    with pytest.raises(VisagistError, match=r"no usable picture: 12 bad pictures in folder:mine: p.*not an image.*…"):
        load_data(f"folder:{pictures}")


def test_one_class_only_is_refused_where_two_are_needed(pictures: Path) -> None:
    _write_csv(pictures, "file,Smiling,Bald", [f"p{i:02d}.jpg,1,{i % 2}" for i in range(12)])
    faces = load_data(f"folder:{pictures}", image_size=32)
    require_both_classes(faces, ["Bald"])
    with pytest.raises(VisagistError, match="all 12 faces have Smiling"):
        require_both_classes(faces)


def test_a_folder_is_read_in_every_format_that_photographs_are_edited_in(tmp_path: Path) -> None:
    written = {
        "heic": "heic",
        "avif": "avif",
        "jpeg 2000": "jp2",
        "jpeg": "jfif",
        "webp": "webp",
        "gif": "gif",
        "bmp": "bmp",
    }
    written |= {"tiff": "tif", "png": "png"}
    for name, suffix in written.items():
        (tmp_path / f"{suffix}.{suffix}").write_bytes(seeds()[name][0])
    assert {BY_SUFFIX[path.suffix] for path in tmp_path.iterdir()} == set(READABLE)
    (tmp_path / "broken.heic").write_bytes(seeds()["heic"][0][:200])
    (tmp_path / "broken.avif").write_bytes(b"no picture")
    names = [path.name for path in sorted(tmp_path.iterdir())]
    _write_csv(tmp_path, "file,Smiling", [f"{name},{i % 2}" for i, name in enumerate(names)])
    faces = load_data(f"folder:{tmp_path}", image_size=16)
    assert sorted(faces.files) == sorted(set(names) - {"broken.heic", "broken.avif"})
    reasons = dict(faces.manifest["skipped"]["first"])
    assert reasons["broken.avif"] == "not an image"
    assert reasons["broken.heic"]


def test_a_picture_whose_reader_is_not_installed_is_bad_and_the_reason_names_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(seeds()["heic"][0])
    for i in range(2):
        (tmp_path / f"b{i}.png").write_bytes(seeds()["png"][0])
    _write_csv(tmp_path, "file,Smiling", ["a.heic,1", "b0.png,0", "b1.png,1"])
    ((name, reason),) = load_data(f"folder:{tmp_path}", image_size=16).manifest["skipped"]["first"]
    assert name == "a.heic"
    assert "pip install visagist[heic]" in reason
