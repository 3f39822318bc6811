"""Progress: one bar for each stage, and lines for whoever takes them."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from visagist.data import load_data
from visagist.progress import Progress, StageBars, progress_of


def test_each_stage_has_a_bar_that_ends_before_the_next_begins(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with StageBars(said.append) as progress:
        progress.stage("reading")
        progress.stage("reading", 4, "faces")
        progress.advance(4)
        progress.message("half way")
        progress.stage("fitting", 2)
        progress.report(2)
    shown = capfd.readouterr().err
    assert said == ["half way"]
    assert shown.count("reading") == 1
    assert shown.index("reading") < shown.index("fitting")
    assert shown.count("100%") == 2


def test_without_bars_the_lines_are_said_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    with progress_of(None, say=said.append) as progress:
        progress.stage("reading", 4)
        progress.message("done")
    assert said == ["done"]
    assert not capfd.readouterr().err


@pytest.mark.parametrize("progress", [Progress(), StageBars(show=False), None])
def test_skipped_pictures_are_logged_where_nobody_takes_the_lines(
    progress: Progress | None, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _write_pictures(tmp_path / "faces")
    with caplog.at_level(logging.WARNING):
        load_data(f"folder:{tmp_path / 'faces'}", image_size=16, on_bad="skip", progress=progress)
    assert "skipped" in caplog.text


def _write_pictures(folder: Path) -> None:
    for part in ("a", "b"):
        (folder / part).mkdir(parents=True)
        for number in range(20):
            pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / part / f"{number}.png")
    (folder / "a" / "broken.png").write_bytes(b"no picture")
