"""LFW, CelebA-HQ, CelebAMask-HQ and FFHQ by their names, in miniature, and what is wrong with copies of the known sets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from visagist import VisagistError, load_data
from visagist.data.inspection import inspect_data

Jpeg = Callable[..., bytes]
PEOPLE = {"Ann_Veneman": 3, "Bo_Li": 1, "Abel_Pacheco": 2, "Cy_Dee": 2}


@pytest.fixture
def lfw(tmp_path: Path, jpeg: Jpeg) -> Path:
    """A folder above `lfw-deepfunneled`, with attributes of all pictures but one and one more."""
    rows = ["#\tscores of classifiers", "#\tperson\timagenum\tMale\tBlack Hair\tRosy Cheeks"]
    for person, number in PEOPLE.items():
        for i in range(1, number + 1):
            file = tmp_path / "lfw-deepfunneled" / person / f"{person}_{i:04d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(jpeg(len(rows), size=(40, 40)))
            if (person, i) != ("Cy_Dee", 2):
                rows.append(f"{person.replace('_', ' ')}\t{i}\t{0.5 if person == 'Bo_Li' else -1.25}\t{i - 1.5}\t0.0")
    rows.append("Nobody There\t1\t1\t1\t1")
    (tmp_path / "lfw_attributes.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_lfw_is_read_by_people_with_the_signs_of_its_attributes(lfw: Path) -> None:
    faces = load_data(f"lfw:{lfw}", image_size=16)
    assert faces.names == ("Male", "Black_Hair", "Rosy_Cheeks")
    assert len(faces) == 7
    labels = {file: tuple(row) for file, row in zip(faces.files, faces.labels.tolist())}
    assert labels["Bo_Li/Bo_Li_0001.jpg"] == (1, 0, 0)
    assert labels["Ann_Veneman/Ann_Veneman_0002.jpg"] == (0, 1, 0)
    assert faces.identity is not None
    people = {file.split("/")[0]: person for file, person in zip(faces.files, faces.identity.tolist())}
    assert len(set(people.values())) == len(people) == 4
    assert faces.manifest["skipped"]["first"] == [["Cy_Dee/Cy_Dee_0002.jpg", "unlabelled: no row in lfw_attributes.txt"]]
    assert faces.manifest["facts"]["annotated_but_absent"] == 1
    inside = load_data(f"lfw:{lfw / 'lfw-deepfunneled'}", image_size=16)
    np.testing.assert_array_equal(inside.labels, faces.labels)


def test_lfw_takes_the_split_of_its_people_and_nobody_is_in_two(lfw: Path) -> None:
    (lfw / "peopleDevTrain.txt").write_text("3\nAnn_Veneman\t3\nBo_Li\t1\nCy_Dee\t2\n")
    (lfw / "peopleDevTest.txt").write_text("1\nAbel_Pacheco\t2\n")
    faces = load_data(f"lfw:{lfw}", image_size=16)
    tested = [file for file, split in zip(faces.files, faces.split) if split == 2]
    assert tested == ["Abel_Pacheco/Abel_Pacheco_0001.jpg", "Abel_Pacheco/Abel_Pacheco_0002.jpg"]
    (lfw / "peopleDevTest.txt").write_text("1\nSomebody_Else\t2\n")
    with pytest.raises(VisagistError, match=r"neither peopleDevTrain\.txt nor peopleDevTest\.txt names Abel_Pacheco"):
        load_data(f"lfw:{lfw}", image_size=16)
    (lfw / "peopleDevTest.txt").write_text("7\nAbel_Pacheco\t2\n")
    with pytest.raises(VisagistError, match="begins with how many people it names, and names 1"):
        load_data(f"lfw:{lfw}", image_size=16)


def test_lfw_without_attributes_has_none(lfw: Path) -> None:
    (lfw / "lfw_attributes.txt").unlink()
    faces = load_data(f"lfw:{lfw}", image_size=16)
    assert (len(faces), faces.names) == (8, ())


def test_what_is_wrong_with_a_copy_of_lfw_is_one_clear_line(lfw: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    for prepare, message in (
        (lambda: None, "empty holds no picture of LFW, such as Ann_Veneman/Ann_Veneman_0001.jpg"),
        (lambda: (empty / "lfw.tgz").write_bytes(b""), r"lfw\.tgz is not unpacked: unpack it there"),
    ):
        prepare()
        with pytest.raises(VisagistError, match=message):
            load_data(f"lfw:{empty}", image_size=16)
    with pytest.raises(VisagistError, match=r"lfw\.tgz is a file: unpack LFW's archive"):
        load_data(f"lfw:{empty / 'lfw.tgz'}", image_size=16)
    for text, message in (
        ("no head\n", "its head names person, imagenum and the attributes"),
        ("#\tperson\timagenum\tMale\nBo Li\t1\n", "line 2 of .* has 0 scores, not 1"),
        ("#\tperson\timagenum\tMale\nBo Li\tone\t1\n", "line 2 of .* is no row of scores"),
    ):
        (lfw / "lfw_attributes.txt").write_text(text)
        with pytest.raises(VisagistError, match=message):
            load_data(f"lfw:{lfw}", image_size=16)


def make_celeba_hq(folder: Path, jpeg: Jpeg, mapping: str | None) -> Path:
    """Four pictures, made of CelebA's 000010, 000020, 000030 and 000040."""
    pictures = folder / "CelebA-HQ-img"
    pictures.mkdir(parents=True)
    originals = [10, 20, 30, 40]
    for i, original in enumerate(originals):
        name = f"{original:06d}.jpg" if mapping is None else f"{i}.jpg"
        (pictures / name).write_bytes(jpeg(i, size=(64, 64)))
    if mapping is not None:
        head = "idx orig_idx orig_file" + (" proc_md5 final_md5" if mapping == "image_list.txt" else "")
        more = " a b" if mapping == "image_list.txt" else ""
        rows = [f"{i} {original - 1}   {original:06d}.jpg{more}" for i, original in enumerate(originals)]
        (folder / mapping).write_text("\n".join([head, *rows]) + "\n")
    names = [f"{original:06d}.jpg" for original in originals]
    rows = [f"{name} {(-1) ** i}  1" for i, name in enumerate(names)]
    (folder / "list_attr_celeba.txt").write_text("\n".join(["4", "Smiling Young", *rows]) + "\n")
    (folder / "list_eval_partition.txt").write_text("".join(f"{name} {split}\n" for name, split in zip(names, (2, 0, 1, 0))))
    (folder / "identity_CelebA.txt").write_text("".join(f"{name} {7 + i % 2}\n" for i, name in enumerate(names)))
    return folder


