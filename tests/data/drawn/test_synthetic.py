"""Drawn faces: deterministic, exactly flippable, correlated as asked, and readable."""

from __future__ import annotations

import json
import time
from itertools import pairwise

import numpy as np
import pytest
import torch
from campaigns import CAMPAIGNS, campaign
from torch import nn

from visagist.data.drawn.brush import DrawnFace
from visagist.data.drawn.layers import Layer, draw_eyes, draw_mouth, paint
from visagist.data.drawn.synthetic import ATTRIBUTES, SyntheticFaces, load_synthetic
from visagist.errors import VisagistError


def test_a_face_depends_on_seed_and_index_alone() -> None:
    few, many = SyntheticFaces(5, image_size=32, seed=3), SyntheticFaces(50, image_size=32, seed=3)
    assert np.array_equal(few.labels, many.labels[:5])
    assert np.array_equal(few.image(4), many.image(4))
    assert np.array_equal(many.render([7, 4])[1], few.image(4))
    assert not np.array_equal(few.image(4), SyntheticFaces(5, image_size=32, seed=4).image(4))


def test_the_same_face_at_another_size_is_the_same_face() -> None:
    faces = SyntheticFaces(4)
    for index in range(4):
        shrunk = faces.image(index, 128).reshape(64, 2, 64, 2, 3).mean((1, 3))
        assert np.abs(shrunk - faces.image(index)).mean() < 6
        assert np.abs(shrunk - faces.image((index + 1) % 4)).mean() > 12


def test_the_labels_of_a_seed_never_change() -> None:
    assert SyntheticFaces(3, seed=7).labels.tolist() == [
        [1, 1, 0, 1, 0, 1, 1, 0],
        [0, 1, 1, 1, 1, 1, 0, 0],
        [0, 1, 1, 0, 0, 1, 0, 1],
    ]


def test_a_counterfactual_of_nothing_is_the_image() -> None:
    faces = SyntheticFaces(3)
    held = {name: int(value) for name, value in zip(ATTRIBUTES, faces.labels[2])}
    assert np.array_equal(faces.counterfactual(2, **held), faces.image(2))


@pytest.mark.slow
def test_a_flip_changes_its_region_and_nothing_else() -> None:
    number = 200 if CAMPAIGNS else 40
    faces = SyntheticFaces(number, seed=1)
    marked = 0
    for index in range(len(faces)):
        image = faces.image(index).astype(int)
        for column, name in enumerate(ATTRIBUTES):
            flipped = faces.counterfactual(index, **{name: 1 - int(faces.labels[index, column])})
            changed, region = np.abs(flipped - image).max(-1), faces.region(index, name)
            assert region.mean() < (0.9 if name == "Blond_Hair" else 0.5)
            assert not np.any(changed[~region]), f"face {index}: {name} reaches beyond its region"
            if faces.hidden(index, name):
                marked += 1
            else:
                assert np.sum(changed > 20) >= 30, f"face {index}: {name} can hardly be seen"
    assert 0 < marked < number


@pytest.mark.parametrize("size", [64, 128])
def test_landmarks_lie_where_eyes_and_mouth_are_drawn(size: int) -> None:
    faces = SyntheticFaces(30, image_size=size, seed=4)
    everyone = faces.all_landmarks()
    for index in range(len(faces)):
        points, face = faces.landmarks(index), DrawnFace(faces.identity(index), faces._present(index))
        np.testing.assert_allclose(points, everyone[index], atol=1e-4)
        for layer, places in ((draw_eyes, points[:2]), (draw_mouth, points[3:])):
            rows, columns = np.nonzero(paint((Layer(layer),), face, size)[..., 3])
            assert columns.mean() == pytest.approx(places[:, 0].mean(), abs=0.02 * size)
            assert rows.min() - 1 < places[:, 1].mean() < rows.max() + 1
            assert columns.min() <= places[0, 0] < places[1, 0] <= columns.max()
            # The other part of the face is elsewhere.
            other = points[3:] if layer is draw_eyes else points[:2]
            assert not rows.min() < other[:, 1].mean() < rows.max()
        assert points[:2, 1].max() < points[2, 1] < points[3:, 1].mean()


def test_every_drawn_set_knows_its_landmarks() -> None:
    few, many = load_synthetic(5, image_size=64), load_synthetic(5, image_size=128)
    assert few.landmarks is not None
    assert many.landmarks is not None
    np.testing.assert_allclose((many.landmarks + 0.5) / 2, few.landmarks + 0.5, atol=1e-4)


def test_only_a_hat_hides_and_only_what_is_under_it() -> None:
    faces = SyntheticFaces(60, seed=2)
    hats = faces.labels[:, ATTRIBUTES.index("Wearing_Hat")]
    for index in range(len(faces)):
        hidden = {name for name in ATTRIBUTES if faces.hidden(index, name)}
        assert hidden <= ({"Bangs", "Blond_Hair", "Young"} if hats[index] else set())


