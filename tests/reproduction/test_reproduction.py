"""Published tables and figures: what is in the registry, and every name from end to end, tiny."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import os
import re
import signal
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from campaigns import CAMPAIGNS
from cli_runs import Command
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import recipes, reproduction
from visagist.checkpoints import checkpoint
from visagist.data import load_data
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.files import sha256_of_json
from visagist.methods.ifcvae_gan import IFcVAEGAN, IFcVAEGANConfig
from visagist.methods.vae_gan import VAEGAN
from visagist.pipelines.plan import make_plan, trainables
from visagist.progress import StageBars
from visagist.reproduction import runs
from visagist.reproduction.figures import rows_of
from visagist.reproduction.outcomes import RowOutcome, prepare_run
from visagist.reproduction.reproduce import reproduce
from visagist.reproduction.scales import DRAWN, SCALES, at_scale, critic_steps, minutes_of_a_run
from visagist.reproduction.spec import Poses, SampleSheet
from visagist.training.trainer import Interrupted

NAMES = sorted(reproduction.available())
# From end to end in every run: a name for each kind of picture, with rows that names share. All of them in campaigns.
IN_EVERY_RUN = (
    "ifcvae-gan/figure3", "ifcvae-gan/table2", "introvac/figure7", "introvac/figures8-9",
    "residual-gan/figure7", "residual-gan/figures8-9", "residual-gan/table2", "vae-wgan/figures11-13", "vae-wgan/table1",
)  # fmt: skip
DRAWN_TRAINS = [name for name in NAMES if reproduction.get(name).trains_on == "celeba"]
RUN = DRAWN_TRAINS if CAMPAIGNS else sorted(IN_EVERY_RUN)
UNREAD = ("realism", "fid.", "is.", "leakage.")  # need a network, or more faces than eight
MSE, SUCCESS = "reconstruction.mse", "edit.Smiling.success_0"


class Everything:
    """All names at the scale smoke in one folder, each reproduced when it is first asked for."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.entries: dict[str, dict[str, Any]] = {}

    def __getitem__(self, name: str) -> dict[str, Any]:
        if name not in self.entries:
            self.entries[name] = reproduce(name, scale="smoke", out=self.out, device="cpu")
        return self.entries[name]


@pytest.fixture(scope="module")
def everything(tmp_path_factory: pytest.TempPathFactory) -> Everything:
    torch.set_num_threads(1)
    return Everything(tmp_path_factory.mktemp("reproduced"))


@pytest.mark.parametrize("name", NAMES)
def test_a_reproduction_names_recipes_and_rows_that_there_are(name: str) -> None:
    one = reproduction.get(name)
    labels = [row.label for row in one.rows]
    assert len(set(labels)) == len(labels)
    for row in one.rows:
        paper = recipes.get(row.recipe)
        assert set(row.incomparable) <= set(row.published)
        assert {key: row.published[key] for key in paper.expected if key in row.published}.items() <= paper.expected.items()
        if row.small is not None:
            own = recipes.get(row.small)
            assert own.method == paper.method
            assert replace(own.config, **row.changes) is not None
    for picture in one.pictures:
        assert rows_of(picture) <= set(labels)
    assert one.title
    assert one.source


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", SCALES)
def test_a_row_at_any_scale_can_be_built(name: str, scale: str) -> None:
    one = reproduction.get(name)
    for row in one.rows:
        recipe = at_scale(row, SCALES[scale], one, seed=5)
        paper = recipes.get(row.recipe)
        assert isinstance(recipe.config, trainables()[recipe.method].Config)
        assert (recipe.method, recipe.attributes, recipe.attribute_set) == (
            paper.method, paper.attributes, paper.attribute_set,
        )  # fmt: skip
        assert recipe.training.images % recipe.training.batch_size == 0 or scale == "paper"
        assert recipe.training.seed == 5
        learned = {"attribute_set": recipe.attribute_set} if recipe.attribute_set else {"attributes": recipe.attributes}
        plan = make_plan(recipe.method, settings=runs.settings(recipe), **learned)
        assert (plan.config, plan.training) == (recipe.config, recipe.training)
        assert (plan.data.image_size, plan.data.crop) == (recipe.image_size, recipe.crop)
        if scale == "paper":
            assert recipe == replace(paper, training=replace(paper.training, seed=5))
        else:
            assert recipe.training.images < paper.training.images


