"""Distances between sets of faces, where the answer is known."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from doubles import BrightnessJudge, DoNothing, Perfect, editor_of, evaluate, plain_faces
from tiny_models import tiny_model

from visagist.data import load_data
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.extractors.squeezenet import (
    MEANS,
    SqueezeNetFeatures,
    load_features,
    read_keras_squeezenet,
    unit_distance,
)
from visagist.evaluation.metrics.distribution import frechet_distance, frechet_measure, kernel_measure
from visagist.methods.dcgan import DCGAN
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.networks.pretrained.squeezenet import FIRES, SqueezeNet


def normal(n: int, mean: float, spread: float, seed: int, dimensions: int = 3) -> np.ndarray:
    return mean + spread * np.random.default_rng(seed).standard_normal((n, dimensions))


def test_the_frechet_distance_of_two_normal_laws_is_that_of_the_formula() -> None:
    a, b = normal(200_000, 0.0, 1.0, 0), normal(200_000, 0.5, 2.0, 1)
    assert frechet_distance(a, b) == pytest.approx(3 * (0.5**2 + (2.0 - 1.0) ** 2), rel=0.02)
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)


def test_correlated_features_are_told_from_independent_ones_of_equal_spread() -> None:
    rng = np.random.default_rng(0)
    shared, own = rng.standard_normal((50_000, 1)), rng.standard_normal((50_000, 2))
    together = np.sqrt(0.8) * shared + np.sqrt(0.2) * own
    expected = 2 + 2 - 2 * (np.sqrt(1.8) + np.sqrt(0.2))  # eigenvalues of the covariances: 1.8 and .2, 1 and 1
    assert frechet_distance(together, normal(50_000, 0, 1, 1, 2)) == pytest.approx(expected, rel=0.05)


def test_the_interval_of_the_frechet_distance_covers_the_truth() -> None:
    truth, covered = 3 * 0.5**2, 0
    for seed in range(100):
        found = frechet_measure(normal(400, 0, 1, 2 * seed), normal(400, 0.5, 1, 2 * seed + 1), seed)
        covered += found["low"] <= truth <= found["high"]
    assert 85 <= covered <= 100
    assert found["n"] == 400
    assert found["low"] < found["value"] < found["high"]


def test_the_kernel_distance_is_unbiased_around_nought_and_grows_with_a_shift() -> None:
    same = kernel_measure(normal(600, 0, 1, 0, 8), normal(600, 0, 1, 1, 8))
    assert abs(same["value"]) < 0.02
    assert same["low"] < 0 < same["high"]
    shifts = [kernel_measure(normal(600, 0, 1, 0, 8), normal(600, s, 1, 1, 8))["value"] for s in (0.3, 0.6)]
    assert 0.05 < shifts[0] < shifts[1]


def write_keras(path: Path, state: dict[str, torch.Tensor]) -> None:
    """A file as Keras writes it: groups named after layers, arrays deeper down, kernels [h, w, in, out]."""
    with h5py.File(path, "w") as file:
        for key, tensor in state.items():
            layer, kind = key.rsplit(".", 1)
            name = layer.replace(".", "/")
            array = tensor.permute(2, 3, 1, 0).numpy() if kind == "weight" else tensor.numpy()
            file.create_dataset(f"{name}/{name}_{kind}:0" if kind == "bias" else f"{name}/uniform:0", data=array)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "squeezenet.h5"
    write_keras(path, SqueezeNet().state_dict())
    return path


def test_squeezenet_has_the_published_number_of_parameters_and_512_features() -> None:
    network = SqueezeNet()
    assert sum(p.numel() for p in network.parameters()) == 722_496
    assert network(torch.zeros(2, 3, 64, 64)).shape == (2, 512)
    assert len(FIRES) == 8


def test_the_file_of_keras_gives_the_same_features_with_blue_first_and_means_taken_off(weights: Path) -> None:
    network = SqueezeNet()
    network.load_state_dict(read_keras_squeezenet(weights)[1])
    images = np.random.default_rng(0).integers(0, 256, (3, 128, 128, 3), np.uint8)
    bgr = images[..., ::-1].astype(np.float32) - np.array(MEANS, np.float32)
    with torch.no_grad():
        expected = network(torch.from_numpy(bgr.transpose(0, 3, 1, 2).copy())).numpy()
    features = load_features(f"squeezenet11:{weights}")
    np.testing.assert_allclose(features(images), expected, rtol=1e-3, atol=1e-3)
    assert features.name == "squeezenet11"
    assert features(images[:, ::2, ::2]).shape == (3, 512)


def test_the_unit_distance_is_of_directions_and_a_mean_over_places_and_layers() -> None:
    one, two = torch.zeros(1, 2, 1, 2), torch.zeros(1, 2, 1, 2)
    one[0, 0] = 3.0  # (3, 0) at both places
    two[0, :, 0, 0] = torch.tensor([0.5, 0.0])  # the same direction
    two[0, :, 0, 1] = torch.tensor([0.0, 7.0])  # at a right angle
    assert float(unit_distance([(one, two)])) == pytest.approx((0 + 2) / 2)
    assert float(unit_distance([(one, two), (one, one)])) == pytest.approx(0.5)
    assert float(unit_distance([(one, 5 * one)])) == pytest.approx(0)
    assert float(unit_distance([(0 * one, 0 * one)])) == 0


def test_the_perceptual_distance_is_nought_for_equal_faces_and_grows_with_noise(weights: Path) -> None:
    features = SqueezeNetFeatures(weights)
    faces = plain_faces(20, size=64).images
    rng = np.random.default_rng(0)
    noisy = [(faces + rng.normal(0, s, faces.shape)).clip(0, 255).astype(np.uint8) for s in (5, 40)]
    assert (features.distance(faces, faces) == 0).all()
    little, much = (features.distance(faces, other) for other in noisy)
    assert little.shape == (20,)
    assert (little < much).all()
    assert (little > 0).all()
    assert (much < 2).all()
    np.testing.assert_allclose(features.distance(noisy[0], faces), little, rtol=1e-4)
    metrics = evaluate(editor_of(Perfect()), plain_faces(60), judge=BrightnessJudge(), features=features)
    assert metrics["reconstruction.perceptual.squeezenet11"]["value"] == pytest.approx(0, abs=1e-6)
    without = evaluate(editor_of(Perfect()), plain_faces(60), judge=BrightnessJudge())
    assert "squeezenet11:FILE.h5" in without.not_computed["reconstruction.perceptual"]


def test_a_feature_network_that_cannot_be_had_says_what_to_do(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="no feature network 'inception': give inception:FILE"):
        load_features("inception")
    with pytest.raises(VisagistError, match="name the HDF5 file"):
        load_features(f"squeezenet11:{tmp_path / 'absent.h5'}")
    (tmp_path / "text.h5").write_text("no weights")
    with pytest.raises(VisagistError, match="does not hold SqueezeNet"):
        load_features(f"squeezenet11:{tmp_path / 'text.h5'}")
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["conv1/kernel"] = np.zeros((3, 3, 3, 64), np.float32)
    with pytest.raises(VisagistError, match="does not hold SqueezeNet"):
        load_features(f"squeezenet11:{tmp_path / 'other.h5'}")


@pytest.mark.data
def test_real_features_set_photographs_apart_from_blurred_ones_but_not_from_other_photographs(real_data: Path) -> None:
    path = real_data / "weights/squeezenet11_imagenet/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"
    faces = load_data(f"celeba:{real_data / 'celeba'}", image_size=64)
    rows = faces.indices("test")[:1200]
    read = SqueezeNetFeatures(path)
    photos = read(faces.images[rows]).astype(np.float64)
    x = torch.from_numpy(faces.images[rows[:600]]).permute(0, 3, 1, 2).float()
    blurred = torch.nn.functional.avg_pool2d(x, 5, 1, 2).byte().permute(0, 2, 3, 1).numpy()
    floor = frechet_distance(photos[:600], photos[600:])
    assert frechet_distance(read(blurred).astype(np.float64), photos[600:]) > 2 * floor


class Colours:
    """The mean of either half of a face: two features."""

    name = "halves"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        halves = np.split(images.astype(np.float32), 2, axis=1)
        return np.stack([half.mean((1, 2, 3)) for half in halves], 1)


def test_in_a_report_reconstructions_edits_and_the_floor_are_what_they_must_be() -> None:
    faces = plain_faces(240)
    faces.split[120:] = 0

    def measured(method: DoNothing) -> Metrics:
        return evaluate(editor_of(method), faces, judge=BrightnessJudge(), features=Colours())

    perfect, nothing = measured(Perfect()), measured(DoNothing())
    assert perfect["realism.halves.reconstruction.frechet"]["value"] == pytest.approx(0, abs=1e-6)
    floor = perfect["realism.halves.floor.frechet"]
    assert (floor["n"], perfect.not_computed.get("realism.halves.floor at full n")) == (120, None)
    for value in (0, 1):
        key = f"realism.halves.Smiling.to_{value}"
        assert nothing[f"{key}.frechet"]["value"] > 20 * max(floor["value"], perfect[f"{key}.frechet"]["value"])
        assert nothing[f"{key}.kid"]["low"] > perfect[f"{key}.kid"]["high"]
        assert perfect[f"{key}.kid"]["low"] == perfect[f"{key}.kid"]["high"], "of so few faces no interval holds"
        assert "87 to 94 times" in perfect.not_computed[f"{key}.*: intervals"]
    assert perfect.manifest["features"] == {"name": "halves", "weights_sha256": None}
    assert "realism.halves.samples.frechet" not in perfect


def test_too_few_faces_and_no_network_are_named() -> None:
    few = evaluate(editor_of(Perfect()), plain_faces(40), judge=BrightnessJudge(), features=Colours())
    assert "40 faces are too few" in few.not_computed["realism.*"]
    without = evaluate(editor_of(Perfect()), plain_faces(60), judge=BrightnessJudge())
    assert "--features" in without.not_computed["realism.*"]
    halves = evaluate(editor_of(Perfect()), plain_faces(120), judge=BrightnessJudge(), features=Colours())
    assert halves["realism.halves.floor.frechet"]["n"] == 60
    assert "halves" in halves.not_computed["realism.halves.floor at full n"]


def test_samples_are_compared_where_a_model_makes_them() -> None:
    faces = plain_faces(60)
    editor = Editor(tiny_model(IFcVAEGAN).eval())
    found = evaluate(editor, faces, judge=BrightnessJudge(), features=Colours())
    assert found["realism.halves.samples.frechet"]["value"] > 0
    again = evaluate(editor, faces, judge=BrightnessJudge(), features=Colours())
    assert again["realism.halves.samples.frechet"] == found["realism.halves.samples.frechet"], "noise is the seed's alone"


def test_a_model_that_only_samples_is_measured_by_its_samples_and_by_nothing_else() -> None:
    """It has no reconstructions, and photographs must not stand in for them: a distance of 0, a cosine of 1."""
    faces = plain_faces(60)
    editor = Editor(tiny_model(DCGAN, (), faces.image_size), name="gan")
    found = evaluate(editor, faces, judge=BrightnessJudge(), features=Colours(), identity=lambda images: Colours()(images))
    assert found["realism.halves.samples.frechet"]["value"] > 0
    measured = {key.rpartition(".")[0] for key in found.values}
    assert not any("reconstruction" in key or key.startswith("edit") for key in measured)
    for key in ("reconstruction.*", "realism.halves.reconstruction.*", "identity.reconstruction", "edit.*"):
        assert "dcgan" in found.not_computed[key]
