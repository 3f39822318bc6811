"""On a phone and on a desk no page is wider than the window, and pictures stand in rows that are full."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from test_escaping import PAGES

from visagist.reports import html

PHONE, DESK = 390, 1280
FACE = np.zeros((4, 4, 3), np.uint8)
WIDER = "document.documentElement.scrollWidth > innerWidth"
CUT = """() => [...document.querySelectorAll('main *')].filter(
  e => e.clientWidth && e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""
ROWS = """name => Object.values(
  Object.groupBy(document.querySelectorAll(name), e => Math.round(e.getBoundingClientRect().top)))
  .map(row => row.length)"""


def open_at(browser: Any, width: int, path: Path) -> Any:
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.goto(path.as_uri())
    return page


def demo() -> str:
    shown = dict.fromkeys(("render", "detail", "residual"), "")
    frame = {"strength": "−1.00", "score": "97 %", "share": 97.0, "change": "18 %", **shown}
    lines = [(label, "33 %", [FACE] * 8) for label in ("input", "reconstruction", "at −1", "at +1")]
    return html.render(
        "demo.html", attribute="Smiling", model="ifcvae-gan-factored-64", judge="judge-64", scoring_judge="judge-64",
        photo=FACE, photo_score="100 %", reconstruction=FACE, reconstruction_score="96 %", drawn=8, faces=2,
        photographs=[("photograph", FACE)] * 3, sheet=lines, frames=[frame] * 9, terms="terms", seconds="9",
    )  # fmt: skip


def test_no_page_is_wider_than_the_window(browser: Any, tmp_path: Path) -> None:
    for name, make in {**PAGES, "demo": demo}.items():
        (path := tmp_path / f"{name}.html").write_text(make())
        for width in (PHONE, DESK):
            page = open_at(browser, width, path)
            assert not page.evaluate(WIDER), f"{name} at {width} pixels"
            page.close()


def test_nothing_of_the_demo_is_cut_and_its_rows_are_full(browser: Any, tmp_path: Path) -> None:
    (path := tmp_path / "demo.html").write_text(demo())
    for width, strengths, drawn in ((PHONE, [3] * 3, [4] * 8), (DESK, [9], [8] * 4)):
        page = open_at(browser, width, path)
        assert page.evaluate(CUT) == [], f"at {width} pixels"
        assert page.evaluate(ROWS, ".row figure img") == strengths
        assert page.evaluate(ROWS, ".sheet img") == drawn
        page.close()