def test_the_small_scale_fits_into_its_minutes_and_more_minutes_are_more_images() -> None:
    for one in reproduction.available().values():
        hours = [sum(at_scale(row, SCALES["small"], one, m).hours for row in one.rows) for m in (20, 40)]
        assert 60 * hours[0] <= 20
        assert hours[0] < hours[1] <= 2 * hours[0] + 1e-9
    pair = [reproduction.get(f"ifcvae-gan/table{n}") for n in (2, 3)]
    assert minutes_of_a_run(pair[0], 20) == minutes_of_a_run(pair[1], 20) == pytest.approx(2.0)


def test_amounts_of_images_shrink_with_the_images() -> None:
    one = reproduction.get("introvac/table1")
    small = at_scale(one.rows[2], SCALES["small"], one)
    own = recipes.get("introvac/eyefacial-64")
    share = small.training.images / own.training.images
    assert small.config.vac_images == pytest.approx(share * own.config.vac_images, rel=0.02)
    assert small.training.warmup_images == pytest.approx(share * own.training.warmup_images, rel=0.02)


def test_every_kind_of_picture_table_and_row_is_run_from_end_to_end() -> None:
    def kinds(names: Iterable[str]) -> set[object]:
        chosen = [reproduction.get(name) for name in names]
        pictures = {type(picture) for one in chosen for picture in one.pictures}
        more = {name for one in chosen for name in ("views", "gains", "correlated") if getattr(one, name)}
        return pictures | more | {recipes.get(row.recipe).method for one in chosen for row in one.rows}

    alone = {"dcgan", "ls-gan", "vae", "wgan"}  # methods, in vae-wgan/figures3-6, that train in tests/methods
    assert kinds(NAMES) - kinds(IN_EVERY_RUN) == alone


def test_an_attribute_that_drawn_faces_lack_is_not_learned() -> None:
    one = reproduction.get("residual-gan/figure4")
    faces = load_data(DRAWN, image_size=32)
    learned = {row.label: runs.learnable(at_scale(row, SCALES["smoke"], one), faces)[0] for row in one.rows}
    # A model without labels learns none.
    assert [label for label, names in learned.items() if not names] == ["Male", "VAE/GAN"]


@pytest.mark.slow
@pytest.mark.parametrize("name", RUN)
def test_every_name_runs_from_end_to_end(everything: Everything, name: str) -> None:
    one, entry = reproduction.get(name), everything[name]
    assert [row["row"] for row in entry["rows"]] == [row.label for row in one.rows]
    of_rows = sum(len(row.published) for row in one.rows)
    cells, more = entry["cells"][:of_rows], entry["cells"][of_rows:]
    views, more = more[: 2 * len(one.views)], more[2 * len(one.views) :]
    of_gains = [(gain.row, key) for gain in one.gains for key in gain.published]
    gains = more[: len(of_gains)]
    assert [(cell["row"], cell["key"]) for cell in gains] == of_gains
    there = importlib.util.find_spec("face_recognition_models") is not None
    said = "not comparable because" if there else "not run: needs landmark detectors (the detector ert68 is not installed"
    assert all(cell["verdict"].startswith(said) for cell in gains)
    assert [cell["row"] for cell in views] == [view.label for view in one.views for _ in range(2)]
    assert [cell["published"] for cell in views[::2]] == [view.published for view in one.views]
    assert all(0 <= cell["ours"]["value"] <= 1 for cell in views)
    published = {row.label: row.published for row in one.rows}
    for cell in cells:
        assert re.match(r"not comparable because .|not run: needs .", cell["verdict"])
        if not cell["key"].startswith(UNREAD):
            lacks = "faces labelled" in cell["verdict"]
            assert lacks == (cell["ours"] is None)
            assert cell["published"] == published[cell["row"]][cell["key"]]
    # Drawn faces have no gender.
    ran = [row for row in entry["rows"] if "run" in row]
    lacking = {row["row"] for row in entry["rows"] if "run" not in row}
    assert lacking == ({"Male"} if name in ("residual-gan/figure4", "residual-gan/figure5") else set())
    shown = len(one.pictures)
    for picture, given in zip(entry["pictures"][:shown], one.pictures, strict=True):
        assert (picture["file"] is None) == picture["words"].startswith("not run: needs ")
        # Nor have they landmarks, and chains may find too few faces.
        assert isinstance(given, SampleSheet | Poses) or (picture["file"] is None) == bool(rows_of(given) & lacking)
    assert [picture["title"] for picture in entry["pictures"][shown:]] == [
        asked.title for asked in (one.correlated,) if asked is not None
    ]
    for row in ran:
        assert (everything.out / row["run"] / "last" / "model.safetensors").exists()
        assert (everything.out / row["report"]).exists()


