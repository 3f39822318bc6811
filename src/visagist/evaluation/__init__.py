"""How good a model is, by judges that did not train it: `evaluate` and what it returns."""

from __future__ import annotations

from visagist.evaluation.features import load_features
from visagist.evaluation.identity import OnnxEmbedder
from visagist.evaluation.intervals import Measure
from visagist.evaluation.protocol import evaluate
from visagist.evaluation.results import Metrics

__all__ = ["Measure", "Metrics", "OnnxEmbedder", "evaluate", "load_features"]
