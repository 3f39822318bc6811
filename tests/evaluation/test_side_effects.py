"""What an edit takes along, in a world where the smile is the lower half of a face and youth the upper."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from doubles import SIZE, BrightnessJudge, Careless, DoNothing, Perfect, editor_of, plain_faces

from visagist import api
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.editing.strength import StrengthMap
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.results import find_metric
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.evaluation.side_effects import METRICS, SideEffectSettings, measure_side_effects
from visagist.evaluation.statistics import NORMAL, correlation_ci
from visagist.methods.base import Method

SMILE = SideEffectSettings("Smiling", 1.0, {"Young": 0})


def editors_of(*methods: type[DoNothing]) -> list[Editor]:
    return [editor_of(method()) for method in methods]


def asked(
    *methods: type[DoNothing],
    question: SideEffectSettings = SMILE,
    faces: Any = None,
    out: Path | None = None,
    second: BrightnessJudge | None = None,
    **options: Any,
) -> Metrics:
    given = {"judge": BrightnessJudge(), "calibrator": second or BrightnessJudge("second"), **options}
    session = session_of(editors_of(*methods), plain_faces() if faces is None else faces, EvaluationSettings(**given))
    return api.report_side_effects(session, question, out)


def embed(images: np.ndarray) -> np.ndarray:
    """Who somebody is, is how bright the upper half is."""
    upper = images[:, : SIZE // 2].mean((1, 2, 3))
    return np.stack([upper, np.full(len(upper), 100.0)], 1)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Metrics, Path]:
    out = tmp_path_factory.mktemp("report") / "new"
    return asked(Perfect, Careless, out=out, identity=embed), out


def test_what_an_edit_takes_along_is_read_and_what_it_leaves_is_not(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    assert all(find_metric(key, METRICS) for key in metrics.values)
    for family in ("reads", "second_reads"):
        kept, taken = (metrics[f"correlations.{name}.{family}.Young.change"] for name in ("perfect", "careless"))
        assert kept["value"] == 0
        assert taken["value"] > 0.9
        assert taken["low"] <= taken["value"] <= taken["high"]
        read = f"correlations.careless.{family}.Young"
        before, after = (metrics[f"{read}.{moment}"]["value"] for moment in ("before", "after"))
        assert after - before == pytest.approx(taken["value"], abs=1e-6)
    assert metrics["correlations.perfect.success"]["value"] == 1
    assert metrics["correlations.perfect.unedited_success"]["value"] == 0
    assert (metrics["correlations.perfect.err"]["value"], metrics["correlations.careless.err"]["value"]) == (0, 1)
    assert metrics["correlations.perfect.identity.edit"]["value"] == pytest.approx(1)
    assert metrics["correlations.careless.identity.drop"]["value"] > 0.05


def test_the_faces_lack_the_attribute_and_have_the_labels_that_are_asked_for(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    faces = plain_faces()
    wanted = int(((faces.column("Smiling") == 0) & (faces.column("Young") == 0)).sum())
    assert metrics["correlations.perfect.success"]["n"] == metrics.manifest["data"]["n"] == wanted
    away = asked(Perfect, question=SideEffectSettings("Smiling", -1.0, {"Young": 1}))
    assert away.manifest["among"] == {"Smiling": 1, "Young": 1}
    assert away["correlations.perfect.success"]["value"] == 1
    assert asked(Perfect, limit=5).manifest["data"]["n"] == 5


def test_where_the_picture_changes_is_a_share_of_known_boxes(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    # The lower half changes alike: 12 of 16 columns are inside the region of the smile, 6 of 16 beside the neck.
    assert metrics["correlations.perfect.outside"]["value"] == pytest.approx(4 / 16, abs=0.02)
    assert metrics["correlations.perfect.beside_the_neck"]["value"] == pytest.approx(6 / 16, abs=0.02)
    there, everywhere = (metrics[f"correlations.perfect.{key}"]["value"] for key in ("change_beside_the_neck", "change"))
    assert there == pytest.approx(2 * everywhere, rel=0.05)
    assert metrics["correlations.careless.outside"]["value"] == pytest.approx(1 - 12 / 32, abs=0.03)


def test_differences_to_the_first_model_are_of_each_face(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    key = "correlations.careless.less.perfect"
    less = metrics[f"{key}.reads.Young.change"]
    each = [metrics[f"correlations.{name}.reads.Young.change"]["value"] for name in ("careless", "perfect")]
    assert less["value"] == pytest.approx(each[0] - each[1])
    assert less["low"] > 0.8
    reach = pytest.approx(NORMAL * 2**0.5 / 32)  # Bonett and Price, of 30 faces on which the two never disagree
    success = metrics[f"{key}.success"]
    assert (success["value"], -success["low"], success["high"]) == (0, reach, reach)
    # The faces differ more from each other than what both models make of each does.
    width = {part: metrics[part]["high"] - metrics[part]["low"] for part in (
        "correlations.careless.reads.Smiling.change", f"{key}.reads.Smiling.change")}  # fmt: skip
    assert width[f"{key}.reads.Smiling.change"] < width["correlations.careless.reads.Smiling.change"]
    assert not any(".less.perfect" in name for name in metrics.values if name.startswith("correlations.perfect."))


def test_the_correlation_of_labels_is_that_of_pearson_over_all_faces(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    faces, measure = plain_faces(), metrics["labels.Smiling.Young.correlation"]
    assert measure["value"] == pytest.approx(np.corrcoef(faces.column("Smiling"), faces.column("Young"))[0, 1])
    assert measure["n"] == len(faces)
    rng = np.random.default_rng(1)
    a = rng.random(4000) < 0.3
    b = np.where(rng.random(4000) < 0.8, a, ~a)
    found_ = correlation_ci(a, b)
    assert found_["value"] == pytest.approx(np.corrcoef(a, b)[0, 1])
    assert found_["low"] < found_["value"] < found_["high"]
    assert found_["high"] - found_["low"] == pytest.approx(4 * (1 - found_["value"] ** 2) / 4000**0.5, rel=0.35)
    alike = asked(Perfect, faces=replace(plain_faces(), labels=plain_faces().labels * np.uint8([1, 0, 1])))
    assert "labels.Smiling.Young.correlation" not in alike
    assert "one class" in alike.not_computed["labels.Smiling.Young.correlation"]


@pytest.mark.data
def test_the_labels_of_celeba_go_together_as_published(real_data: Path) -> None:
    whole = real_data / "celeba" / "full_annotations" / "list_attr_celeba.txt.zip"
    if not whole.exists():
        pytest.skip(f"needs the labels of all of CelebA: {whole.relative_to(real_data)}")
    with zipfile.ZipFile(whole) as archive:
        _, names, *lines = archive.read(archive.namelist()[0]).decode().splitlines()
    places = [1 + names.split().index(name) for name in ("Male", "No_Beard")]
    labels = np.array([[line.split()[place] == "1" for place in places] for line in lines])
    measure = correlation_ci(labels[:, 0], labels[:, 1])
    assert (round(measure["value"], 4), measure["n"]) == (-0.5222, 202_599)
    assert measure["low"] < -0.5222 < measure["high"]
    assert measure["high"] - measure["low"] < 0.01


def test_an_editor_that_changes_nothing_has_no_place_of_change() -> None:
    metrics = asked(DoNothing)
    assert metrics["correlations.do-nothing.success"]["value"] == 0
    assert metrics["correlations.do-nothing.change"]["value"] == 0
    assert metrics.not_computed["correlations.do-nothing.outside"] == "no edit changed a pixel"
    assert "no identity embedder" in metrics.not_computed["correlations.*.identity.*"]


def test_places_are_not_told_of_faces_that_are_not_aligned() -> None:
    faces = replace(plain_faces(), manifest={"source": "folder:mine", "crop": "square"})
    metrics = asked(Perfect, faces=faces)
    assert "regions are known for the crops" in metrics.not_computed["correlations.*.outside"]
    assert not any("neck" in key or "outside" in key for key in metrics.values)


class Shaves(Perfect):
    """Knows Facial_Hair, which is a dark lower half."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes = ("Facial_Hair",)

    def edit(self, images: torch.Tensor, target: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        return super().edit(images, 1 - target, amount)


Shaves.name = "shaves"


def test_a_model_that_knows_what_says_the_same_edits_that() -> None:
    faces = replace(plain_faces(), names=("No_Beard", "Young", "Wearing_Hat"))
    judge = BrightnessJudge(attributes=("Young", "No_Beard"))
    editor = Editor(Shaves())
    question = SideEffectSettings("No_Beard", -0.5, {"Young": 0})
    ways = {way: StrengthMap(((0, 0), (0.5, 1), (1, 1)), calibrated=True, reached=False).to_json() for way in ("+1", "-1")}
    editor.use_strength({"Facial_Hair": ways})
    metrics = measure_side_effects(
        session_of(editor, faces, EvaluationSettings(judge=judge, calibrator=replace(judge, name="second"))), question
    ).metrics
    assert metrics["correlations.shaves.success"]["value"] == 1
    assert metrics["correlations.shaves.reads.Young.change"]["value"] == 0
    assert metrics.manifest["models"][0]["edits"] == {"Facial_Hair": 0.5}
    notes = " ".join(metrics.manifest["notes"])
    assert "edited by Facial_Hair=+0.5 for want of No_Beard: shaves" in notes
    assert "at strength +1, the most that it gives, the class is not reached" in notes


def test_the_report_is_written_whole_and_loads_nothing(found: tuple[Metrics, Path]) -> None:
    metrics, out = found
    assert sorted(path.name for path in out.iterdir()) == [f"correlations.{kind}" for kind in ("csv", "html", "json")]
    assert json.loads((out / "correlations.json").read_text())["metrics"] == json.loads(json.dumps(metrics.values))
    rows = list(csv.DictReader(io.StringIO((out / "correlations.csv").read_text())))
    assert {row["key"] for row in rows} == {*metrics.values, *metrics.not_computed}
    page = (out / "correlations.html").read_text()
    assert page.count("<img") == 6 * (1 + 1 + 2)  # both models leave the unedited photographs alike
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "Smiling=+1 among Young=0, Smiling=0" in page
    assert "Beside perfect" in page
    assert metrics.manifest["watched"] == ["Young"]


def test_faces_of_two_sizes_are_the_same_faces() -> None:
    small, shuffled = plain_faces(), plain_faces()
    order = np.random.default_rng(3).permutation(len(shuffled))
    apart = asked(Perfect, Careless, faces=[small, shuffled.take(order)])
    assert apart.values == asked(Perfect, Careless).values
    with pytest.raises(VisagistError, match="are not there at every model's size"):
        asked(Perfect, Careless, faces=[small, replace(small, files=tuple(f"other-{i}" for i in range(len(small))))])


class Blind(Method):
    """A code, and no edit."""

    capabilities = frozenset({"autoencode"})


Blind.name = "blind"


def test_bad_questions_are_refused_before_any_work(tmp_path: Path) -> None:
    judge = BrightnessJudge()
    with pytest.raises(VisagistError, match="name each once"):
        asked(Perfect, Perfect, judge=judge)
    with pytest.raises(VisagistError, match="Smiling=0: give a strength"):
        asked(Perfect, question=SideEffectSettings("Smiling", 0.0), judge=judge)
    with pytest.raises(VisagistError, match="Smiling=2: give a strength"):
        asked(Perfect, question=SideEffectSettings("Smiling", 2.0), judge=judge)
    with pytest.raises(VisagistError, match="did you mean Young"):
        asked(Perfect, question=SideEffectSettings("Smiling", 1.0, {"Yung": 0}), judge=judge)
    with pytest.raises(VisagistError, match="brightness does not know Wearing_Hat"):
        asked(Perfect, question=SideEffectSettings("Wearing_Hat", 1.0), judge=judge)
    with pytest.raises(VisagistError, match="perfect edits Smiling, neither Young nor what says the same"):
        asked(Perfect, question=SideEffectSettings("Young", 1.0), judge=judge)
    with pytest.raises(VisagistError, match="no test face has Smiling=0, Young=0"):
        asked(Perfect, faces=_none_left(plain_faces()), judge=judge)
    with pytest.raises(VisagistError, match="limit=0"):
        asked(Perfect, limit=0, judge=judge)
    with pytest.raises(VisagistError, match="brightness would fit strength and score it"):
        asked(Perfect, judge=judge, second=BrightnessJudge())
    with pytest.raises(VisagistError, match="never scores"):
        asked(Perfect, judge=BrightnessJudge("judge-64-b"))
    blind = Editor(Blind(Perfect().config, ("Smiling",), SIZE))
    judges = EvaluationSettings(judge=judge, calibrator=BrightnessJudge("second"))
    with pytest.raises(VisagistError, match="has no edit; visagist vectors blind gives it one"):
        measure_side_effects(session_of(blind, plain_faces(), judges), SMILE)
    (tmp_path / "file").write_text("")
    with pytest.raises(VisagistError, match="choose another --out"):
        asked(Perfect, out=tmp_path / "file", judge=judge)
    assert judge.scored == 0


def _none_left(faces: Faces) -> Faces:
    return replace(faces, labels=np.maximum(faces.labels, np.uint8([0, 1, 0])))
