from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visagist.data import load_data
from visagist.data.celeba import read_celeba
from visagist.errors import VisagistError


def test_the_genuine_layout_gives_labels_splits_and_identities(celeba: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=32)
    assert faces.images.shape == (20, 32, 32, 3)
    assert faces.names == ("Smiling", "Eyeglasses", "Male")
    assert faces.manifest["counts"] == {"train": 14, "val": 2, "test": 4}
    row = faces.files.index("000002.jpg")
    assert faces.labels[row].tolist() == [1, 0, 1]
    assert faces.split[row] == 2
    assert faces.identity is not None
    assert faces.identity[row] == 101


def test_the_crop_is_the_centre_resized_with_the_named_filter(celeba: Path) -> None:
    faces = load_data(f"celeba:{celeba}", image_size=64)
    with Image.open(celeba / "img_align_celeba" / faces.files[7]) as picture:
        expected = picture.crop((15, 35, 163, 183)).resize((64, 64), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(faces.images[7], np.asarray(expected))
    assert faces.manifest["crop"] == "centre148"
    assert faces.manifest["filter"] == "lanczos"


def test_another_crop_shows_other_pixels_and_is_recorded(celeba: Path) -> None:
    standard = load_data(f"celeba:{celeba}", image_size=32)
    wide = load_data(f"celeba:{celeba}", image_size=32, crop="centre178")
    assert wide.manifest["crop"] == "centre178"
    assert not np.array_equal(standard.images, wide.images)
    with pytest.raises(VisagistError, match="no crop 'center148': did you mean centre148"):
        load_data(f"celeba:{celeba}", crop="center148")


def test_landmarks_are_moved_into_the_crop(tmp_path: Path, make_celeba: Callable[..., Path]) -> None:
    faces = load_data(f"celeba:{make_celeba(tmp_path / 'c', 6, landmarks=True)}", image_size=74)
    assert faces.landmarks is not None
    assert faces.landmarks.shape == (6, 5, 2)
    # Half the scale: the centre of pixel 69 of 178 is at (69.5 − 15) / 2 of the crop.
    np.testing.assert_allclose(faces.landmarks[0, 0], [(69.5 - 15) / 2 - 0.5, (109.5 - 35) / 2 - 0.5], rtol=1e-6)


def test_landmarks_of_the_kaggle_copy_are_the_same_and_a_missing_row_is_not_a_number(
    tmp_path: Path, make_celeba: Callable[..., Path]
) -> None:
    folder = make_celeba(tmp_path / "c", 6, landmarks=True)
    official = load_data(f"celeba:{folder}", image_size=37)
    text = folder / "list_landmarks_align_celeba.txt"
    rows = [",".join(row.split()) for row in text.read_text().splitlines()[1:]]
    (folder / "list_landmarks_align_celeba.csv").write_text("\n".join(["image_id," + rows[0], *rows[1:-1]]))
    text.unlink()
    kaggle = load_data(f"celeba:{folder}", image_size=37)
    assert official.landmarks is not None
    assert kaggle.landmarks is not None
    last = np.array([file == "000006.jpg" for file in kaggle.files])
    np.testing.assert_array_equal(kaggle.landmarks[~last], official.landmarks[~last])
    assert np.isfinite(official.landmarks).all()
    assert np.isnan(kaggle.landmarks[last]).all()


def test_a_partial_copy_works_and_says_what_is_absent(celeba: Path) -> None:
    for number in (2, 9, 11):
        (celeba / "img_align_celeba" / f"{number:06d}.jpg").unlink()
    faces = load_data(f"celeba:{celeba}", image_size=32, on_bad="refuse")
    assert len(faces) == 17
    assert faces.manifest["facts"] == {"pictures": 17, "annotated_but_absent": 3}


def test_pictures_without_a_row_are_skipped_by_name_or_refused(celeba: Path, jpeg: Callable[..., bytes]) -> None:
    (celeba / "img_align_celeba" / "999999.jpg").write_bytes(jpeg(0))
    assert load_data(f"celeba:{celeba}", image_size=32).manifest["skipped"] == {
        "count": 1,
        "reasons": {"unlabelled": 1},
        "first": [["999999.jpg", "unlabelled: no row in list_attr_celeba.txt"]],
    }
    with pytest.raises(VisagistError, match=r"1 bad picture in celeba:celeba: 999999\.jpg"):
        load_data(f"celeba:{celeba}", image_size=32, on_bad="refuse")


def test_the_tables_of_the_kaggle_copy_give_the_same_faces(celeba: Path) -> None:
    official = load_data(f"celeba:{celeba}", image_size=32)
    rows = (celeba / "list_attr_celeba.txt").read_text().splitlines()
    header = "image_id," + ",".join(rows[1].split())
    (celeba / "list_attr_celeba.csv").write_text("\n".join([header, *(",".join(row.split()) for row in rows[2:])]))
    rows = (celeba / "list_eval_partition.txt").read_text().splitlines()
    (celeba / "list_eval_partition.csv").write_text("\n".join(["image_id,partition", *(r.replace(" ", ",") for r in rows)]))
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt", "identity_CelebA.txt"):
        (celeba / name).unlink()
    (celeba / "img_align_celeba").rename(celeba / "inner")
    (celeba / "img_align_celeba").mkdir()
    (celeba / "inner").rename(celeba / "img_align_celeba" / "img_align_celeba")
    kaggle = load_data(f"celeba:{celeba}", image_size=32)
    assert kaggle.files == official.files
    assert kaggle.identity is None
    np.testing.assert_array_equal(kaggle.labels, official.labels)
    np.testing.assert_array_equal(kaggle.split, official.split)


def test_each_thing_that_is_wrong_with_the_folder_is_one_clear_line(celeba: Path, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="no folder"):
        load_data(f"celeba:{tmp_path / 'nowhere'}")
    (tmp_path / "empty" / "img_align_celeba").mkdir(parents=True)
    with pytest.raises(VisagistError, match="holds no picture"):
        load_data(f"celeba:{tmp_path / 'empty'}")
    with pytest.raises(VisagistError, match="no folder img_align_celeba"):
        load_data(f"celeba:{tmp_path / 'empty' / 'img_align_celeba'}")
    attributes = celeba / "list_attr_celeba.txt"
    attributes.write_text(attributes.read_text().replace("000007.jpg -1", "000007.jpg"))
    with pytest.raises(VisagistError, match=r"cannot read .*list_attr_celeba.txt: .*Expected 4 columns, got 3"):
        load_data(f"celeba:{celeba}")
    attributes.write_text("not a table")
    with pytest.raises(VisagistError, match="is not CelebA's"):
        load_data(f"celeba:{celeba}")
    attributes.unlink()
    with pytest.raises(VisagistError, match=r"has no list_attr_celeba\.txt"):
        load_data(f"celeba:{celeba}")


def test_an_attribute_that_does_not_exist_is_refused_before_anything_is_decoded(celeba: Path, cache: Path) -> None:
    with pytest.raises(VisagistError, match=r"no attribute 'Smilling' in celeba:.*did you mean Smiling\?"):
        load_data(f"celeba:{celeba}", attributes=["Smilling"])
    assert not list(cache.iterdir())


@pytest.mark.data
def test_real_annotations_are_read_in_less_than_a_second_of_cpu(real_celeba: Path) -> None:
    start = time.process_time()
    catalogue = read_celeba(real_celeba)
    assert time.process_time() - start < 1
    assert len(catalogue.files) == 26629


@pytest.mark.data
@pytest.mark.slow
def test_the_real_subset_has_its_official_splits_and_no_person_of_the_training_split_elsewhere(
    real_celeba: Path, real_cache: Path
) -> None:
    faces = load_data(f"celeba:{real_celeba}", image_size=64, cache=real_cache, on_bad="refuse")
    assert faces.manifest["counts"] == {"train": 20229, "val": 2400, "test": 4000}
    assert len(faces) == 26629
    assert len(faces.names) == 40
    assert faces.identity is not None
    train = faces.split == 0
    assert not set(faces.identity[train].tolist()) & set(faces.identity[~train].tolist())
    smiles = faces.column("Smiling")
    assert 0.4 < smiles[faces.split == 2].mean() < 0.6