@pytest.mark.slow
def test_no_model_is_trained_twice_though_names_share_rows(everything: Everything) -> None:
    rows = [row for name in RUN for row in everything[name]["rows"] if "run" in row]
    folders = {row["run"] for row in rows}
    assert sum(row["trained_now"] for row in rows) == len(folders) < len(rows)
    assert {f"runs/{path.name}" for path in (everything.out / "runs").iterdir()} == folders


@pytest.mark.slow
def test_a_finished_name_is_neither_trained_nor_measured_again(everything: Everything) -> None:
    before = everything["introvac/figure7"]
    files = {path: path.stat().st_mtime_ns for path in (everything.out / "runs").rglob("*") if path.is_file()}
    again = reproduce("introvac/figure7", scale="smoke", out=everything.out, device="cpu")
    assert not any(row["trained_now"] for row in again["rows"])
    assert again["cells"] == before["cells"]
    assert {p: p.stat().st_mtime_ns for p in (everything.out / "runs").rglob("*") if p.is_file()} == files


@pytest.mark.slow
def test_the_page_holds_every_picture_and_leads_nowhere(everything: Everything) -> None:
    entry = everything["introvac/figure7"]
    text = (everything.out / "index.html").read_text()
    verdicts = json.loads((everything.out / "verdicts.json").read_text())
    assert verdicts["schema_version"] == 1
    kept = [picture for one in verdicts["reproductions"] for picture in one["pictures"] if picture["file"]]
    assert text.count("<img ") == text.count('src="data:image/png;base64,') == len(kept) >= 1
    assert not re.search(r'(?:src|href)=(?!"data:)', text)
    assert "url(" not in text
    assert text.index("<img ") < text.index("<table")
    assert all(cell["verdict"] in text for cell in entry["cells"])
    assert entry["command"] in text


def what() -> tuple[recipes.Recipe, Faces]:
    """The recipe of a row of two attributes at the scale smoke, and its faces."""
    one = reproduction.get("introvac/figure7")
    recipe = at_scale(one.rows[0], SCALES["smoke"], one)
    return recipe, load_data(DRAWN, image_size=recipe.image_size)


def test_the_folder_of_a_run_depends_on_all_that_its_training_is_told(tmp_path: Path) -> None:
    recipe, faces = what()
    names, _ = runs.learnable(recipe, faces)

    def folder(**changes: Any) -> Path:
        return runs.run_of(replace(recipe, **changes), names, faces, tmp_path).folder

    same = folder(name="other/name", hours=7.0, expected={}, source="elsewhere")
    others = [
        folder(method="introvac"),
        folder(config=replace(recipe.config, latent=9)),
        folder(training=replace(recipe.training, seed=1)),
        folder(training=replace(recipe.training, sync_batch_norm=False)),
        runs.run_of(recipe, names[:1], faces, tmp_path).folder,
        runs.run_of(recipe, names, load_data("synthetic:99", image_size=32), tmp_path).folder,
    ]
    assert same == folder()
    assert len({same, *others}) == 7


def test_a_setting_that_came_later_leaves_the_folder_of_a_run_where_it_was() -> None:
    recipe, faces = what()
    told = runs._run_settings(recipe, ("Smiling",), faces)
    assert not told["training"].keys() & runs.LATER_SETTINGS.keys()
    assert not told["config"].keys() & runs.LATER_SETTINGS.keys()
    assert {"minutes", "ema_decay", "seed"} <= told["training"].keys(), "also those that are none or nothing"
    other = replace(recipe, method="ifcvae-gan", config=IFcVAEGANConfig(transport="marginal"))
    told = runs._run_settings(other, ("Smiling",), faces)["config"]
    assert told.keys() & runs.LATER_SETTINGS.keys() == {"transport"}


def test_settings_that_came_later_are_left_out_at_their_own_defaults() -> None:
    fields = {field.name: field.default for field in dataclasses.fields(IFcVAEGANConfig)}
    assert {name: fields[name] for name in runs.LATER_SETTINGS if name in fields} == {
        name: value for name, value in runs.LATER_SETTINGS.items() if name in fields
    }


