"""How good a model is, by judges that did not train it: `evaluate` and what it returns."""

from __future__ import annotations

from visagist.evaluation.evaluate import evaluate
from visagist.evaluation.extractors.onnx import OnnxEmbedder
from visagist.evaluation.extractors.squeezenet import load_features
from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import Measure

__all__ = ["Measure", "Metrics", "OnnxEmbedder", "evaluate", "load_features"]
