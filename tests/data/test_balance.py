from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from visagist.data import load_data, pack
from visagist.data.balance import balance_classes, balance_to_set
from visagist.data.faces import SET_ASIDE, Faces
from visagist.data.inspection import inspect_data
from visagist.errors import VisagistError

BEARDS = {0, 5, 10, 15}  # not No_Beard
GOATEES = {12}  # although No_Beard
GLASSES = {0, 7, 10, 14}


@pytest.fixture
def bearded(celeba: Path) -> Path:
    """Twenty pictures, of which 0–3 are test, 4 and 5 validation faces: 3 to train on have facial hair, 3 glasses."""
    names = "Eyeglasses No_Beard Goatee Mustache "
    said = [(i in GLASSES, i not in BEARDS, i in GOATEES, i == 0) for i in range(20)]
    rows = [f"{i + 1:06d}.jpg " + " ".join(f"{2 * label - 1:2d}" for label in labels) for i, labels in enumerate(said)]
    (celeba / "list_attr_celeba.txt").write_text("\n".join(["20", names, *rows]) + "\n")
    return celeba


def numbers(faces: Faces, split: str = "train") -> set[int]:
    """Which of the twenty pictures are in a split, from 0."""
    return {int(faces.files[row].removesuffix(".jpg")) - 1 for row in faces.indices(split)}


def test_a_derived_attribute_is_loaded_by_name_and_the_manifest_has_its_rule(bearded: Path) -> None:
    faces = load_data(f"celeba:{bearded}", image_size=16)
    assert "Facial_Hair" not in faces.names
    have = {int(file.removesuffix(".jpg")) - 1 for file, one in zip(faces.files, faces.column("Facial_Hair")) if one}
    assert have == BEARDS | GOATEES
    narrow = load_data(f"celeba:{bearded}", image_size=16, attributes=["Facial_Hair", "Eyeglasses"])
    assert narrow.names == ("Facial_Hair", "Eyeglasses")
    np.testing.assert_array_equal(narrow.labels[:, 0], faces.column("Facial_Hair"))
    assert narrow.manifest["derived"] == {"Facial_Hair": "not No_Beard, or Goatee, or Mustache"}
    assert "derived" not in narrow.with_attributes(["Eyeglasses"]).manifest


def test_a_pack_may_keep_a_derived_attribute_as_a_column_of_its_own(bearded: Path, tmp_path: Path) -> None:
    packed = pack(f"celeba:{bearded}", tmp_path / "pack", image_size=16, attributes=["Facial_Hair"])
    assert packed.names == ("Facial_Hair",)
    assert packed.column("Facial_Hair").sum() == len(BEARDS | GOATEES)
    assert packed.manifest["facts"]["derived"] == {"Facial_Hair": "not No_Beard, or Goatee, or Mustache"}


def test_labels_that_lack_the_rules_first_part_are_refused_before_anything_is_decoded(celeba: Path, cache: Path) -> None:
    with pytest.raises(VisagistError, match=r"no attribute 'Facial_Hair' in celeba:.*labelled with No_Beard"):
        load_data(f"celeba:{celeba}", image_size=16, attributes=["Facial_Hair"])
    assert not list(cache.iterdir())


@pytest.mark.parametrize(
    ("name", "have"), [("Eye", {7, 10, 14}), ("Facial", {10, 12, 15}), ("EyeFacial", {7, 10, 12, 14, 15})]
)
def test_a_set_keeps_all_who_have_it_and_as_many_who_have_not(bearded: Path, name: str, have: set[int]) -> None:
    faces = balance_to_set(load_data(f"celeba:{bearded}", image_size=16), name)
    kept = numbers(faces)
    assert have < kept
    assert len(kept) == 2 * len(have)
    record = faces.manifest["balance"]
    assert (record["attribute_set"], record["count"], record["with"]) == (name, len(kept), len(have))
    assert (record["without"], record["without_in_source"]) == (len(have), 14 - len(have))


def test_validation_and_test_faces_are_never_thinned_and_no_image_is_copied(bearded: Path) -> None:
    whole = load_data(f"celeba:{bearded}", image_size=16)
    thin = balance_to_set(whole, "Eye")
    assert numbers(thin, "val") == {4, 5}
    assert numbers(thin, "test") == {0, 1, 2, 3}
    assert thin.images is whole.images
    assert (thin.split == SET_ASIDE).sum() == 14 - 6
    assert set(whole.split.tolist()) == {0, 1, 2}


def test_the_seed_decides_who_stays_and_more_negatives_keep_those_of_fewer(bearded: Path) -> None:
    whole = load_data(f"celeba:{bearded}", image_size=16)
    assert balance_to_set(whole, "Eye", seed=4).manifest == balance_to_set(whole, "Eye", seed=4).manifest
    draws = [numbers(balance_to_set(whole, "Eye", seed=seed)) for seed in range(6)]
    assert len({frozenset(draw) for draw in draws}) > 1
    hashes = {balance_to_set(whole, "Eye", seed=seed).manifest["balance"]["sha256"] for seed in range(6)}
    assert len(hashes) == len({frozenset(draw) for draw in draws})
    assert draws[0] < numbers(balance_to_set(whole, "Eye", negatives=2))


def test_a_face_keeps_its_place_in_the_draw_whatever_else_is_there(bearded: Path) -> None:
    whole = load_data(f"celeba:{bearded}", image_size=16)
    kept = numbers(balance_to_set(whole, "Eye"))
    others = sorted(numbers(whole) - kept)
    fewer = whole.take(np.array([row for row, file in enumerate(whole.files) if int(file[:6]) - 1 not in others[:5]]))
    assert numbers(balance_to_set(fewer, "Eye")) == kept
    backwards = whole.take(np.arange(len(whole))[::-1])
    assert numbers(balance_to_set(backwards, "Eye")) == kept


