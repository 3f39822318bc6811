"""The peak of memory that a piece of work takes is what it holds at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from visagist.evaluation.metrics.cost import CLEAR, MIB, peak_of

pytestmark = pytest.mark.skipif(not Path(CLEAR).exists(), reason="needs Linux's /proc")
CPU = torch.device("cpu")


def filled(mib: int) -> np.ndarray:
    return np.ones(mib * MIB, np.uint8)


def test_the_peak_is_what_is_held_at_once_and_not_what_was_held_before() -> None:
    before = filled(200)
    assert peak_of(lambda: filled(96), CPU) == pytest.approx(96, abs=8)
    # One after the other: never both at once.
    assert peak_of(lambda: [filled(64).sum() for _ in range(3)], CPU) == pytest.approx(64, abs=8)
    assert peak_of(lambda: [filled(32), filled(32)], CPU) == pytest.approx(64, abs=8)
    assert before[-1] == 1


def test_work_that_was_done_before_takes_as_much_again() -> None:
    for _ in range(4):  # the C library learns to keep pieces of this size
        filled(16)
    assert peak_of(lambda: filled(16), CPU) == pytest.approx(16, abs=4)


def test_what_takes_nothing_has_no_peak() -> None:
    found = peak_of(lambda: None, CPU)
    assert found is not None
    assert 0 <= found < 4


def test_other_devices_do_not_tell() -> None:
    assert peak_of(lambda: None, torch.device("meta")) is None
