"""The inception score (Salimans et al., 2016, arXiv:1606.03498), by whatever ImageNet classifier a person has.

    IS = exp( E_x KL( p(y|x) || p(y) ) ),   p(y) = E_x p(y|x)

High where a classifier is sure of each image and of many different things over all of them. Of faces it says little: they
are all one kind of thing. It stands here because papers report it, with that of the photographs beside it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.evaluation.context import Images, Study
from visagist.evaluation.metrics.distribution import GROUPS
from visagist.evaluation.metrics.identity import OnnxEmbedder
from visagist.evaluation.statistics import Measure, jackknifed

NUMBER = 2000  # images, as of Hou et al. (2019)
MEAN = np.array([123.675, 116.28, 103.53], np.float32)  # of ImageNet's pixels, 0 to 255
SCALE = np.array([58.395, 57.12, 57.375], np.float32)
HOW = "no ImageNet classifier: give --classifier FILE.onnx (in Python classifier=OnnxClassifier('file.onnx'))"


class OnnxClassifier(OnnxEmbedder):
    """Class probabilities [N, K] of uint8 images [N, S, S, 3] by an ONNX classifier of one standardised RGB input.

    A row of outputs that is no distribution is taken for logits. VisagistError as of `OnnxEmbedder`.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__(path)
        self.name = Path(path).stem
        self.mean, self.scale = MEAN, SCALE

    def __call__(self, images: Images) -> NDArray[np.float32]:
        found = super().__call__(images)
        if found.shape[1] < 2:
            raise VisagistError(f"{self.name} gives one number an image: the inception score needs a classifier")
        if (found >= 0).all() and np.allclose(found.sum(1), 1, atol=1e-3):
            return found
        powers = np.exp(found - found.max(1, keepdims=True))
        return np.asarray(powers / powers.sum(1, keepdims=True))


def inception_score(probabilities: NDArray[np.floating]) -> float:
    """The score of class probabilities [N, K]; from 1 to K."""
    p = np.asarray(probabilities, np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def measure_inception(study: Study, classifier: OnnxClassifier | None) -> None:
    """`inception.CLASSIFIER.*`: of samples and of the photographs, of as many of either, at most `NUMBER`."""
    results = study.results
    if classifier is None:
        results.not_computed["inception.*"] = HOW
        return
    key = f"inception.{classifier.name}"
    study.track.stage("inception score")
    photographs = study.faces.images[:NUMBER]
    results.values[f"{key}.photographs"] = _measured(classifier(photographs), study.seed)
    if study.can("generate"):
        results.values[f"{key}.samples"] = _measured(classifier(study.samples[:NUMBER]), study.seed)
    else:
        results.not_computed[f"{key}.samples"] = f"{study.editor.trained.name} does not generate"


def _measured(probabilities: NDArray[np.floating], seed: int) -> Measure:
    """The score with a 95 % interval from leaving out a tenth at a time; it grows with n, so only equal n compare."""
    whole = inception_score(probabilities)
    groups = np.random.default_rng(seed).permutation(len(probabilities)) % GROUPS
    left = [inception_score(probabilities[groups != g]) for g in range(GROUPS) if (groups == g).any()]
    return jackknifed(whole, left, len(probabilities), least=1.0)
