"""Event files that TensorBoard reads, and a disk that fails under them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from visagist.training.board import Board


def test_tensorboard_reads_what_was_logged_and_forgets_what_a_resumed_run_repeats(tmp_path: Path) -> None:
    for purge_step, steps in ((1, (8, 16, 24)), (9, (16,))):
        board = Board(tmp_path, purge_step)
        for step in steps:
            board.add_scalars({"train/rec": step / 2}, step)
        board.close()
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("train/rec")] == [(8, 4.0), (16, 8.0)]


@pytest.fixture
def small_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_disk_that_fails_is_an_error_where_a_value_is_logged(tmp_path: Path, small_files: None) -> None:
    board = Board(tmp_path, 1)
    values = {f"train/{number}": 1.0 for number in range(100)}
    with pytest.raises(OSError, match="File too large"):
        board.add_scalars(values, 1)
    with pytest.raises(OSError, match="File too large"):
        board.close()