def test_planted_correlations_are_measured_in_the_labels() -> None:
    planted = {("Smiling", "Young"): 0.6, ("No_Beard", "Wearing_Hat"): -0.4, ("Bangs", "Young"): 0.2}
    faces = SyntheticFaces(20_000, image_size=8, correlation=planted, prevalence={"Smiling": 0.3, "Bangs": 0.7})
    measured, asked = np.corrcoef(faces.labels.T), np.eye(len(ATTRIBUTES))
    for (one, two), value in planted.items():
        i, j = ATTRIBUTES.index(one), ATTRIBUTES.index(two)
        asked[i, j] = asked[j, i] = value
    assert np.abs(measured - asked).max() < 0.05
    assert faces.labels.mean(0)[ATTRIBUTES.index("Smiling")] == pytest.approx(0.3, abs=0.02)
    again = SyntheticFaces(20_000, image_size=8, correlation=asked, prevalence={"Smiling": 0.3, "Bangs": 0.7})
    assert np.array_equal(again.labels, faces.labels)


def test_labels_without_correlation_are_balanced_and_independent() -> None:
    labels = SyntheticFaces(20_000).labels
    assert np.abs(labels.mean(0) - 0.5).max() < 0.02
    assert np.abs(np.corrcoef(labels.T) - np.eye(len(ATTRIBUTES))).max() < 0.03


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"number": 0}, "at least 1"),
        ({"seed": -1}, "seed"),
        ({"image_size": 4}, "image_size=4"),
        ({"prevalence": {"Smilng": 0.5}}, "Smiling"),
        ({"prevalence": 1.0}, "prevalence"),
        ({"correlation": {("Smiling", "Yung"): 0.5}}, "Young"),
        ({"correlation": {("Smiling", "Young"): 0.9}, "prevalence": {"Young": 0.1}}, "cannot correlate"),
        ({"correlation": np.eye(3)}, "8 by 8"),
        (
            {"correlation": {("Smiling", "Young"): 0.9, ("Bangs", "Young"): 0.9, ("Smiling", "Bangs"): -0.9}},
            "hold together",
        ),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_line(options: dict, words: str) -> None:
    with pytest.raises(VisagistError, match=words) as caught:
        SyntheticFaces(**{"number": 10, **options})
    assert "\n" not in str(caught.value)


def test_unknown_attributes_values_and_faces_are_refused() -> None:
    faces = SyntheticFaces(3, image_size=16)
    with pytest.raises(VisagistError, match="did you mean Smiling"):
        faces.counterfactual(0, Smilling=1)
    with pytest.raises(VisagistError, match="Smiling=2"):
        faces.counterfactual(0, Smiling=2)
    with pytest.raises(VisagistError, match="Eyeglasses"):
        faces.region(0, "Glasses")
    with pytest.raises(VisagistError, match="there are 3"):
        faces.image(3)


def test_a_loaded_set_is_split_named_and_described() -> None:
    faces = load_synthetic(20, image_size=16, seed=5, correlation={("Smiling", "Young"): 0.5})
    assert faces.images.shape == (20, 16, 16, 3)
    assert np.bincount(faces.split).tolist() == [16, 2, 2]
    assert faces.files[12] == "synthetic-000012"
    assert faces.identity is not None
    assert len(np.unique(faces.identity)) == 20
    assert np.array_equal(faces.images[12], SyntheticFaces(20, image_size=16, seed=5).counterfactual(
        12, **{name: int(value) for name, value in zip(faces.names, faces.labels[12])}))  # fmt: skip
    manifest = json.loads(json.dumps(faces.manifest))
    assert (manifest["source"], manifest["seed"], manifest["count"]) == ("synthetic:20", 5, 20)
    assert load_synthetic(20, image_size=16, seed=6).manifest["sha256"] != manifest["sha256"]


def test_progress_is_told_and_ends_complete() -> None:
    told: list[tuple[int, int]] = []
    SyntheticFaces(300, image_size=8).render(progress=lambda done, total: told.append((done, total)))
    assert told == [(250, 300), (300, 300)]


@pytest.mark.slow
def test_two_processes_draw_what_one_draws() -> None:
    faces = SyntheticFaces(600, image_size=16)
    assert np.array_equal(faces.render(processes=2), faces.render())


def test_drawing_is_quick_enough() -> None:
    faces = SyntheticFaces(200)
    faces.render(range(20))
    start = time.process_time()
    faces.render()
    assert 200 / (time.process_time() - start) > 120, "faces of 64 px drawn in a second of one core"


@campaign
@pytest.mark.slow
def test_a_small_classifier_reads_every_attribute() -> None:
    torch.manual_seed(0)
    faces = SyntheticFaces(5000, seed=9)
    images = torch.from_numpy(faces.render()).permute(0, 3, 1, 2).float() / 127.5 - 1
    labels = torch.from_numpy(faces.labels).float()
    widths = (3, 12, 24, 48, 64)
    blocks = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()) for a, b in pairwise(widths)]
    model = nn.Sequential(*blocks, nn.Flatten(), nn.Dropout(0.3), nn.Linear(64 * 16, len(ATTRIBUTES)))
    epochs, size, train = 5, 50, 4000
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=epochs * train // size)
    for _ in range(epochs):
        for rows in torch.randperm(train).split(size):
            loss = nn.functional.binary_cross_entropy_with_logits(model(images[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()
    with torch.no_grad():
        read = (model(images[train:]) > 0).numpy()
    truth = faces.labels[train:] == 1
    balanced = {
        name: 0.5 * (read[truth[:, i], i].mean() + (~read[~truth[:, i], i]).mean()) for i, name in enumerate(ATTRIBUTES)
    }
    assert min(balanced.values()) >= 0.97, balanced
