from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visagist.errors import VisagistError
from visagist.evaluation import OnnxEmbedder
from visagist.evaluation.metrics.identity import cosine


def test_cosines_are_taken_row_by_row_whatever_the_length() -> None:
    a = np.array([[1.0, 0.0], [2.0, 2.0], [0.0, 3.0]])
    b = np.array([[5.0, 0.0], [-1.0, -1.0], [4.0, 0.0]])
    assert cosine(a, b).tolist() == pytest.approx([1, -1, 0])


def test_an_embedder_that_cannot_be_had_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match=r"pip install|name the file"):
        OnnxEmbedder(tmp_path / "absent.onnx")
