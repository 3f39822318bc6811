"""The judges: their training, their scores, their own accuracy, and how they are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from visagist.attributes import THRESHOLD
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.evaluation.judge_accuracy import evaluate_judge
from visagist.evaluation.results import find_metric
from visagist.evaluation.session import EvaluationSettings
from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE, AttributeJudge, Judge, load_judge
from visagist.judges.attribute import AttributeJudgeConfig
from visagist.judges.augmentation import mix_up, rotate_shift_erase, stretch_gamma_shade
from visagist.judges.judge import is_judge
from visagist.reproduction.verdicts import DECLARED
from visagist.training.config import TrainingConfig
from visagist.training.precision import has_bf16
from visagist.training.trainer import train_model

NAMES = ("Bright", "Random")
TINY = AttributeJudgeConfig(stem=8, widths=(8, 8, 8), depths=(1, 1, 1), hidden=8, dropout=0.0, learning_rate=1e-2)


def bright_and_dark(number: int) -> Faces:
    """Grey pictures of two brightnesses: `Bright` can be read, `Random` cannot."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (number, 2)).astype(np.uint8)
    grey = 60 + 120 * labels[:, :1, None, None] + rng.integers(0, 20, (number, 32, 32, 3))
    split = (np.arange(number) % 3).astype(np.uint8)
    return Faces(grey.astype(np.uint8), labels, NAMES, split, tuple(map(str, range(number))))


