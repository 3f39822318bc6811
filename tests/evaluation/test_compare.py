"""Models side by side, in a world where the smile is the lower half of a face and youth the upper."""

from __future__ import annotations

import csv
import io
import json
import re
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
from visagist.editing.modes import Mode
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.compare import CompareSettings, compare, models_of_seeds
from visagist.evaluation.extractors.squeezenet import FeatureNetwork
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.evaluation.statistics import NORMAL
from visagist.methods.base import Code, Method

PAGE = Path(__file__).parents[2] / "docs" / "compare.md"


class Blind(DoNothing):
    """A code that loses a little of the light, and no edit."""

    capabilities = frozenset({"autoencode"})

    def decode(self, code: Code) -> torch.Tensor:
        return super().decode(code) * 0.5


class Dreams(Method):
    """Samples, and nothing else: no photograph goes in."""

    capabilities = frozenset({"generate"})

    def __init__(self) -> None:
        super().__init__(Perfect().config, (), SIZE)
        self.scale = torch.nn.Linear(2, 3)

    def sample(self, attributes: torch.Tensor) -> torch.Tensor:
        return torch.rand(len(attributes), 3, SIZE, SIZE)


class Dims(Perfect):
    """A perfect editor whose reconstruction is dark in the upper half: whoever is young is so no longer."""

    def decode(self, code: Code) -> torch.Tensor:
        upper = torch.arange(SIZE)[:, None] < SIZE // 2
        return torch.where(upper, 60 / 255, super().decode(code))

    def edit(self, images: torch.Tensor, target: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        return super().edit(self.reconstruct(images), target, amount)


Blind.name, Dreams.name, Dims.name = "blind", "dreams", "dims"


class Means:
    """The mean of each channel."""

    name = "means"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return images.mean((1, 2)).astype(np.float32)


def embed(images: np.ndarray) -> np.ndarray:
    """Who somebody is, is how bright the upper half is."""
    upper = images[:, : SIZE // 2].mean((1, 2, 3))
    return np.stack([upper, np.full(len(upper), 100.0)], 1)


def compared(
    *methods: type[Method], faces: Any = None, asked: CompareSettings | None = None, out: Path | None = None, **options: Any
) -> Metrics:
    editors = [editor_of(method()) if "edit" in method.capabilities else Editor(method()) for method in methods]
    for editor in editors:
        editor.description["training"] = {"images": 640}
    settings = EvaluationSettings(**{"judge": BrightnessJudge(), **options})
    session = session_of(editors, plain_faces() if faces is None else faces, settings)
    return api.report_comparison(session, asked or CompareSettings(), out)


def curve(metrics: Metrics, key: str, measure: str) -> list[float]:
    return [point["value"] for point in metrics.curves[key][measure]]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Metrics, Path]:
    out = tmp_path_factory.mktemp("report") / "new"
    features: FeatureNetwork = Means()
    methods = (Perfect, Careless, DoNothing, Blind, Dreams)
    return compared(*methods, out=out, identity=embed, features=features), out


def test_a_perfect_editor_and_one_that_does_nothing_get_their_known_answers(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    for mode in ("render", "detail"):
        perfect, nothing = (f"compare.{name}.Smiling.{mode}" for name in ("perfect", "do-nothing"))
        assert curve(metrics, perfect, "success") == [0, 0, pytest.approx(0.5, abs=0.25), 1, 1]
        assert curve(metrics, nothing, "success") == [0] * 5
        wilson = pytest.approx(120 / (120 + NORMAL**2))  # its low end where all of 120 succeed
        assert metrics[f"{perfect}.success"] == {"value": 1, "low": wilson, "high": 1, "n": 120}
        assert metrics[f"{nothing}.success"]["value"] == metrics[f"{nothing}.unedited.success"]["value"] == 0
        assert metrics[f"{perfect}.to_1.success"]["value"] == metrics[f"{perfect}.to_0.success"]["value"] == 1
        sides = [metrics[f"{perfect}.to_{side}.success"]["n"] for side in (0, 1)]
        assert sides == [int(plain_faces().column("Smiling").sum()), 120 - int(plain_faces().column("Smiling").sum())]
        assert curve(metrics, perfect, "identity") == pytest.approx([1] * 5)
        assert curve(metrics, perfect, "collateral") == [0] * 5
        assert curve(metrics, nothing, "change") == [0] * 5
        assert "no edit changed a pixel" in metrics.not_computed[f"{nothing}.outside_share"]
        assert metrics.curves[nothing]["outside_share"] == [None] * 5


def test_a_judge_that_errs_sets_the_base_rate_of_one_that_does_nothing() -> None:
    labels = plain_faces().labels.copy()
    labels[:30, 0] ^= 1  # a quarter of the labels says the opposite of what the judge sees
    metrics = compared(DoNothing, Perfect, faces=replace(plain_faces(), labels=labels))
    for mode in ("render", "detail"):
        assert curve(metrics, f"compare.do-nothing.Smiling.{mode}", "success") == [0.25] * 5
        assert metrics[f"compare.perfect.Smiling.{mode}.unedited.success"]["value"] == 0.25
        assert metrics[f"compare.perfect.Smiling.{mode}.success"]["value"] == 1


def test_collateral_is_what_the_judge_reads_otherwise_than_of_the_photograph(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    faces = plain_faces()
    # Careless moves youth with the smile: it flips where the two did not differ before.
    alike = float((faces.column("Smiling") == faces.column("Young")).mean())
    for ending in ("", "_from_unedited"):
        key = f"compare.careless.Smiling.render.collateral{ending}"
        assert metrics[key]["value"] == pytest.approx(alike)
    assert curve(metrics, "compare.careless.Smiling.render", "collateral")[0] == 0
    # The region of the smile holds 12 of 16 columns of the lower half; Perfect changes that half alike.
    share = metrics["compare.perfect.Smiling.render.outside_share"]["value"]
    assert share == pytest.approx(4 / 16, abs=0.02)
    change, outside = (metrics[f"compare.perfect.Smiling.render.{key}"]["value"] for key in ("change", "outside"))
    assert outside == pytest.approx(change * 256 * share / (256 - 11 * 7), rel=0.15)


def test_photographs_are_the_reference_where_a_reconstruction_is_bad() -> None:
    metrics = compared(Dims, Perfect, identity=embed)
    young = float(plain_faces().column("Young").mean())
    render, detail = (f"compare.dims.Smiling.{mode}" for mode in ("render", "detail"))
    assert (
        metrics[f"{render}.collateral"]["value"] == metrics[f"{render}.unedited.collateral"]["value"] == pytest.approx(young)
    )
    assert metrics[f"{render}.collateral_from_unedited"]["value"] == 0
    assert metrics[f"{detail}.collateral"]["value"] == metrics[f"{detail}.collateral_from_unedited"]["value"] == 0
    assert metrics[f"{detail}.success"]["value"] == 1
    assert curve(metrics, detail, "identity")[-1] == pytest.approx(1)
    assert curve(metrics, render, "identity")[0] < 0.95
    assert metrics[f"{render}.change"]["value"] > metrics[f"{render}.change_from_unedited"]["value"]


def test_detail_is_what_the_editor_shows_in_that_mode() -> None:
    editor, photos = editor_of(Dims()), plain_faces(12).images
    own = Mode.DETAIL.show(photos, editor.edit(photos, Smiling=0.5), editor.reconstruct(photos))
    assert np.abs(own.astype(int) - editor.edit(photos, mode="detail", Smiling=0.5)).max() <= 1


def test_models_that_do_not_edit_are_in_the_general_table_only(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    assert not [key for key in metrics.values if key.startswith(("compare.blind", "compare.dreams"))]
    assert metrics.not_computed["compare.blind.Smiling.*"] == "the model does not edit it: it edits nothing"
    assert (
        metrics["general.perfect.reconstruction.mse"]["value"] < 1e-6 < metrics["general.blind.reconstruction.mse"]["value"]
    )
    assert "no autoencoder" in metrics.not_computed["general.dreams.reconstruction.*"]
    assert metrics["general.dreams.sharpness.samples"]["value"] > 0
    assert "general.dreams.realism.means.samples.frechet" in metrics
    assert metrics["general.blind.identity.reconstruction"]["value"] < 1
    assert [model["edits"] for model in metrics.manifest["models"]] == [["Smiling"]] * 3 + [[]] * 2
    alone = compared(Blind, Dreams)
    assert alone.not_computed["compare.*"] == "none of these models edits"
    assert "general.blind.reconstruction.mse" in alone


def test_two_editors_are_compared_at_equal_success(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    key = "equal.Smiling.render.perfect/careless"
    assert metrics[f"{key}.success"]["value"] == 1
    assert metrics[f"{key}.less.strength"] == {"value": 0, "low": 0, "high": 0, "n": 120}
    assert metrics[f"{key}.first.collateral"]["value"] == 0
    assert metrics[f"{key}.less.collateral"]["low"] > 0.2
    assert metrics[f"{key}.less.identity"]["high"] < 0
    assert "no further than unedited" in metrics.not_computed["equal.Smiling.render.perfect/do-nothing.*"]


def test_the_curve_is_of_a_subset_and_the_ends_are_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compared(Perfect, Careless, identity=embed)
    monkeypatch.setattr("visagist.evaluation.context.SUBSET", 50)
    part = compared(Perfect, Careless, identity=embed)
    for key in ("success", "collateral", "change", "outside_share", "to_1.success", "unedited.change"):
        assert part[f"compare.careless.Smiling.render.{key}"] == whole[f"compare.careless.Smiling.render.{key}"]
    assert (part.curves["compare.careless.Smiling.render"]["n"], part.manifest["data"]["n_subset"]) == (50, 50)
    assert part["compare.careless.Smiling.render.identity"]["n"] == 50
    assert part["equal.Smiling.render.perfect/careless.success"]["n"] == 50


def test_the_same_pixels_are_judged_once() -> None:
    judge = BrightnessJudge()
    metrics = compared(DoNothing, Perfect, judge=judge)
    assert judge.scored == metrics.manifest["images_judged"] == 120 * (1 + 4)  # detail is render where nothing is lost


def keys_of(metrics: Metrics) -> set[str]:
    """The written keys with what they are of as words in capitals."""
    names = "|".join(re.escape(model["name"]) for model in metrics.manifest["models"])
    forms = set()
    for key in metrics.values:
        key = re.sub(rf"^(compare|general)\.({names})\.", r"\1.MODEL.", key)
        key = re.sub(rf"\.({names})/({names})\.", ".FIRST/SECOND.", key)
        key = key.replace(".Smiling.", ".A.").replace(".realism.means.", ".realism.NETWORK.")
        key = re.sub(r"\.(render|detail)\.", ".MODE.", key)
        key = re.sub(r"\.to_[01]\.", ".to_C.", key)
        key = re.sub(r"\.panel\.(given|taken)\.", ".panel.WAY.", key).replace(".brightness.", ".JUDGE.")
        forms.add(re.sub(r"\.(first|second|less)\.(\w+)$", r".SIDE.\2", key))
    return forms


def test_the_keys_in_the_documents_are_those_that_are_written(found: tuple[Metrics, Path]) -> None:
    metrics, _ = found
    text = PAGE.read_text()
    documented = set()
    for line in re.findall(r"^\| (`(?:compare|equal|general|judge)\.[^|]+) \|", text, re.MULTILINE):
        documented |= set(re.findall(r"`([^`]+)`", line))
    assert documented == keys_of(metrics)
    curve_keys = re.search(r"`curves\[\"compare\.MODEL\.A\.MODE\"\]` holds ([^.]+)\.", text)
    assert curve_keys is not None
    assert set(re.findall(r"`(\w+)`", curve_keys[1])) == set(metrics.curves["compare.perfect.Smiling.render"])
    table = re.findall(r"^\| (`[^|]+) \|", text.split("## The manifest")[1], re.MULTILINE)
    assert {name for row in table for name in re.findall(r"`(\w+)`", row)} == set(metrics.manifest)


def test_the_report_is_written_whole_and_loads_nothing(found: tuple[Metrics, Path]) -> None:
    metrics, out = found
    assert sorted(path.name for path in out.iterdir()) == [f"compare.{kind}" for kind in ("csv", "html", "json")]
    written = json.loads((out / "compare.json").read_text())
    assert written["schema_version"] == 1
    assert written == json.loads(json.dumps(metrics.to_json()))
    rows = list(csv.DictReader(io.StringIO((out / "compare.csv").read_text())))
    assert {row["key"] for row in rows} == {*metrics.values, *metrics.not_computed}
    page = (out / "compare.html").read_text()
    assert page.count("<img") == 4 * 3 * (1 + 1 + 4 + 1 + 2)  # faces, models that edit, columns
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "http" not in page
    assert len(re.findall(r'<polyline class="curve c\d render"', page)) == 3 * 2 * 2  # both scales, both costs
    assert page.count('<circle class="dot c1 detail"') == 5 * 2 * 2
    order = ["<h1>", "<img", "<svg role=img", "in figures</h2>", "At equal success", "In general", ">Not computed<"]
    assert [page.index(part) for part in order] == sorted(page.index(part) for part in order)
    assert page.index(">Not computed<") < page.index(">Manifest<")
    assert "Not edited by blind, dreams" in page


def test_faces_of_two_sizes_are_the_same_faces() -> None:
    small = plain_faces()
    shuffled = small.take(np.random.default_rng(3).permutation(len(small)))
    together = compared(Perfect, Careless, limit=40)
    apart = compared(Perfect, Careless, faces=[small, shuffled], limit=40)
    judged = [{k: m for k, m in metrics.values.items() if "cost" not in k} for metrics in (apart, together)]
    assert judged[0] == judged[1]
    assert together.manifest["data"]["n"] == 40


def test_a_reader_is_told_what_must_be_known() -> None:
    trained = {"source": "celeba:celeba", "crop": "centre148", "count": 9}
    editors = [editor_of(Perfect(), judge=None), editor_of(Careless())]
    editors[1].description.update(data=trained, training={"images": 320})
    metrics = compare(
        session_of(editors, plain_faces(), EvaluationSettings(judge=BrightnessJudge())), CompareSettings()
    ).metrics
    notes = " ".join(metrics.manifest["notes"])
    assert "the strength of perfect is not calibrated for Smiling" in notes
    assert "careless: these faces are from another source, plain (crop drawn), than those that trained the model" in notes
    assert metrics["general.careless.training.images"]["value"] == 320
    assert metrics.not_computed["general.perfect.training.images"] == "not recorded"
    assert "no identity embedder" in metrics.not_computed["*.identity*"]
    elsewhere = replace(plain_faces(), manifest={"source": "folder:mine", "crop": "square"})
    unaligned = compared(Perfect, Careless, faces=elsewhere)
    assert "region is not known" in unaligned.not_computed["*.Smiling.*.outside*"]
    assert not any(".outside" in key for key in unaligned.values)


class Shaves(Perfect):
    """Knows Facial_Hair, which is a dark lower half."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes = ("Facial_Hair",)

    def edit(self, images: torch.Tensor, target: torch.Tensor, amount: torch.Tensor) -> torch.Tensor:
        return super().edit(images, 1 - target, amount)


class Bares(Perfect):
    """Knows No_Beard, which is a bright lower half."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes = ("No_Beard",)


Shaves.name, Bares.name = "shaves", "bares"


def test_models_that_know_what_says_the_same_are_compared_by_one_of_the_names() -> None:
    faces = replace(plain_faces(), names=("No_Beard", "Young", "Wearing_Hat"))
    judge = BrightnessJudge(attributes=("Young", "No_Beard"))
    metrics = compare(
        session_of([Editor(Shaves()), Editor(Bares())], faces, EvaluationSettings(judge=judge)), CompareSettings()
    ).metrics
    assert metrics.manifest["attributes"] == ["Facial_Hair"]
    for name in ("shaves", "bares"):
        assert metrics[f"compare.{name}.Facial_Hair.render.success"]["value"] == 1
        assert metrics[f"compare.{name}.Facial_Hair.render.collateral"]["value"] == 0
    assert "bares: edited by No_Beard, the other way round, for want of Facial_Hair" in metrics.manifest["notes"]


def test_bad_comparisons_are_refused_before_any_work(tmp_path: Path) -> None:
    judge = BrightnessJudge()

    def refused(*methods: type[Method], **options: Any) -> str:
        with pytest.raises(VisagistError) as raised:
            compared(*methods, **{"judge": judge, **options})
        return str(raised.value)

    assert "of two models or more, got perfect" in refused(Perfect)
    assert "name each once" in refused(Perfect, Perfect)
    assert "name each once" in refused()
    young = CompareSettings(("Young",))
    assert refused(Perfect, Blind, asked=young) == "no model edits Young: these edit Smiling"
    assert refused(Blind, Dreams, asked=young) == "no model edits Young: these edit nothing"
    assert "did you mean" in refused(Perfect, Blind, asked=CompareSettings(("Smilng",)))
    blind_judge = BrightnessJudge(attributes=("Young", "Bangs"))
    assert "does not know Smiling" in refused(Perfect, Careless, judge=blind_judge, asked=CompareSettings(("Smiling",)))
    assert "nothing to compare of Smiling" in refused(Perfect, Careless, judge=blind_judge)
    assert "limit=0" in refused(Perfect, Careless, limit=0)
    assert "are not there at every model's size" in refused(Perfect, Careless, faces=[plain_faces(), _others()])
    assert "16" in refused(Perfect, Careless, faces=plain_faces(size=20))
    assert "never scores" in refused(Perfect, Careless, judge=BrightnessJudge("judge-64-b"))
    assert "fitted the strength of perfect" in refused(Perfect, Careless, judge=BrightnessJudge("another-judge"))
    (tmp_path / "file").write_text("")
    assert "choose another --out" in refused(Perfect, Careless, out=tmp_path / "file")
    assert judge.scored == 0


def _others() -> Faces:
    faces = plain_faces()
    return replace(faces, files=tuple(f"other-{i}" for i in range(len(faces))))


def test_models_that_are_named_by_their_seed_have_a_mean_and_a_deviation_between_trainings() -> None:
    models, groups = models_of_seeds(["runs/a-{seed}", "runs/b"], 2)
    assert models == ["runs/a-0", "runs/a-1", "runs/b"]
    assert groups == (("runs/a-{seed}", (0, 1)),)
    metrics = compared(Perfect, Careless, DoNothing, asked=CompareSettings(groups=groups))
    between = metrics.manifest["between_runs"]["runs/a-{seed}"]["compare.Smiling.render.collateral"]
    alone = [metrics[f"compare.{name}.Smiling.render.collateral"]["value"] for name in ("perfect", "careless")]
    assert between["values"] == alone
    assert between["mean"] == pytest.approx(np.mean(alone))
    assert between["sd"] == pytest.approx(np.std(alone, ddof=1))
    assert "general.reconstruction.mse" in metrics.manifest["between_runs"]["runs/a-{seed}"]
    assert compared(Perfect, DoNothing).manifest["between_runs"] == {}


@pytest.mark.parametrize(("models", "seeds"), [(["runs/a-{seed}", "runs/b"], 1), (["runs/a", "runs/b"], 3)])
def test_seeds_and_models_that_are_named_by_them_need_each_other(models: list[str], seeds: int) -> None:
    with pytest.raises(VisagistError, match="named by their seed"):
        models_of_seeds(models, seeds)
