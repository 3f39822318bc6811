"""Detectors of five points: where their boxes lie, how their own points become five, and what is said without one."""

from __future__ import annotations

import importlib.util
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import (
    ALIGNED_BOX,
    DRAWN_BOX,
    ERT_NUMBER,
    ERT_POINTS,
    TERMS,
    Ert,
    ONetDetector,
    face_finder,
    load_detectors,
)
from visagist.evaluation.landmark_gain import point_errors
from visagist.networks.pretrained.onet import SIDE, ONet
from visagist.pixels import to_float


def drawn(number: int, size: int, seed: int) -> tuple[Tensor, np.ndarray]:
    """Drawn faces [B, 3, S, S] and their true points."""
    source = SyntheticFaces(number, image_size=size, seed=seed, prevalence={"Eyeglasses": 0.01, "Wearing_Hat": 0.01})
    return to_float(torch.from_numpy(source.render()), torch.device("cpu")), source.all_landmarks()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Shape predictors of 68 and of 5 points, trained on drawn faces whose five points were turned into theirs."""
    dlib = pytest.importorskip("dlib", reason="needs dlib")
    source = SyntheticFaces(80, image_size=128, seed=1)
    pictures, truth = list(source.render()), source.all_landmarks()
    box = dlib.rectangle(*(round(128 * edge) for edge in DRAWN_BOX))
    options = dlib.shape_predictor_training_options()
    options.oversampling_amount, options.tree_depth, options.cascade_depth = 5, 3, 8
    options.num_trees_per_cascade_level, options.nu, options.be_verbose = 100, 0.1, False
    files = {}
    for name, groups in ERT_POINTS.items():
        shapes = []
        for points in truth:
            parts = np.tile(points.mean(0), (ERT_NUMBER[name], 1))
            for place, group in enumerate(groups):
                for turn, part in enumerate(group):  # round the point, so that their mean is the point itself
                    angle = 2 * np.pi * turn / len(group)
                    reach = 0 if len(group) == 1 else 4
                    parts[part] = points[place] + reach * np.array([np.cos(angle), np.sin(angle)])
            shapes.append([dlib.full_object_detection(box, [dlib.point(*np.rint(part).astype(int)) for part in parts])])
        files[name] = tmp_path_factory.mktemp("dlib") / f"{name}.dat"
        dlib.train_shape_predictor(pictures, shapes, options).save(str(files[name]))
    return files


@pytest.mark.parametrize("size", [64, 128])
def test_the_shape_predictors_find_the_points_they_were_trained_on_in_new_faces(trained: dict[str, Path], size: int) -> None:
    images, truth = drawn(20, size, seed=2)
    found = {n: detector for n in ERT_POINTS for detector in load_detectors([f"{n}:{trained[n]}"])}
    points = {name: detector.aimed("drawn")(images).numpy() for name, detector in found.items()}
    assert points["ert68"].shape == (20, 5, 2)
    for name in ERT_POINTS:
        assert point_errors(points[name], truth)[:, :2].mean() < 0.06
        # A shift by half a pixel, or by one of the enlarged picture, would be seen here.
        assert np.abs((points[name] - truth)[:, :2].mean((0, 1))).max() < 0.3 * size / 64
    assert point_errors(points["ert68"], truth)[:, 2:].mean() < 0.12
    assert np.isnan(points["ert5"][:, 2:]).all()
    assert found["ert68"].about["terms"] == TERMS
    assert "terms" not in found["ert5"].about


def test_a_predictor_of_other_points_or_a_strange_file_is_refused(trained: dict[str, Path], tmp_path: Path) -> None:
    images, _ = drawn(1, 64, seed=2)
    with pytest.raises(VisagistError, match="gives 5 points"):
        Ert("ert68", trained["ert5"])(images)
    (tmp_path / "x").write_text("nothing of the kind")
    with pytest.raises(VisagistError, match=r"cannot read .* as a shape predictor"):
        Ert("ert68", tmp_path / "x")
    with pytest.raises(VisagistError, match=r"cannot read .* as weights of MTCNN"):
        ONetDetector(tmp_path / "x")


@pytest.mark.parametrize("crop", ["centre108", "centre148", "centre178"])
def test_the_box_is_the_same_part_of_the_face_in_every_crop_of_celeba(crop: str) -> None:
    left, top, right, bottom = CROPS[crop](*ALIGNED_SIZE)
    box = face_finder(crop)(torch.zeros(2, 3, 64, 64)).numpy()
    assert box.shape == (2, 4)
    np.testing.assert_allclose(box[0] * (right - left) + [left, top, left, top], ALIGNED_BOX, atol=1e-4)
    assert bottom - top == right - left


def test_where_the_crop_says_nothing_the_face_is_looked_for() -> None:
    pytest.importorskip("dlib", reason="needs dlib")
    find = face_finder("square")
    with resources.as_file(resources.files("visagist") / "demo_face.png") as path, Image.open(path) as picture:
        face = np.asarray(picture.convert("RGB").resize((128, 128), Image.Resampling.LANCZOS))
    noise = np.random.default_rng(0).integers(0, 256, face.shape, np.uint8)
    boxes = find(to_float(torch.from_numpy(np.stack([face, noise])), torch.device("cpu")))
    left, top, right, bottom = boxes[0].tolist()
    assert 0 <= left < 0.5 < right <= 1.1
    assert 0 <= top < 0.6 < bottom <= 1.2
    assert boxes[1].isnan().all()


class Brightest(nn.Module):
    """In place of the network: every point is where the picture is brightest."""

    def forward(self, x: Tensor) -> Tensor:
        place = x.sum(1).flatten(1).argmax(1)
        return (torch.stack([place % SIDE, place // SIDE], 1)[:, None].expand(-1, 5, 2) + 0.5) / SIDE


@pytest.mark.parametrize("size", [64, 128])
def test_points_in_the_box_become_points_of_the_picture(tmp_path: Path, size: int) -> None:
    torch.save(ONet().state_dict(), tmp_path / "onet.pt")
    (detector,) = load_detectors([f"onet:{tmp_path / 'onet.pt'}"])
    aimed = detector.aimed("centre148")
    assert aimed(torch.rand(3, 3, size, size)).shape == (3, 5, 2)
    aimed._network = Brightest()  # type: ignore[attr-defined]
    images = torch.zeros(1, 3, size, size)
    images[..., size // 2, size * 5 // 8] = 1
    found = aimed(images).numpy()
    np.testing.assert_allclose(found[0], np.tile([size * 5 // 8, size // 2], (5, 1)), atol=size / 64)
    aimed._find = lambda images: torch.full((len(images), 4), torch.nan)  # type: ignore[attr-defined]
    assert aimed(images).isnan().all()


def test_what_is_not_installed_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(VisagistError, match=r"ert68 is not installed: pip install 'visagist\[landmarks\]', or give"):
        load_detectors(["ert68"])
    with pytest.raises(VisagistError, match="onet is not installed: pip install --no-deps facenet-pytorch"):
        load_detectors(["onet"])
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(VisagistError, match="dlib is not installed: pip install dlib-bin"):
        load_detectors([f"ert68:{__file__}"])


def test_names_are_told_apart(tmp_path: Path) -> None:
    torch.save(ONet().state_dict(), tmp_path / "a")
    with pytest.raises(VisagistError, match="named twice"):
        load_detectors([f"onet:{tmp_path / 'a'}"] * 2)
    with pytest.raises(VisagistError, match="no landmark detector is named"):
        load_detectors([])


@pytest.mark.data
@pytest.mark.parametrize("size", [64, 128])
def test_the_published_network_finds_the_parts_of_drawn_faces(real_data: Path, size: int) -> None:
    (detector,) = load_detectors([f"onet:{real_data / 'weights' / 'mtcnn' / 'onet.pt'}"])
    images, truth = drawn(40, size, seed=3)
    errors = point_errors(detector.aimed("drawn")(images).numpy(), truth)
    assert errors[:, :2].mean() < 0.06
    assert errors[:, 2:].mean() < 0.15


@pytest.mark.parametrize("size", [64, 128])
def test_the_installed_detector_of_68_points_finds_the_parts_of_drawn_faces(size: int) -> None:
    if importlib.util.find_spec("face_recognition_models") is None:
        pytest.skip("needs pip install 'visagist[landmarks]'")
    images, truth = drawn(40, size, seed=3)
    found: dict[str, Any] = {detector.name: detector for detector in load_detectors(["ert68", "ert5"])}
    errors = {name: point_errors(detector.aimed("drawn")(images).numpy(), truth) for name, detector in found.items()}
    assert errors["ert68"][:, :2].mean() < 0.06
    assert errors["ert5"][:, :2].mean() < 0.08
    assert errors["ert68"][:, 2:].mean() < 0.15