@pytest.fixture(scope="module", params=["squeeze_excite_resnet", "plain_conv"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = AttributeJudgeConfig(**{**TINY.__dict__, "architecture": request.param})
    run = tmp_path_factory.mktemp("judge")
    training = TrainingConfig(images=1200, batch_size=24, schedule="cosine", ema_decay=0.9, horizontal_flip=False)
    train_model(AttributeJudge(config, NAMES, 32), bright_and_dark(240), training, run / "run")
    return run / "run"


def test_a_trained_judge_reads_what_can_be_read_and_not_what_cannot(trained: Path) -> None:
    found = evaluate_judge(load_judge(trained), bright_and_dark(600), EvaluationSettings()).metrics
    assert found["judge.Bright.accuracy"]["value"] > 0.97
    assert 0.35 < found["judge.Random.balanced_accuracy"]["value"] < 0.65
    mean = (found["judge.Bright.accuracy"]["value"] + found["judge.Random.accuracy"]["value"]) / 2
    assert found["judge.accuracy"]["value"] == pytest.approx(mean)


def test_scores_do_not_depend_on_batching_or_on_the_form_of_the_images(trained: Path) -> None:
    judge, images = load_judge(trained), bright_and_dark(20).images
    scores = judge.score(images)
    assert scores.shape == (20, 2)
    np.testing.assert_allclose(judge.score(images, batch_size=7), scores, atol=1e-5)
    floats = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    np.testing.assert_allclose(judge.score(floats), scores, atol=1e-5)


def test_a_face_and_its_mirror_image_score_alike(trained: Path) -> None:
    judge, images = load_judge(trained), bright_and_dark(6).images
    np.testing.assert_allclose(judge.score(images[:, :, ::-1].copy()), judge.score(images), atol=1e-5)


def test_a_judge_is_told_from_a_folder_that_holds_none(trained: Path, tmp_path: Path) -> None:
    assert is_judge(trained)
    assert not is_judge(tmp_path)
    with pytest.raises(VisagistError, match="no judge"):
        load_judge(tmp_path / "nowhere")


def test_a_judge_that_shares_no_attribute_with_the_faces_is_refused(trained: Path) -> None:
    faces = bright_and_dark(12)
    strangers = Faces(faces.images, faces.labels, ("A", "B"), faces.split, faces.files)
    with pytest.raises(VisagistError, match="shares no attribute"):
        evaluate_judge(load_judge(trained), strangers, EvaluationSettings())


class Wrong(Judge):
    """Says the opposite of `Bright` for every fourth face and the truth otherwise."""

    def __init__(self, faces: Faces) -> None:
        self.name, self.description, self.attributes, self.image_size = "wrong", {"weights_sha256": ""}, NAMES, 32
        self.labels = faces.take(faces.indices("test")).labels.astype(np.float32)

    def score(self, images: object, batch_size: int = 200) -> np.ndarray:
        said = self.labels.copy()
        said[::4, 0] = 1 - said[::4, 0]
        return said


def test_a_known_share_of_errors_is_found() -> None:
    faces = bright_and_dark(300)
    found = evaluate_judge(Wrong(faces), faces, EvaluationSettings()).metrics
    assert found["judge.Bright.accuracy"]["value"] == pytest.approx(0.75)
    assert found["judge.Random.accuracy"]["value"] == 1.0
    assert all(find_metric(key, DECLARED) for key in found.values)
    assert found["judge.Bright.accuracy"]["low"] < 0.75 < found["judge.Bright.accuracy"]["high"]


def test_a_score_of_one_half_reads_as_present_as_everywhere() -> None:
    faces = bright_and_dark(300)
    judge = Wrong(faces)
    judge.labels[:] = THRESHOLD
    found = evaluate_judge(judge, faces, EvaluationSettings()).metrics
    present = faces.take(faces.indices("test")).labels.mean(0)
    assert [found[f"judge.{name}.accuracy"]["value"] for name in NAMES] == pytest.approx(present)


@pytest.mark.parametrize("augment", [rotate_shift_erase, stretch_gamma_shade])
def test_augmentation_keeps_pixels_in_range_and_changes_each_face_differently(augment: object) -> None:
    torch.manual_seed(0)
    face = torch.rand(1, 3, 32, 32).repeat(8, 1, 1, 1)
    changed = augment(face)  # type: ignore[operator]
    assert changed.shape == face.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert len({round(float(part.sum()), 3) for part in changed}) == 8


def test_mixed_faces_are_blends_of_two_and_their_labels_the_same_blends() -> None:
    torch.manual_seed(0)
    faces = torch.eye(12).view(12, 12, 1, 1).expand(12, 12, 2, 2)
    x, y = mix_up(faces, torch.eye(12), alpha=1.0)
    torch.testing.assert_close(x[:, :, 0, 0], y)
    torch.testing.assert_close(y.sum(1), torch.ones(12))
    assert (y > 0).sum(1).max() == 2
    assert len(set(y.max(1).values.tolist())) > 6, "each face has a share of its own"


@pytest.mark.parametrize("architecture", ["squeeze_excite_resnet", "plain_conv"])
def test_depths_say_how_many_blocks_or_convolutions_each_width_has(architecture: str) -> None:
    def convolutions(depths: tuple[int, ...]) -> int:
        config = AttributeJudgeConfig(**{**TINY.__dict__, "architecture": architecture, "depths": depths})
        judge = AttributeJudge(config, NAMES, 32).eval()
        assert judge(torch.rand(2, 3, 32, 32)).shape == (2, 2)
        return sum(isinstance(m, torch.nn.Conv2d) and m.kernel_size == (3, 3) for m in judge.modules())

    each = 2 if architecture == "squeeze_excite_resnet" else 1
    assert convolutions((2, 1, 3)) - convolutions((1, 1, 1)) == 3 * each
    with pytest.raises(VisagistError, match=r"depths \(1, 1\) do not fit widths \(8, 8, 8\)"):
        convolutions((1, 1))


@pytest.mark.parametrize("architecture", ["squeeze_excite_resnet", "plain_conv"])
@pytest.mark.parametrize("fold", [1, 2])
def test_unfolded_judges_see_every_pixel_in_its_place(architecture: str, fold: int) -> None:
    config = AttributeJudgeConfig(**{**TINY.__dict__, "architecture": architecture, "fold": fold})
    judge = AttributeJudge(config, NAMES, 32).eval()
    seen: list[tuple[int, ...]] = []
    first = next(m for m in judge.modules() if isinstance(m, torch.nn.Conv2d))
    first.register_forward_hook(lambda module, given, result: seen.append(tuple(given[0].shape[1:])))
    assert judge(torch.rand(2, 3, 32, 32)).shape == (2, 2)
    assert set(seen) == {(3 * fold**2, 32 // fold, 32 // fold)}


def test_a_judge_learns_from_mixed_faces(tmp_path: Path) -> None:
    config = AttributeJudgeConfig(**{**TINY.__dict__, "mixup": 0.2})
    training = TrainingConfig(images=1200, batch_size=24, schedule="cosine", ema_decay=0.9, horizontal_flip=False)
    train_model(AttributeJudge(config, NAMES, 32), bright_and_dark(240), training, tmp_path / "run")
    found = evaluate_judge(load_judge(tmp_path / "run"), bright_and_dark(600), EvaluationSettings()).metrics
    assert found["judge.Bright.accuracy"]["value"] > 0.95


def test_images_that_may_not_be_written_are_scored_all_the_same(trained: Path) -> None:
    judge, images = load_judge(trained), bright_and_dark(4).images
    expected = judge.score(images)
    images.flags.writeable = False
    np.testing.assert_array_equal(judge.score(images), expected)


def test_a_limit_takes_that_many_faces(trained: Path) -> None:
    metrics = evaluate_judge(load_judge(trained), bright_and_dark(90), EvaluationSettings(limit=12)).metrics
    assert metrics["judge.accuracy"]["n"] == 12


def test_a_size_that_does_not_fit_a_judge_is_refused() -> None:
    with pytest.raises(VisagistError, match="image_size 100 does not fit this judge: use a multiple of 16"):
        AttributeJudge(AttributeJudgeConfig(), NAMES, 100)


@pytest.mark.data
@pytest.mark.skipif(not has_bf16(torch.device("cpu")), reason="this CPU has no native bfloat16")
@pytest.mark.parametrize("name", [SCORING_JUDGE, CALIBRATING_JUDGE])
def test_bfloat16_changes_hardly_a_reading_of_real_faces(name: str, real_data: Path) -> None:
    faces = load_data(f"celeba:{real_data / 'celeba'}", image_size=64)
    images = faces.images[faces.indices("test")[:1000]]
    exact, fast = (load_judge(name, precision=precision).score(images) for precision in ("fp32", "bf16"))
    changed = ((exact >= 0.5) != (fast >= 0.5)).mean()
    print(f"{name}: {changed:.4%} of {exact.size} readings change, by {np.abs(exact - fast).mean():.5f} in the mean")
    assert 0 < np.abs(exact - fast).max() < 0.1
    assert changed < 0.002