def test_where_there_are_too_few_without_all_stay_and_the_manifest_says_how_many(bearded: Path) -> None:
    faces = balance_to_set(load_data(f"celeba:{bearded}", image_size=16), "EyeFacial", negatives=5)
    assert numbers(faces) == set(range(6, 20))
    assert (faces.manifest["balance"]["without"], faces.manifest["balance"]["negatives"]) == (9, 5)


def test_a_ratio_that_is_none_and_labels_that_do_not_fit_are_refused(bearded: Path) -> None:
    whole = load_data(f"celeba:{bearded}", image_size=16)
    for ratio in (0, -1, float("nan"), float("inf")):
        with pytest.raises(VisagistError, match="give more than 0"):
            balance_to_set(whole, "Eye", negatives=ratio)
    with pytest.raises(VisagistError, match="no attribute 'Eyeglasses'"):
        balance_to_set(whole.with_attributes(["No_Beard"]), "Eye")


def test_data_check_reports_what_a_set_would_keep(bearded: Path) -> None:
    report = inspect_data(f"celeba:{bearded}", image_size=16, attribute_set="Facial", negatives=2)
    assert report.counts == {"train": 14, "val": 2, "test": 4}
    assert [(row.attribute, row.positive) for row in report.balance] == [("Facial_Hair", 5)]
    kept = json.loads(json.dumps(report.to_json()))["attribute_set"]
    assert (kept["with"], kept["without"], kept["count"]) == (3, 6, 9)
    assert inspect_data(f"celeba:{bearded}", image_size=16).attribute_set is None
    with pytest.raises(VisagistError, match="leave attributes out"):
        inspect_data(f"celeba:{bearded}", image_size=16, attribute_set="Facial", attributes=["Eyeglasses"])


def test_drawn_faces_have_facial_hair_where_they_have_a_beard() -> None:
    faces = load_data("synthetic:40", image_size=16)
    np.testing.assert_array_equal(faces.column("Facial_Hair"), 1 - faces.column("No_Beard"))
    narrow = faces.with_attributes(["Facial_Hair"])
    assert narrow.manifest["derived"]["Facial_Hair"].startswith("not No_Beard (Goatee, Mustache not known")


@pytest.mark.data
@pytest.mark.slow
def test_the_sets_of_real_faces_have_the_counts_of_the_annotation_file(real_celeba: Path, real_cache: Path) -> None:
    lines = (real_celeba / "list_attr_celeba.txt").read_text().splitlines()
    names = lines[1].split()
    partition = dict(line.split() for line in (real_celeba / "list_eval_partition.txt").read_text().splitlines())
    labels = {file: dict(zip(names, marks)) for file, *marks in (line.split() for line in lines[2:])}
    train = [labels[file] for file in labels if partition[file] == "0"]

    def hairy(one: dict[str, str]) -> bool:
        return one["No_Beard"] == "-1" or one["Goatee"] == "1" or one["Mustache"] == "1"

    rules: dict[str, Callable[[dict[str, str]], bool]] = {
        "Eye": lambda one: one["Eyeglasses"] == "1",
        "Facial": hairy,
        "EyeFacial": lambda one: one["Eyeglasses"] == "1" or hairy(one),
    }
    faces = load_data(f"celeba:{real_celeba}", image_size=64, cache=real_cache)
    for name, rule in rules.items():
        have = sum(map(rule, train))
        for ratio in (0.5, 1.0):
            thin = balance_to_set(faces, name, ratio)
            record = thin.manifest["balance"]
            assert (record["with"], record["without"]) == (have, round(ratio * have))
            assert len(thin.indices("train")) == record["count"] == have + round(ratio * have)
            assert (len(thin.indices("val")), len(thin.indices("test"))) == (2400, 4000)


def test_halves_are_all_of_the_rarer_class_and_as_many_of_the_other(bearded: Path) -> None:
    faces = load_data(f"celeba:{bearded}", image_size=16, attributes=["Eyeglasses"])
    thinned = balance_classes(faces, 3)
    assert numbers(thinned) >= numbers(faces) & GLASSES
    assert len(numbers(thinned)) == 2 * len(numbers(faces) & GLASSES) == 6
    assert all(numbers(thinned, split) == numbers(faces, split) for split in ("val", "test"))
    record = thinned.manifest["balance"]
    assert (record["with"], record["without"], record["count"]) == (3, 3, 6)
    assert (record["with_in_source"], record["without_in_source"]) == (3, 11)
    assert thinned.manifest["balance"] == balance_classes(faces, 3).manifest["balance"]
    assert record["sha256"] != balance_classes(faces, 4).manifest["balance"]["sha256"]
    rarer_without = replace(faces, labels=1 - faces.labels)
    assert numbers(balance_classes(rarer_without, 3)) >= numbers(faces) & GLASSES


def test_halves_need_one_attribute_in_both_classes(bearded: Path) -> None:
    faces = load_data(f"celeba:{bearded}", image_size=16, attributes=["Eyeglasses", "Goatee"])
    with pytest.raises(VisagistError, match="one attribute, got 2: Eyeglasses, Goatee"):
        balance_classes(faces)
    alike = faces.with_attributes(["Eyeglasses"])
    with pytest.raises(VisagistError, match="all of one class of Eyeglasses"):
        balance_classes(replace(alike, labels=np.ones_like(alike.labels)))
