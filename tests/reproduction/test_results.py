"""Frozen results: what is claimed and found, and that the page is made of the files and of nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from visagist import reproduction
from visagist.errors import VisagistError
from visagist.reproduction.claims import CLAIMS
from visagist.reproduction.claims.claim import AtLeast, Beats, Claim, Figures, Near, NotMeasured, _asked, find
from visagist.reproduction.files import SCHEMA_VERSION as OF_VERDICTS
from visagist.reproduction.findings import of_bench, of_reports, record_text
from visagist.reproduction.measures import _key, _keys
from visagist.reproduction.results import best_of, freeze, results_page

DOCS = Path(__file__).parents[2] / "docs"
LESS, MORE = (0.50, 0.52, 0.51), (0.90, 0.92, 0.91)


def cell(row: str, values: Iterable[float], key: str = "edit.Smiling.success_sum", **more: Any) -> dict[str, Any]:
    kept = {"better": "higher", "published": None, "verdict": "", "compared": None, "low": 0.0, "high": 1.0, "n": 9, **more}
    return {"row": row, "key": key, "values": list(values), **kept}


def record(*cells: dict[str, Any], name: str = "a/table1", scale: str = "study", seeds: int = 3) -> dict[str, Any]:
    facts = {"images": 1000, "published_images": 9000, "judged_faces": 9, "computed_in": "bf16", "seeds": seeds}
    rows = [{"row": row, **facts} for row in dict.fromkeys(entry["row"] for entry in cells)]
    return {"name": name, "scale": scale, "rows": rows, "cells": list(cells)}


def answer(check: Any, *cells: dict[str, Any]) -> str:
    claim = Claim("Table 1", "words", "a/table1", check, "why")
    return find(claim, {"a/table1": record(*cells)}).answer


def test_the_page_is_what_its_files_make_byte_for_byte() -> None:
    assert (DOCS / "results.md").read_bytes() == results_page(DOCS / "results").encode()


def test_a_frozen_file_holds_no_path_and_no_picture() -> None:
    for path in (DOCS / "results").glob("*.json"):
        text = path.read_text()
        assert path.stat().st_size < 2**18
        assert not any(word in text for word in ("base64", ".png", ".jpg", "/home/", "/root", "/tmp/"))
        assert not re.search(r"(?<![\w.])/\w+/", text), "a path from the root of a machine"


@pytest.mark.parametrize("paper", CLAIMS)
def test_every_claim_asks_for_figures_that_its_rows_have(paper: str) -> None:
    for claim in CLAIMS[paper]:
        assert claim.source
        assert claim.differs
        assert reproduction.get(claim.name).name == claim.name
        for name, row, key in _asked(claim):
            assert any(row == label and fnmatch(known, key) for label, known in _known(name)), (claim.words, row, key)


def _known(name: str) -> list[tuple[str, str]]:
    """Row and key of all figures of a name; a star in a key is a name of a network, or of a view."""
    one = reproduction.get(name)
    known = [(row.label, key) for row in one.rows for key in row.published]
    known += [(gain.row, key) for gain in one.gains for key in gain.published]
    known += [(view.label, "recognition.any.accuracy") for view in one.views]
    if one.correlated is not None:
        known += [(row.label, _key(row.label, key)) for row in one.rows for key in _keys(one.correlated, None)]
        known += [("labels", f"labels.{one.correlated.attribute}.{other}.correlation") for other in one.correlated.published]
    return known


def test_a_better_row_is_better_by_more_than_seeds_differ_and_one_seed_decides_nothing() -> None:
    better, row = Beats("edit.Smiling.success_sum", "ours", ("other",)), "ours"
    assert answer(better, cell(row, MORE), cell("other", LESS)) == "holds"
    assert answer(better, cell(row, LESS), cell("other", MORE)) == "does not hold"
    assert answer(better, cell(row, (0.4, 0.9, 0.6)), cell("other", LESS)) == "open: within the spread of the seeds"
    assert answer(better, cell(row, MORE[:1]), cell("other", LESS[:1])) == "open, one seed: no spread to judge by"
    assert answer(better, cell(row, MORE)).startswith("not run yet")
    lower = Beats("edit.Smiling.success_sum", "ours", ("other",), lower=True)
    assert answer(lower, cell(row, LESS), cell("other", MORE)) == "holds"
    assert answer(better, cell(row, (1.0, 1.0)), cell("other", (0.5, 0.5))) == "holds", "no spread at all"


def test_a_figure_is_near_a_value_or_another_row_within_what_is_allowed() -> None:
    key = "edit.Smiling.success_sum"
    assert answer(Near("ours", key, 0.9, 0.1), cell("ours", MORE)) == "holds"
    assert answer(Near("ours", key, 0.5, 0.1), cell("ours", MORE)) == "does not hold"
    assert answer(Near("ours", key, "other", 0.1), cell("ours", MORE), cell("other", MORE)) == "holds"
    assert answer(AtLeast("ours", key, 0.8), cell("ours", MORE)) == "holds"
    assert answer(AtLeast("ours", key, 0.8), cell("ours", LESS)) == "does not hold"
    assert answer(NotMeasured("no way"), cell("ours", MORE)) == "not measured: no way"


def test_published_figures_are_counted_by_their_verdicts() -> None:
    asked = Figures((("ours", "a"), ("ours", "b")))
    pair = cell("ours", MORE, "a", compared="reached"), cell("ours", MORE, "b", compared="short by 0.1")
    assert answer(asked, *pair) == "1 of 2 as good as published, within our interval"
    assert answer(asked, cell("ours", MORE, "a"), cell("ours", MORE, "b")).startswith("nothing to compare")


def test_of_a_name_the_record_with_most_seeds_is_told_and_of_equals_the_larger_scale() -> None:
    small, study = (record(cell("ours", MORE), scale=scale) for scale in ("small", "study"))
    assert best_of([small, study])["a/table1"]["scale"] == "study"
    whole = find(
        Claim("Table 1", "words", "a/table1", AtLeast("ours", "edit.Smiling.success_sum", 0.8), "why"), {"a/table1": study}
    )
    assert (whole.images, whole.published) == ((1000, 1000), (9000, 9000)), "of what the paper saw"
    early = record(cell("ours", MORE[:1]), scale="study", seeds=1)
    assert best_of([early, small])["a/table1"]["scale"] == "small"


def verdicts(folder: Path) -> None:
    measure = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 9}
    entry = {
        "name": "ifcvae-gan/table1", "title": "Title", "source": "Paper", "scale": "study", "seed": 0, "seeds": [0, 1],
        "unfinished": [], "seconds": 1.0, "written": "today", "notes": ["a note"],
        "command": "visagist reproduce x --data celeba:/home/me/celeba",
        "machine": {"platform": "host", "processor": "chip", "cpus": 2, "gpu": None}, "versions": {"torch": "2"},
        "data": {"given": "celeba:/home/me", "source": "celeba", "crop": None, "image_size": 64,
                 "faces": {"train": 5, "test": 9}},
        "pictures": [{"title": "t", "file": "pictures/a.png", "words": "w"}],
        "rows": [{"row": "ours", "recipe": "r", "run": "runs/a", "runs": ["runs/a", "runs/b"], "images": 1000,
                  "published_images": 9000, "judged_faces": 9, "judge": "judge-64", "commands": ["/home/me"]}],
        "cells": [{"row": "ours", "key": "edit.Smiling.success_sum", "better": "higher", "published": 1.8, "ours": measure,
                   "verdict": "not comparable because a part", "compared": "short by 0.9",
                   "between_runs": {"mean": 0.91, "sd": 0.01, "values": [0.9, 0.92]}}],
    }  # fmt: skip
    text = json.dumps({"schema_version": OF_VERDICTS, "reproductions": [entry]})
    (folder / "verdicts.json").write_text(text)


def test_freezing_keeps_figures_over_seeds_and_leaves_paths_and_pictures_out(tmp_path: Path) -> None:
    verdicts(tmp_path)
    (path,) = freeze(tmp_path, tmp_path / "results")
    text = path.read_text()
    assert path.name == "ifcvae-gan-table1-study.json"
    assert "/home" not in text
    assert "pictures" not in text
    assert "host" not in text
    assert json.loads(text)["cells"][0]["values"] == [0.9, 0.92]
    page = results_page(tmp_path / "results")
    assert "| ours | `edit.Smiling.success_sum` | 1.8 | 0.91 ± 0.014 | 2 | not comparable because a part; otherwise" in page
    assert freeze(tmp_path, tmp_path / "results") == [path], "again"
    with pytest.raises(VisagistError, match="holds no figures to freeze"):
        freeze(tmp_path / "results", tmp_path / "other")


def test_a_bench_is_frozen_by_method_correlation_and_setting(tmp_path: Path) -> None:
    measure = {"paper": {"reach": {"value": 0.5}, "confusion.Wearing_Hat": {"value": 0.1}}, "code": {}}
    lines = [{"method": "vae", "planted": 0.5, "seed": seed, "measures": measure} for seed in (0, 1)]
    plan = {"pair": ["No_Beard", "Wearing_Hat"], "seed": 0, "seeds": 2, "size": 32}
    manifest = {"plan": plan, "command": "visagist bench vae --out x", "budget_images": 12, "test_faces": {"n": 3}}
    (tmp_path / "bench.json").write_text(json.dumps({"lines": lines, "manifest": manifest}))
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "bench.json").write_text(record_text(of_bench([tmp_path], "bench", "A bench")))
    page = results_page(tmp_path / "results")
    assert "| vae, planted 0.5, paper | 0.1 ± 0 | 0.5 ± 0 |" in page
    assert "- A bench (2 seeds)" in page
    assert "`visagist bench vae`: 2 seeds" in page


def test_reports_of_seeds_are_laid_out_by_row_and_part_and_what_none_has_is_an_error(tmp_path: Path) -> None:
    paths = []
    for seed, value in enumerate((0.1, 0.3)):
        metrics = {"direction.A.mean.err": {"value": value}, "direction.A.svm.err": {"value": 1.0}}
        paths.append(tmp_path / f"{seed}.json")
        paths[-1].write_text(json.dumps({"metrics": metrics}))
    parts = {", mean": "direction.A.mean.", ", svm": "direction.A.svm.", ", lda": "direction.A.lda."}
    made = of_reports({"model": paths}, ["err", "other"], "own", "Own", "command", [], parts)
    assert made["rows"] == {"model, mean": {"err": [0.1, 0.3]}, "model, svm": {"err": [1.0, 1.0]}}
    assert made["seeds"] == [0, 1]
    with pytest.raises(VisagistError, match="have none of other"):
        of_reports({"model": paths}, ["other"], "own", "Own", "command", [])