def finished_run(folder: Path, told: dict[str, Any], **recorded: Any) -> None:
    """A run folder as its end leaves it, as far as looking for it goes."""
    model = tiny_model(IFcVAEGAN)
    training = {"images": 24, "finished": True, **{key: value for key, value in recorded.items() if key != "code"}}
    description = checkpoint.describe(model, training=training, code=recorded.get("code"))
    checkpoint.save_model(folder / "last", description, model.state_dict())
    (folder / runs.SETTINGS_FILE).write_text(json.dumps(told))


def test_a_finished_run_of_other_code_is_named_and_not_used_again_unless_it_is_asked_for(tmp_path: Path) -> None:
    recipe, faces = what()
    own = runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu")
    assert runs.describe_elsewhere(own) is None
    told = runs._run_settings(recipe, ("Smiling",), faces)
    other = tmp_path / "runs" / "0123456789abcdef"
    finished_run(other, {**told, "circumstances": {"code": "old"}}, **{**own.circumstances, "code": "old"})
    fresh = runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu")
    assert fresh.folder == own.folder
    said = runs.describe_elsewhere(fresh)
    assert said is not None
    assert f"code old, here {own.circumstances['code']}" in said
    assert "--any-code" in said
    assert "machine" not in said
    assert runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu", any_code=True).folder == other


def test_a_run_from_before_circumstances_were_recorded_is_found_too(tmp_path: Path) -> None:
    recipe, faces = what()
    told = runs._run_settings(recipe, ("Smiling",), faces)
    before = tmp_path / "runs" / sha256_of_json(told)[:16]
    finished_run(before, told)
    said = runs.describe_elsewhere(runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu"))
    assert said is not None
    assert "code not recorded" in said
    assert runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu", any_code=True).folder == before


def test_precision_machine_and_code_are_part_of_what_names_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe, faces = what()

    def folder() -> Path:
        return runs.run_of(recipe, ("Smiling",), faces, tmp_path, "cpu").folder

    here = [folder()]
    for name in ("code_of_training", "machine_class", "resolve_precision"):
        with monkeypatch.context() as patch:
            patch.setattr(runs, name, lambda *given: "other")
            here.append(folder())
    assert len(set(here)) == 4
    assert folder() == here[0]


def test_rows_of_a_table_see_the_same_images_at_the_small_scale() -> None:
    for one in reproduction.available().values():
        smalls = [at_scale(row, SCALES["small"], one) for row in one.rows]
        seen = [small.training.images / critic_steps(small) for small in smalls]
        assert max(seen) - min(seen) <= max(small.training.batch_size for small in smalls), one.name
    wgan = next(row for row in reproduction.get("vae-wgan/figures3-6").rows if row.recipe.startswith("wgan"))
    small = at_scale(wgan, SCALES["small"], reproduction.get("vae-wgan/figures3-6"))
    assert critic_steps(small) == 5, "its images are those of its generator's steps, five times dealt out"


def test_recipes_of_papers_say_their_precision_and_mirror_no_face() -> None:
    papers = {row.recipe for one in reproduction.available().values() for row in one.rows}
    for name in sorted(papers):
        training = recipes.get(name).training
        assert (training.precision, training.horizontal_flip) == ("fp32", False), name
    assert recipes.get("ifcvae-gan/table3-bao").config.label_form == "binary"
    assert recipes.get("vae-wgan/narrow-64").training.horizontal_flip


def test_a_row_whose_feature_network_cannot_be_had_is_not_run_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = recipes.get("vae-wgan/narrow-64")
    monkeypatch.setenv("VISAGIST_VGG19", str(tmp_path / "nowhere.pth"))
    reason = runs.network_missing(recipe)
    assert reason is not None
    assert "nowhere.pth" in reason
    assert runs.network_missing(recipes.get("vae/narrow-64")) is None
    monkeypatch.setattr(runs, "network_missing", lambda recipe: reason)
    said: list[str] = []
    progress = StageBars(said.append, show=False)
    entry = reproduce("vae-wgan/figure7", scale="smoke", out=tmp_path / "out", device="cpu", progress=progress)
    assert {cell["verdict"] for cell in entry["cells"]} == {"not run: needs weights of VGG-19: $VISAGIST_VGG19"}
    assert f"relu1_1 is left out: {reason}" in said
    assert not (tmp_path / "out" / "runs").exists()


def test_a_row_without_an_edit_edits_along_vectors_in_a_copy_and_its_run_stays_as_it_was(tmp_path: Path) -> None:
    one = reproduction.get("residual-gan/figure4")
    row, faces = one.rows[-1], load_data(DRAWN, image_size=16)
    outcome = RowOutcome(row, at_scale(row, SCALES["smoke"], one))
    assert prepare_run(outcome, faces, faces, tmp_path, runs.Judging(8, 0, "cpu"))
    assert (outcome.lacking, outcome.run is not None) == (("Male",), True)
    run = replace(outcome.run, folder=saved(tmp_path / "run", tiny_model(VAEGAN)))
    written = []
    for _ in range(2):
        runs.fit_vectors_once(run, faces, device="cpu", calibrated=False, progress=StageBars(print, show=False))
        written.append((run.measured / "config.json").stat().st_mtime_ns)
    copy = Editor.from_pretrained(run.measured)
    assert (copy.can("edit"), copy.attributes) == (True, tuple(name for name in row.vectors if name != "Male"))
    assert written[0] == written[1]
    assert not Editor.from_pretrained(run.folder).can("edit")


def test_a_stopped_run_goes_on_where_it_was_and_ends_as_if_it_had_not_been_stopped(tmp_path: Path) -> None:
    recipe, faces = what()
    names, _ = runs.learnable(recipe, faces)
    whole, stopped = (runs.run_of(recipe, names, faces, tmp_path / part) for part in ("whole", "stopped"))
    assert runs.train_once(whole, faces, device="cpu", calibrated=False)
    with pytest.raises(Interrupted):
        runs.train_once(stopped, _interrupting(faces), device="cpu", calibrated=False)
    assert not stopped.finished()
    seen = checkpoint.read_description(stopped.folder / "last")["training"]["images"]
    assert seen == 8
    said: list[str] = []
    assert runs.train_once(stopped, faces, device="cpu", calibrated=False, progress=StageBars(said.append, show=False))
    assert any("continues at" in line for line in said)
    hashes = [checkpoint.read_description(run.folder / "last")["weights_sha256"] for run in (whole, stopped)]
    assert hashes[0] == hashes[1]
    assert checkpoint.read_description(stopped.model)["strength"] is None
    assert not runs.train_once(stopped, faces, device="cpu", calibrated=True)
    both = {name for name in names if len(set(faces.column(name)[faces.indices("val")].tolist())) == 2}
    assert set(checkpoint.read_description(stopped.model)["strength"]) == both != set()


class _Interrupting(np.ndarray):
    """Images; the first batch that is taken of them sends this process the signal of Ctrl-C."""

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, np.ndarray) and len(key) == 8:
            os.kill(os.getpid(), signal.SIGINT)
        return np.asarray(self)[key]


