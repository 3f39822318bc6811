from __future__ import annotations

import time

import pytest

from visagist.evaluation.context import Stopwatch


def test_a_family_that_another_calls_for_counts_for_itself_alone() -> None:
    clock = Stopwatch()
    with clock.of("edits"):
        time.sleep(0.05)
        with clock.of("judge"):
            time.sleep(0.2)
        with clock.of("judge"):
            time.sleep(0.1)
    found = clock.seconds()
    assert list(found) == ["judge", "edits"]
    assert found["judge"]["wall"] >= 0.3
    assert 0.05 <= found["edits"]["wall"] < found["judge"]["wall"]
    assert found["judge"]["cpu"] < 0.1


def test_a_family_that_fails_is_over() -> None:
    clock = Stopwatch()
    with pytest.raises(KeyError), clock.of("edits"):
        raise KeyError
    with clock.of("leakage"):
        pass
    assert set(clock.seconds()) == {"edits", "leakage"}
