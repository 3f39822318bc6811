"""The counterfactual bench: from end to end with tiny models, and what it says where it cannot."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import Command

from visagist.bench import Plan, run_bench
from visagist.bench.measure import choose_rows, draw_fresh_faces, fit_amounts, probe_code
from visagist.bench.settings import BASES, eligible_methods, recipes_of
from visagist.data.drawn.synthetic import load_synthetic
from visagist.errors import VisagistError
from visagist.evaluation.metrics.counterfactual import FITTED, PAPER, PHOTOGRAPH, DrawnCounterfactuals, Shown
from visagist.evaluation.statistics import exact
from visagist.latent.codes import BATCH
from visagist.methods.base import Code
from visagist.networks.pretrained.vgg19 import VARIABLE
from visagist.reports.charts import line_chart

TINY = {"width": "2", "discriminator_width": "2", "latent": "4", "auxiliary_hidden": "8", "batch_size": "16"}
SETS = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
SMALL = ("--images", "240", "--faces", "60", "--test", "16", "--correlations", ".9", "--device", "cpu", *SETS)
HAT = "Wearing_Hat"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench") / "out"


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*") if path.is_file()}


def test_the_command_trains_measures_and_writes_one_page_and_does_nothing_twice(command: Command, out: Path) -> None:
    first = command("bench", "ifcvae-gan", "vae", *SMALL, "--out", out)
    assert first.status == 0, first.err
    assert "model 2 of 2: vae" in first.err
    assert first.out.rstrip().endswith("bench.html")
    before, figures = files(out), json.loads((out / "bench.json").read_text())["lines"]
    again = command("bench", "ifcvae-gan", "vae", *SMALL, "--out", out, "--json")
    assert again.err.count("is trained already") == 2
    assert files(out) == before
    assert json.loads(again.out)["lines"] == figures


@pytest.fixture(scope="module")
def result(out: Path) -> dict[str, Any]:
    plan = Plan(("ifcvae-gan", "vae"), correlations=(0.9,), images=240, faces=60, test=16, settings=TINY)
    return run_bench(plan, out, device="cpu", command="visagist bench")


def test_every_model_has_all_measures_at_all_settings(result: dict[str, Any]) -> None:
    assert [(line["method"], line["planted"]) for line in result["lines"]] == [("ifcvae-gan", 0.9), ("vae", 0.9)]
    assert [line["edits_by"] for line in result["lines"]] == ["its own edit", "its attribute vector"]
    for line in result["lines"]:
        assert line["images"] == 240
        assert line["correlation_of_training_labels"]["value"] > 0.6
        for setting in (PAPER, FITTED, PHOTOGRAPH):
            measures = line["measures"][setting]
            assert {"error", "progress", "reach", f"confusion.{HAT}", f"confusion_true.{HAT}"} <= set(measures)
            for key, m in [*measures.items(), *line["measures"]["code"].items()]:
                assert m["low"] - 1e-9 <= m["value"] <= m["high"] + 1e-9, key
        assert {m["n"] for m in line["measures"]["code"].values()} == {result["manifest"]["test_faces"]["probed"]} == {80}
    blurred = [line["measures"]["unedited"]["error_of_reconstruction"]["value"] for line in result["lines"]]
    for line, blur in zip(result["lines"], blurred):
        errors = [line["measures"][setting]["error"]["value"] for setting in (FITTED, PHOTOGRAPH)]
        assert errors[1] < errors[0] - blur / 2, "a kept picture is not blurred"
    assert result["manifest"]["training_faces"] == {"train": 48, "val": 6, "test": 6}
    assert result["manifest"]["regions_overlap"] == 0
    assert result["manifest"]["notes"] == []


def test_the_page_shows_pictures_first_loads_nothing_and_says_the_same_as_the_files(
    result: dict[str, Any], out: Path
) -> None:
    text = (out / "bench.html").read_text()
    assert text.count("<img ") == text.count('src="data:image/png;base64,') == 4 * (2 + 2)
    assert not re.search(r'(?:src|href)=(?!"data:)', text)
    assert text.index("<img ") < text.index("<svg ") < text.index("reach</th>") < text.index("<h2>Manifest")
    rows = list(csv.DictReader((out / "bench.csv").read_text().splitlines()))
    found = {(r["method"], float(r["planted"]), r["setting"], r["key"]): float(r["value"]) for r in rows}
    expected = {
        (line["method"], line["planted"], setting, key): m["value"]
        for line in result["lines"]
        for setting, measures in line["measures"].items()
        for key, m in measures.items()
    }
    assert found == expected
    assert (out / "bench.png").stat().st_size > 1000


def test_measuring_faces_are_fresh_and_independent() -> None:
    faces, seen = draw_fresh_faces(20, 16, 0), load_synthetic(20, image_size=16, seed=0)
    np.testing.assert_array_equal(faces.test.source.correlation, np.eye(8))
    own = {faces.test.source.seed, faces.fit.source.seed, faces.probed.source.seed}
    others = draw_fresh_faces(20, 16, 1)
    assert len(own | {0, others.test.source.seed, others.fit.source.seed, others.probed.source.seed}) == 7
    assert len(faces.probed.indices) == 100
    assert not (faces.test.photos == seen.images).all((1, 2, 3)).any()


class Fading:
    """Paints the true counterfactual at amount .25 toward 0 and at .75 toward 1, and too little or too much elsewhere."""

    attributes = ("No_Beard",)
    backend = SimpleNamespace(paper_amount=1.0)

    def can(self, capability: str) -> bool:
        return capability == "edit"

    def __init__(self, drawn: DrawnCounterfactuals) -> None:
        self.truth = drawn.flipped("No_Beard").astype(float)
        self.rows = {image.tobytes(): i for i, image in enumerate(drawn.photos)}

    def edit_arrays(self, images: Any, target: Any, amount: Any) -> Any:
        rows = [self.rows[image.tobytes()] for image in images]
        share = (amount[:, 0] / np.where(target[:, 0] > 0.5, 0.75, 0.25))[:, None, None, None]
        return (images + share * (self.truth[rows] - images)).clip(0, 255).astype(np.uint8)


def test_strength_is_fitted_by_the_truth() -> None:
    drawn = DrawnCounterfactuals(load_synthetic(16, image_size=16, seed=4))
    assert fit_amounts(Shown(drawn, Fading(drawn)), "No_Beard") == (0.25, 0.75)  # type: ignore[arg-type]


def test_what_a_code_holds_of_the_attribute_is_read_from_faces_of_their_own() -> None:
    drawn = DrawnCounterfactuals(load_synthetic(120, image_size=16, seed=5))
    bearded = torch.from_numpy(drawn.labels("No_Beard").astype(np.float32))
    held = torch.randn(120, 3, generator=torch.Generator().manual_seed(0))

    def read(z: torch.Tensor) -> dict[str, Any]:
        parts = iter(z.split(BATCH))
        backend = SimpleNamespace(encode=lambda x: Code(next(parts), None))
        editor: Any = SimpleNamespace(backend=backend, image_size=16, device=torch.device("cpu"))
        return {key: m["value"] for key, m in probe_code(editor, drawn, "No_Beard", 0).items()}

    told, untold = read(torch.cat([held, bearded[:, None]], 1)), read(held)
    assert set(told) == {f"{probe}.balanced_accuracy" for probe in ("linear", "mlp", "boosted", "kernel", "best")}
    assert min(told.values()) > 0.97
    assert max(untold.values()) < 0.68


def test_faces_that_are_shown_have_both_attributes_or_neither() -> None:
    drawn = DrawnCounterfactuals(load_synthetic(60, image_size=16, seed=2))
    rows = choose_rows(drawn, ("No_Beard", HAT), 4, 0)
    assert drawn.labels("No_Beard")[rows].tolist() == drawn.labels(HAT)[rows].tolist() == [False, False, True, True]


def test_all_that_edit_or_have_a_code_take_part_and_what_needs_a_network_is_left_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "nowhere.pth"))
    found, missing = recipes_of(Plan())
    assert set(BASES) <= set(eligible_methods()) == set(found) | set(missing)
    assert not {"dcgan", "wgan", "ls-gan"} & set(eligible_methods())
    assert set(missing) == {"dfc-vae", "vae-wgan"}
    assert all("nowhere.pth" in reason for reason in missing.values())
    assert {recipe.training.images for recipe in found.values()} == {30_000}
    assert {recipe.attributes for recipe in found.values()} == {("No_Beard",)}
    assert found["introvac"].config.vac_images == 10_000
    with pytest.raises(VisagistError, match="dfc-vae is left out"):
        recipes_of(Plan(("dfc-vae",)))
    taken, none = recipes_of(Plan(("dfc-vae",), settings={"feature_weights": "random"}))
    assert not none
    assert taken["dfc-vae"].config.feature_weights == "random"


def test_a_budget_may_be_in_minutes() -> None:
    recipe = recipes_of(Plan(("vac",), minutes=2.0))[0]["vac"]
    assert recipe.training.minutes == 2


def test_a_method_without_a_setting_goes_without_it() -> None:
    found, _ = recipes_of(Plan(("vae", "residual-gan"), settings={"latent": "7", "pixel_weight": "0.5"}))
    assert found["vae"].config.latent == 7
    assert found["residual-gan"].config.pixel_weight == 0.5


def test_a_chart_has_a_point_for_each_measure_and_a_name_for_each_method() -> None:
    points = {0.0: exact(0.1), 0.9: exact(0.7)}
    text = line_chart("confusion", {"vae": points, "<b>": {0.9: exact(-0.2)}}, 0.0)
    assert text.count("<circle") == 3
    assert ">vae</text>" in text
    assert "<b>" not in text
    heights = [float(y) for y in re.findall(r'cy="([0-9.]+)"', text)]
    assert heights[1] < heights[0] < heights[2], "greater is higher"
    assert all(0 < y < 280 for y in heights)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ifcvae-gann",), "did you mean ifcvae-gan"),
        (("dcgan",), "neither an edit nor a code"),
        (("vae", "--pair", "Smiling"), "no pair"),
        (("vae", "--pair", "Smiling,Smiling"), "no pair"),
        (("vae", "--pair", "Smiling,Eyeglass"), "Eyeglasses"),
        (("vae", "--correlations", "0,much"), "no numbers"),
        (("vae", "--correlations", "0,0"), "different numbers"),
        (("vae", "--correlations", "1"), "between -1 and 1"),
        (("vae", "--images", "10", "--minutes", "1"), "given twice"),
        (("vae", "--minutes", "0"), "more than nothing"),
        (("vae", "--faces", "5"), "at least 40"),
        (("vae", "--set", "widht=3"), "did you mean width"),
    ],
)
def test_what_cannot_be_is_one_line(command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in command("bench", *arguments, "--out", tmp_path / "out").error
    assert not (tmp_path / "out" / "runs").exists()


def test_a_place_must_be_named(command: Command) -> None:
    assert "give --out" in command("bench", "vae").error
