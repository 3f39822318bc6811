from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from visagist.data import membership
from visagist.data.faces import Faces
from visagist.data.membership import count_members, membership_sketch


def named(first: int, number: int, **manifest: object) -> Faces:
    """Faces of one pixel; nine of ten train, the last is for tests."""
    return Faces(
        np.zeros((number, 1, 1, 3), np.uint8), np.zeros((number, 1), np.uint8), ("Smiling",),
        np.where(np.arange(number) % 10 == 9, 2, 0).astype(np.uint8),
        tuple(f"{i:06d}.jpg" for i in range(first, first + number)), manifest={"source": "celeba:here", **manifest},
    )  # fmt: skip


def test_of_the_same_split_it_is_exact() -> None:
    faces = named(0, 3000)
    record = json.loads(json.dumps(membership_sketch(faces, faces.indices("train"))))
    assert record["faces"] == 2700
    assert len(json.dumps(record)) < 10_000
    assert count_members(record, faces, faces.indices("test")) == 0
    assert count_members(record, faces, np.arange(25)) == 23


def test_of_another_part_of_the_source_what_was_seen_is_found() -> None:
    faces, other = named(0, 3000), named(2000, 3000)
    record = membership_sketch(faces, faces.indices("train"))
    both = np.arange(1000)
    found = count_members(record, other, both)
    # 900 of these trained; the sketch holds 1024 of 2700 names.
    assert found == pytest.approx(900 * 1024 / 2700, rel=0.15)
    assert count_members(record, other, np.arange(1000, 3000)) == 0


def test_a_small_training_set_is_known_by_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = named(0, 100)
    record = membership_sketch(faces, faces.indices("train"))
    other = named(50, 100)
    assert count_members(record, other, np.arange(100)) == 45
    monkeypatch.setattr(membership, "KEPT", 10)
    assert 0 < count_members(membership_sketch(faces, faces.indices("train")), other, np.arange(100)) <= 10


def test_drawn_faces_of_another_seed_are_others() -> None:
    faces = named(0, 100, source="synthetic:100", seed=0)
    record = membership_sketch(faces, faces.indices("train"))
    fresh = replace(faces, manifest={"source": "synthetic:100", "seed": 1})
    assert count_members(record, fresh, np.arange(100)) == 0
    assert count_members(record, named(0, 50, source="synthetic:50", seed=0), np.arange(50)) == 45
