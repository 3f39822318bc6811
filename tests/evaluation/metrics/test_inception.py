"""The inception score where it is known, and in a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces
from tiny_models import tiny_model

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.onnx import MEAN, SCALE, OnnxClassifier
from visagist.evaluation.metrics.distribution import HOW_CLASSIFIER as HOW
from visagist.evaluation.metrics.distribution import inception_score
from visagist.methods.dcgan import DCGAN


def test_the_score_is_the_number_of_classes_at_best_and_one_at_worst() -> None:
    assert inception_score(np.eye(5).repeat(7, 0)) == pytest.approx(5)
    assert inception_score(np.full((9, 5), 0.2)) == pytest.approx(1)
    assert inception_score(np.tile([1.0, 0.0], (9, 1))) == pytest.approx(1)
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    marginal = p.mean(0)
    assert inception_score(p) == pytest.approx(np.exp((p * np.log(p / marginal)).sum(1).mean()))


class Brightness(OnnxClassifier):
    """Three classes by how bright an image is; no file."""

    def __init__(self) -> None:
        self.name = "brightness"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)[np.digitize(images.mean((1, 2, 3)), [90, 160])]


def test_a_report_has_the_photographs_score_beside_that_of_samples() -> None:
    faces = plain_faces(60)
    found = evaluate(
        Editor(tiny_model(DCGAN, (), faces.image_size), name="gan"), faces, judge=BrightnessJudge(), classifier=Brightness()
    )
    photographs, samples = (found[f"inception.brightness.{which}"] for which in ("photographs", "samples"))
    assert photographs["n"] == samples["n"] == 60
    assert photographs["low"] <= photographs["value"] <= photographs["high"]
    assert samples["value"] == pytest.approx(1), "an untrained network paints one grey"
    assert photographs["value"] > 1.2
    without = evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge())
    assert without.not_computed["inception.*"] == HOW


class Session:
    """What of onnxruntime a classifier uses; the outputs are the image's mean colours."""

    def __init__(self, outputs: Any) -> None:
        self.outputs, self.seen = outputs, np.zeros(0)

    def run(self, names: None, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
        self.seen = fed["x"]
        return [self.outputs(fed["x"])]


def classifier_of(outputs: Any) -> OnnxClassifier:
    found = OnnxClassifier.__new__(OnnxClassifier)
    found.name, found.entry, found.size, found.batch_size, found.box = "net", "x", 8, 64, (0.0, 0.0, 1.0, 1.0)
    found.mean, found.scale, found.session = MEAN, SCALE, Session(outputs)
    return found


def test_pixels_are_standardised_by_channel_and_logits_become_probabilities() -> None:
    images = np.zeros((2, 8, 8, 3), np.uint8)
    images[1] = (255, 128, 0)
    net = classifier_of(lambda x: x.mean((2, 3)))
    found = net(images)
    standardised = (images[:, 0, 0] - MEAN) / SCALE
    np.testing.assert_allclose(net.session.seen[:, :, 4, 4], standardised, rtol=1e-5)
    np.testing.assert_allclose(found, np.exp(standardised) / np.exp(standardised).sum(1, keepdims=True), rtol=1e-4)
    already = classifier_of(lambda x: np.tile(np.float32([0.2, 0.8]), (len(x), 1)))(images)
    np.testing.assert_allclose(already, [[0.2, 0.8]] * 2)
    with pytest.raises(VisagistError, match="net gives one number an image"):
        classifier_of(lambda x: np.ones((len(x), 1), np.float32))(images)


def test_a_classifier_that_is_not_there_is_named(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(VisagistError, match=r"no ONNX file .*absent\.onnx"):
        OnnxClassifier(tmp_path / "absent.onnx")
