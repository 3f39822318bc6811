"""The landmark network: that it learns what it is shown, and that what it is shown is true."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from face_finding import askew
from tiny_faces import make_faces

from visagist import train
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError
from visagist.faces.augmentation import (
    Boxes,
    crop_boxes,
    degrade,
    from_box,
    jittered_boxes,
    negative_boxes,
    textures,
    to_box,
)
from visagist.faces.landmark_training import LandmarkFinder, LandmarkFinderConfig, eye_distance, upright_boxes
from visagist.faces.landmarks import load_landmarks
from visagist.faces.points import face_scale, roll
from visagist.methods.base import Batch

TINY = {"side": 16, "widths": (4, 8), "hidden": 16, "drawn": 1.0, "drawings": 60}
FACE = torch.tensor([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])


def test_points_go_into_boxes_and_back_and_lie_where_the_cut_shows_them() -> None:
    boxes = Boxes(torch.tensor([[20.0, 24.0], [30.0, 28.0]]), torch.tensor([30.0, 20.0]), torch.tensor([0.6, -0.4]))
    points = torch.tensor([[[17.0, 20.0], [24.0, 27.0]], [[33.0, 26.0], [28.0, 31.0]]])
    assert from_box(to_box(points, boxes), boxes).numpy() == pytest.approx(points.numpy(), abs=1e-4)
    pictures = torch.zeros(2, 3, 48, 48)
    for row, (x, y) in enumerate(points[:, 0].long().tolist()):
        pictures[row, :, y - 1 : y + 2, x - 1 : x + 2] = 1
    shown = crop_boxes(pictures, boxes, 64)[:, 0]
    for row, place in enumerate(to_box(points, boxes)[:, 0] * 64 - 0.5):
        mass = shown[row] / shown[row].sum()
        steps = torch.arange(64.0)
        centre = torch.stack([(mass.sum(0) * steps).sum(), (mass.sum(1) * steps).sum()])
        assert centre.numpy() == pytest.approx(place.numpy(), abs=0.3)


def test_boxes_on_a_face_hold_its_points_and_boxes_astray_do_not_show_it_upright() -> None:
    points = FACE.expand(200, 5, 2)
    unit = eye_distance(points)
    held = to_box(points, jittered_boxes(points, unit, 3.8, torch.zeros(200, dtype=torch.bool)))
    assert ((held > 0.05) & (held < 0.95)).float().mean() > 0.99
    lost = to_box(points, negative_boxes(points, unit, 3.8))
    usual = to_box(points[:1], upright_boxes(points[:1]))
    assert ((lost - usual).norm(dim=-1).mean(1) > 0.1).all()


def test_the_tensors_measure_faces_as_the_arrays_do() -> None:
    points = FACE[None] @ torch.tensor([[0.8, 0.6], [-0.6, 0.8]])
    assert eye_distance(points).item() == pytest.approx(float(face_scale(points[0].numpy())), rel=1e-5)
    angle = torch.rad2deg(upright_boxes(points).angle).item()
    assert angle == pytest.approx(float(roll(points[0].numpy())), abs=1e-3)


def test_disturbed_pictures_are_pictures() -> None:
    x = torch.rand(40, 3, 32, 32)
    for pictures in (degrade(x.clone()), textures(40, 32)):
        assert pictures.shape == x.shape
        assert 0 <= float(pictures.min()) <= float(pictures.max()) <= 1


@pytest.mark.slow
def test_it_learns_drawn_faces_by_the_engine_and_comes_back_from_its_folder(tmp_path: Path) -> None:
    settings = {**TINY, "batch_size": 32, "learning_rate": 1e-2, "image_size": 32, "nothing": 0.1}
    settings |= {"validate_every_images": 10**6, "sureness_weight": 0.05, "turned_more": (0.0, 0.0)}
    faces = make_faces(48, image_size=32)
    before, after = (
        train("landmarks", faces, out=tmp_path / str(n), images=n, settings=settings, device="cpu") for n in (32, 4000)
    )
    errors = []
    for folder in (before, after):
        model = load_landmarks(folder)
        torch.manual_seed(1)
        errors.append(model.validation(Batch(torch.rand(60, 3, 32, 32), torch.zeros(60, 0))))
    assert float(errors[1]["error_at_first"]) < 0.9 * float(errors[0]["error_at_first"])
    assert float(errors[1]["mistaken"]) < 0.25
    description = checkpoint.read_description(after)
    assert (description["kind"], description["attributes"], description["borrowed"]) == ("landmarks", [], {})


def test_without_its_teacher_it_says_where_to_get_it(tmp_path: Path) -> None:
    model = LandmarkFinder(LandmarkFinderConfig(teacher=str(tmp_path / "none.pt"), drawings=4), (), 32)
    with pytest.raises(VisagistError, match=r"no file .*none\.pt.*--set teacher=FILE"):
        list(model.training_step(Batch(torch.rand(8, 3, 32, 32), torch.zeros(8, 0))))
    (tmp_path / "strange.pt").write_text("no weights")
    model = LandmarkFinder(LandmarkFinderConfig(teacher=str(tmp_path / "strange.pt"), drawings=4), (), 32)
    with pytest.raises(VisagistError, match=r"cannot read .*strange\.pt"):
        list(model.training_step(Batch(torch.rand(8, 3, 32, 32), torch.zeros(8, 0))))
    with pytest.raises(VisagistError, match="side 50 does not fit 4 widths: use a multiple of 16"):
        LandmarkFinder(LandmarkFinderConfig(side=50), (), 96)


def test_a_model_of_another_kind_is_refused(tmp_path: Path) -> None:
    from visagist.pretrained import ZOO

    with pytest.raises(VisagistError, match="holds a judge"):
        load_landmarks(ZOO / "judge-64")


def test_a_picture_laid_askew_lies_where_its_transform_says() -> None:
    picture = np.full((218, 178, 3), 30, np.uint8)
    picture[100:110, 60:70] = 240
    for seed in range(3):
        photo, matrix = askew(picture, np.random.default_rng(seed))
        bright = np.argwhere(photo[..., 0] > 135)[:, ::-1].mean(0)
        assert bright == pytest.approx(matrix[:, :2] @ [64.5, 104.5] + matrix[:, 2], abs=0.3)
