"""The order of the data and what is done to it are functions of the seed and the position, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.pixels import to_float
from visagist.training.batches import Batches, resident_device

CPU = torch.device("cpu")


@pytest.fixture
def numbered(faces_of: Callable[..., Faces]) -> Faces:
    """21 faces to train whose first pixel is their row number."""
    faces = faces_of(23, val=1, test=1)
    faces.images[:, 0, :, :] = np.arange(23)[:, None, None]
    return faces


def rows_of(batches: Batches, start: int, count: int) -> list[int]:
    images = batches.take(start, count, CPU).images
    return [round(float(v) * 255) for v in images[:, 0, 0, 0]]


def all_of(numbered: Faces, seed: int = 0, flip: bool = False) -> Batches:
    return Batches(numbered, numbered.indices("train"), seed, flip)


def test_every_epoch_holds_each_face_exactly_once(numbered: Faces) -> None:
    batches = all_of(numbered)
    seen = [row for start in range(0, 84, 4) for row in rows_of(batches, start, 4)]
    epochs = [seen[i : i + 21] for i in range(0, 84, 21)]
    assert all(sorted(epoch) == list(range(21)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_batch_that_crosses_into_the_next_epoch_goes_on_with_it(numbered: Faces) -> None:
    batches = all_of(numbered)
    assert rows_of(batches, 17, 8) == rows_of(batches, 17, 4) + rows_of(batches, 21, 4)


def test_a_batch_larger_than_the_data_holds_several_epochs(numbered: Faces) -> None:
    assert sorted(rows_of(all_of(numbered), 0, 63)) == sorted(list(range(21)) * 3)


def test_the_order_is_a_function_of_seed_and_position_alone(numbered: Faces) -> None:
    forward = all_of(numbered, seed=3)
    asked = [rows_of(forward, start, 8) for start in range(0, 96, 8)]
    np.random.seed(7)
    backward = all_of(numbered, seed=3)
    assert [rows_of(backward, start, 8) for start in reversed(range(0, 96, 8))] == asked[::-1]
    assert rows_of(all_of(numbered, seed=4), 0, 21) != rows_of(forward, 0, 21)


def test_images_and_labels_stay_together_and_only_training_rows_come(numbered: Faces) -> None:
    images, labels = all_of(numbered).take(0, 21, CPU)
    rows = [round(float(v) * 255) for v in images[:, 0, 0, 0]]
    assert labels[:, 0].tolist() == numbered.labels[rows, 0].tolist()
    assert max(rows) == 20


def test_without_a_flip_every_face_is_as_stored(numbered: Faces) -> None:
    images = all_of(numbered).take(0, 21, CPU).images
    for row, image in zip(rows_of(all_of(numbered), 0, 21), images):
        assert torch.equal(image, torch.from_numpy(numbered.images[row]).permute(2, 0, 1) / 255)


def test_the_horizontal_flip_mirrors_about_half_of_the_faces_and_no_two_epochs_alike(numbered: Faces) -> None:
    plain, flipped = all_of(numbered), all_of(numbered, flip=True)
    turned = []
    for start in range(0, 420, 21):
        for image, other in zip(plain.take(start, 21, CPU).images, flipped.take(start, 21, CPU).images):
            mirrored = torch.equal(other, image.flip(-1))
            assert mirrored != torch.equal(other, image)
            turned.append(mirrored)
    assert 0.4 < np.mean(turned) < 0.6
    assert len({tuple(turned[i : i + 21]) for i in range(0, 420, 21)}) == 20


@pytest.mark.parametrize("part", [1, 2, 4, 7])
def test_the_flip_of_a_face_does_not_depend_on_how_a_batch_is_cut(numbered: Faces, part: int) -> None:
    whole = all_of(numbered, flip=True).take(14, 28, CPU)
    batches = all_of(numbered, flip=True)
    pieces = [batches.take(start, part, CPU) for start in range(14, 42, part)]
    assert torch.equal(torch.cat([p.images for p in pieces]), whole.images)
    assert torch.equal(torch.cat([p.labels for p in pieces]), whole.labels)


def test_floats_are_in_the_unit_interval_and_channels_last_in_memory() -> None:
    values = torch.tensor([0, 51, 255], dtype=torch.uint8).repeat(2, 4, 4, 1)
    images = to_float(values, CPU)
    assert images.shape == (2, 3, 4, 4)
    assert images.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(images[0, :, 0, 0], torch.tensor([0.0, 0.2, 1.0]))


def test_one_face_is_too_few_to_train_on(faces: Faces) -> None:
    with pytest.raises(VisagistError, match="at least 2 faces, got 1"):
        Batches(faces, np.array([0]), 0, False)


def test_pairs_are_one_face_of_each_class_and_an_epoch_holds_all(numbered: Faces) -> None:
    rows = numbered.indices("train")[:20]
    labels = np.zeros((len(numbered.labels), 1), np.uint8)
    labels[rows[::2]] = 1
    faces = replace(numbered, labels=labels, names=("Smiling",))
    batches = Batches(faces, rows, 3, False, paired=True)
    for epoch in range(3):
        seen = [row for start in range(0, 20, 4) for row in rows_of(batches, 20 * epoch + start, 4)]
        assert sorted(seen) == sorted(rows)
        assert [int(labels[row, 0]) for row in seen] == [0, 1] * 10
    assert batches.take(0, 4, CPU).labels[:, 0].tolist() == [0, 1, 0, 1]


def test_pairs_need_equally_many_of_both_classes(numbered: Faces) -> None:
    labels = np.zeros((len(numbered.labels), 1), np.uint8)
    labels[3] = 1
    with pytest.raises(VisagistError, match="equally often, got 20 and 1"):
        Batches(replace(numbered, labels=labels, names=("Smiling",)), numbered.indices("train"), 0, False, paired=True)


@pytest.mark.parametrize("flip", [False, True])
def test_faces_that_stay_on_the_device_make_the_same_batches(numbered: Faces, flip: bool) -> None:
    rows = numbered.indices("train")[::-1][:20]
    travelling, held = (Batches(numbered, rows, 5, flip, resident_on=device) for device in (None, CPU))
    for start in (0, 7, 19, 50):
        here, there = travelling.take(start, 30, CPU), held.take(start, 30, CPU)
        assert torch.equal(here.images, there.images)
        assert here.images.stride() == there.images.stride()
        assert torch.equal(here.labels, there.labels)


def test_faces_stay_on_the_device_where_that_is_asked_for(numbered: Faces) -> None:
    rows = numbered.indices("train")
    assert resident_device("auto", numbered, rows, CPU) is None
    assert resident_device("never", numbered, rows, CPU) is None
    assert resident_device("always", numbered, rows, CPU) == CPU
    with pytest.raises(VisagistError, match="data_on_device is 'often': use auto, always or never"):
        resident_device("often", numbered, rows, CPU)  # type: ignore[arg-type]