def _interrupting(faces: Faces) -> Faces:
    return replace(faces, images=faces.images.view(_Interrupting))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("ifcvae-gan/table33",), "did you mean ifcvae-gan/table3"),
        (("ifcvae-gan/table3", "--scale", "smal"), "did you mean small"),
        (("ifcvae-gan/table3",), "needs photographs: give --data celeba:PATH"),
        (("ifcvae-gan/table3", "--scale", "smoke", "--data", "celeba:x"), "leave out --data celeba:x"),
        (("ifcvae-gan/table3", "--scale", "smoke", "--minutes", "3"), "--minutes 3 is for --scale small"),
        (("introvac/table1", "--scale", "smoke", "--features", "none"), "no feature network 'none'"),
        (("introvac/table1", "--scale", "smoke", "--other", "celeba:x"), "leave out --other celeba:x"),
        (("residual-gan/figure5", "--scale", "smoke", "--other", "celeba:x"), "leave out --other celeba:x"),
        (("residual-gan/figure5", "--data", "synthetic:60"), "give --other celeba:PATH"),
        ((), "reproduce --list has all names"),
    ],
)
def test_what_cannot_be_reproduced_is_one_line(
    command: Command, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    assert said in command("reproduce", *arguments, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists() or not any((tmp_path / "out").iterdir())


def test_the_list_has_every_name(command: Command) -> None:
    listed = json.loads(command("reproduce", "--list", "--json").out)
    assert [one["name"] for one in listed] == NAMES
    assert all(name in command("reproduce", "--list").out for name in NAMES)