@pytest.mark.parametrize("mapping", ["CelebA-HQ-to-CelebA-mapping.txt", "image_list.txt", None])
def test_celeba_hq_has_the_labels_splits_and_people_of_celeba(tmp_path: Path, jpeg: Jpeg, mapping: str | None) -> None:
    faces = load_data(f"celeba-hq:{make_celeba_hq(tmp_path / 'hq', jpeg, mapping)}", image_size=16)
    smiling = dict(zip(faces.files, faces.labels[:, 0].tolist()))
    first, second = ("0.jpg", "1.jpg") if mapping else ("000010.jpg", "000020.jpg")
    assert (smiling[first], smiling[second]) == (1, 0)
    assert faces.split.tolist() == [0, 0, 1, 2]
    assert faces.identity is not None
    assert dict(zip(faces.files, faces.identity.tolist()))[second] == 8


def test_what_is_wrong_with_a_copy_of_celeba_hq_is_one_clear_line(tmp_path: Path, jpeg: Jpeg) -> None:
    folder = make_celeba_hq(tmp_path / "hq", jpeg, "image_list.txt")
    (folder / "CelebA-HQ-img" / "9.jpg").write_bytes(jpeg(9, size=(64, 64)))
    skipped = load_data(f"celeba-hq:{folder}", image_size=16).manifest["skipped"]["first"]
    assert skipped == [["9.jpg", "9.jpg is not in list_attr_celeba.txt"]]
    (folder / "image_list.txt").write_text("idx orig_idx orig_file\n0 x\n")
    with pytest.raises(VisagistError, match=r"image_list\.txt is damaged: its rows are a number"):
        load_data(f"celeba-hq:{folder}", image_size=16)
    (folder / "image_list.txt").unlink()
    with pytest.raises(VisagistError, match=r"such as 0\.jpg, and CelebA-HQ-to-CelebA-mapping\.txt is not there"):
        load_data(f"celeba-hq:{folder}", image_size=16)
    (folder / "list_eval_partition.txt").unlink()
    with pytest.raises(VisagistError, match=r"no list_eval_partition\.txt: put CelebA's beside the pictures"):
        load_data(f"celeba-hq:{folder}", image_size=16)


def test_sets_by_name_say_which_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "images1024x1024").mkdir()
    (tmp_path / "CelebA-HQ-img").mkdir()
    for kind, file in (("ffhq", "ffhq-dataset-v2.json"), ("celebamask-hq", "CelebAMask-HQ-attribute-anno.txt")):
        with pytest.raises(VisagistError, match=f"has no {file}: put it beside"):
            load_data(f"{kind}:{tmp_path}", image_size=16)


def test_a_check_says_how_much_of_a_known_set_is_there(lfw: Path) -> None:
    report = inspect_data(f"lfw:{lfw}", image_size=16)
    assert "LFW has 13,233 pictures, 8 are here (docs/data.md)" in report.warnings


def test_archives_of_celeba_and_cifar_that_are_not_unpacked_are_named(tmp_path: Path) -> None:
    (tmp_path / "img_align_celeba.zip").write_bytes(b"")
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    with pytest.raises(VisagistError, match=r"img_align_celeba\.zip is not unpacked"):
        load_data(f"celeba:{tmp_path}", image_size=16)
    with pytest.raises(VisagistError, match=r"cifar-10-python\.tar\.gz is not unpacked"):
        load_data(f"cifar10:{tmp_path}", image_size=16)


def test_landmarks_of_the_pictures_in_the_wild_are_refused(tmp_path: Path, make_celeba: Callable[..., Path]) -> None:
    folder = make_celeba(tmp_path / "c", 6, landmarks=True)
    file = folder / "list_landmarks_align_celeba.txt"
    rows = file.read_text().splitlines()
    moved = [" ".join([row.split()[0], *(str(int(v) + 300) for v in row.split()[1:])]) for row in rows[2:]]
    file.write_text("\n".join([*rows[:2], *moved]) + "\n")
    with pytest.raises(VisagistError, match=r"100% of the points of .* put list_landmarks_align_celeba\.txt of the aligned"):
        load_data(f"celeba:{folder}", image_size=16)
    file.write_text("\n".join([rows[0], *(" ".join(row.split()[:-1]) for row in rows[1:])]) + "\n")
    with pytest.raises(VisagistError, match="has 9 numbers a picture, not 10"):
        load_data(f"celeba:{folder}", image_size=16)
