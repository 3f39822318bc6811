"""What the commands promise: what is printed where, what is written, and how they end."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import TINY, Command, Result, contents, train_arguments
from PIL import Image

from visagist import pretrained
from visagist.checkpoints.checkpoint import read_description
from visagist.cli import main
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.pipelines import plan

COMMANDS = (
    "train", "edit", "sample", "interpolate", "traverse", "map", "evaluate", "directions", "landmarks", "reproduce",
    "calibrate", "methods", "recipes", "inspect", "doctor", "demo", "data check", "data pack",
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("own_cache")


@pytest.fixture(scope="module")
def run(trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run of this file's own."""
    return Path(shutil.copytree(trained_run, tmp_path_factory.mktemp("trained") / "run"))


@pytest.fixture(scope="module")
def judge_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained attribute judge for drawn faces of 16 pixels."""
    out = tmp_path_factory.mktemp("trained") / "judge"
    with pytest.raises(SystemExit) as ended:
        main(train_arguments(out, method="judge", data="synthetic:60"))
    assert not ended.value.code
    return out


@pytest.fixture
def faces(tmp_path: Path) -> list[Path]:
    """Three drawn faces as pictures."""
    folder = tmp_path / "photos"
    folder.mkdir()
    paths = [folder / f"face-{i}.png" for i in range(3)]
    for path, pixels in zip(paths, SyntheticFaces(3, image_size=48).render()):
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def zoo(tmp_path: Path, run: Path, judge_run: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one editor and the calibrating judge."""
    folder = tmp_path / "zoo"
    for name, source in (("tiny-smiling", run), ("judge-64-b", judge_run)):
        (folder / name).mkdir(parents=True)
        for file in ("config.json", "model.safetensors"):
            (folder / name / file).write_bytes((source / "last" / file).read_bytes())
    (folder / "defaults.json").write_text(json.dumps({"Smiling": "tiny-smiling"}))
    monkeypatch.setattr(pretrained, "ZOO", folder)
    return folder


def picture(path: Path) -> Image.Image:
    """A picture, read whole, so that no file stays open."""
    return Image.open(io.BytesIO(path.read_bytes()))


def test_help_is_quick_because_it_does_not_import_torch() -> None:
    code = "make_app()(['--help'], standalone_mode=False); print('torch' in sys.modules)"
    program = [sys.executable, "-c", f"import sys; from visagist.cli import make_app; {code}"]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False"


def test_help_lists_every_command_and_each_has_an_example(command: Command) -> None:
    whole = command("--help").out + command("data", "--help").out
    for name in COMMANDS:
        assert f" {name.split()[-1]} " in whole
        assert f"visagist {name}" in command(*name.split(), "--help").out


def test_version_is_printed(command: Command) -> None:
    assert re.fullmatch(r"visagist \d+\.\d+\.\d+\n", command("--version").out)


def test_an_unknown_command_or_option_is_one_line(command: Command) -> None:
    assert "trian" in command("trian").error
    assert "--out" in command("train", "ifcvae-gan").error
    assert "--wat" in command("methods", "--wat").error


def test_training_writes_last_and_best_and_prints_the_one_to_use(command: Command, tmp_path: Path) -> None:
    done = command(*train_arguments(tmp_path / "run"))
    assert done.status == 0
    assert done.out.splitlines()[-1] == str(tmp_path / "run" / "best")
    for part in ("last", "best"):
        described = read_description(tmp_path / "run" / part)
        assert (described["name"], described["attributes"], described["image_size"]) == ("ifcvae-gan", ["Smiling"], 16)
        assert described["config"]["width"] == 4


def test_without_data_the_drawn_faces_are_used_and_named(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "DRAWN_FACES", "synthetic:30")
    arguments = train_arguments(tmp_path / "run")
    at = arguments.index("--data")
    done = command(*arguments[:at], *arguments[at + 2 :])
    assert done.status == 0
    assert "no --data: training on the drawn faces" in done.err
    assert read_description(tmp_path / "run" / "last")["data"]["source"] == "synthetic:30"


def test_the_same_seed_gives_the_same_weights_and_another_gives_others(command: Command, tmp_path: Path) -> None:
    hashes = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        assert command(*train_arguments(tmp_path / name), "--seed", seed).status == 0
        hashes.append(read_description(tmp_path / name / "last")["weights_sha256"])
    assert hashes[0] == hashes[1] != hashes[2]


def test_several_attributes_are_learned_by_one_model(command: Command, tmp_path: Path, faces: list[Path]) -> None:
    arguments = train_arguments(tmp_path / "run")
    arguments[arguments.index("Smiling")] = "Smiling,Eyeglasses"
    assert command(*arguments).status == 0
    assert read_description(tmp_path / "run" / "last")["attributes"] == ["Smiling", "Eyeglasses"]
    both = ("--set", "Smiling=1", "--set", "Eyeglasses=-0.5")
    done = command("edit", tmp_path / "run", faces[0], "--aligned", *both, "--out", tmp_path / "two.png", "--strip")
    assert done.status == 0
    assert picture(tmp_path / "two-strip.png").height > 2 * 128


def test_resume_begins_and_says_so_where_there_is_no_run(command: Command, tmp_path: Path) -> None:
    done = command(*train_arguments(tmp_path / "run"), "--resume")
    assert done.status == 0
    assert "nothing to resume, starting afresh" in done.err


def test_resuming_a_finished_run_leaves_every_file_as_it_is(command: Command, tmp_path: Path) -> None:
    assert command(*train_arguments(tmp_path / "run")).status == 0
    before = {k: v for k, v in contents(tmp_path / "run").items() if "tensorboard" not in k}
    done = command(*train_arguments(tmp_path / "run"), "--resume")
    assert done.status == 0
    assert "is finished" in done.err
    assert {k: v for k, v in contents(tmp_path / "run").items() if "tensorboard" not in k} == before


def test_a_run_does_not_go_on_with_other_faces(command: Command, run: Path) -> None:
    other = command(*train_arguments(run, data="synthetic:44", images=64), "--resume")
    assert "was trained on other faces (synthetic:40" in other.error


def test_a_judge_learns_all_attributes_of_the_data(judge_run: Path) -> None:
    described = read_description(judge_run / "last")
    assert described["kind"] == "judge"
    assert len(described["attributes"]) >= 8


def test_training_calibrates_both_checkpoints_with_the_judge_that_never_scores(
    command: Command, tmp_path: Path, zoo: Path
) -> None:
    done = command(*train_arguments(tmp_path / "run"))
    assert done.status == 0
    assert "strength calibrated for Smiling by judge-64-b" in done.err
    for part in ("last", "best"):
        strength = read_description(tmp_path / "run" / part)["strength"]
        assert strength["Smiling"]["+1"]["judge"] == "judge-64-b"
    calm = command(*train_arguments(tmp_path / "calm"), "--no-calibrate")
    assert calm.status == 0
    assert read_description(tmp_path / "calm" / "last")["strength"] is None


def test_calibrate_stores_the_strength_of_a_model(command: Command, tmp_path: Path, zoo: Path) -> None:
    assert command(*train_arguments(tmp_path / "run"), "--no-calibrate").status == 0
    done = command("calibrate", tmp_path / "run", "--data", "synthetic:60", "--json")
    assert done.status == 0
    record = read_description(tmp_path / "run" / "best")["strength"]
    assert json.loads(done.out) == record
    assert set(record["Smiling"]) == {"+1", "-1"}


def test_strength_is_fitted_by_the_robust_judge_too_where_it_ships_or_by_those_that_are_named(
    command: Command, tmp_path: Path, zoo: Path
) -> None:
    shutil.copytree(zoo / "tiny-smiling", tmp_path / "model")

    def calibrate(*more: object) -> Result:
        return command("calibrate", tmp_path / "model", "--data", "synthetic:60", "--number", 4, *more)

    assert "calibrated for Smiling by judge-64-b" in calibrate().err
    shutil.copytree(zoo / "judge-64-b", zoo / "judge-64-robust-b")
    assert "calibrated for Smiling by judge-64-robust-b and judge-64-b" in calibrate().err
    assert "calibrated for Smiling by judge-64-b" in calibrate("--judges", "judge-64-b").err
    (zoo / "judge-64-b").rename(zoo / "judge-64")
    assert "scores and never calibrates" in calibrate("--judges", "judge-64-robust-b,judge-64").error




def test_one_face_goes_to_a_file_and_many_to_a_folder(
    command: Command, tmp_path: Path, run: Path, faces: list[Path]
) -> None:
    one = command("edit", run, faces[0], "--aligned", "--set", "Smiling=-1", "--out", tmp_path / "one.jpg")
    assert one.out.splitlines() == [str(tmp_path / "one.jpg")]
    assert picture(tmp_path / "one.jpg").size == (16, 16)
    many = command("edit", run, *faces, "--aligned", "--set", "Smiling=-1", "--out", tmp_path / "many")
    assert many.status == 0
    assert sorted(p.name for p in (tmp_path / "many").iterdir()) == ["face-0.png", "face-1.png", "face-2.png"]


def test_detail_keeps_the_size_of_the_photo(command: Command, tmp_path: Path, run: Path, faces: list[Path]) -> None:
    done = command("edit", run, faces[0], "--aligned", "--set", "Smiling=1", "--out", tmp_path / "d.png", "--mode", "detail")
    assert done.status == 0
    assert picture(tmp_path / "d.png").size == (48, 48)


def test_an_edited_picture_says_of_itself_that_it_is(command: Command, tmp_path: Path, run: Path, faces: list[Path]) -> None:
    for name in ("e.png", "e.jpg", "e.webp"):
        assert command("edit", run, faces[0], "--aligned", "--set", "Smiling=1", "--out", tmp_path / name).status == 0
        assert "edited with visagist, run: Smiling=1" in str(picture(tmp_path / name).getexif()[0x0131])


def test_strip_residual_and_json_name_what_was_written(
    command: Command, tmp_path: Path, run: Path, faces: list[Path]
) -> None:
    beside = ("--strip", "--residual", "--heat", "--grid", "--json")
    done = command("edit", run, faces[0], "--aligned", "--set", "Smiling=1", "--out", tmp_path / "o", *beside)
    report = json.loads(done.out)
    assert report["set"] == {"Smiling": 1.0}
    written = report["files"][0]
    assert {key: Path(path).name for key, path in written.items()} == {
        "input": "face-0.png", "edited": "face-0.png", "strip": "face-0-strip.png", "residual": "face-0-residual.png",
        "grid": "face-0-grid.png", "heat": "face-0-heat.png",
    }  # fmt: skip
    assert all(Path(path).exists() for path in written.values())


def test_the_default_model_is_looked_up_and_named(command: Command, tmp_path: Path, zoo: Path, faces: list[Path]) -> None:
    done = command("edit", faces[0], "--aligned", "--set", "Smiling=-1", "--out", tmp_path / "one.png")
    assert done.status == 0
    assert "model: tiny-smiling" in done.err
    named = command("edit", "tiny-smiling", faces[0], "--aligned", "--set", "Smiling=-1", "--out", tmp_path / "two.png")
    assert named.status == 0
    assert np.array_equal(np.asarray(picture(tmp_path / "one.png")), np.asarray(picture(tmp_path / "two.png")))


def test_the_terms_of_shipped_weights_are_said_once(
    command: Command, tmp_path: Path, zoo: Path, faces: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def edit() -> Result:
        return command("edit", "tiny-smiling", faces[0], "--aligned", "--set", "Smiling=-1", "--out", tmp_path / "one.png")

    assert "non-commercial" in edit().err
    assert "non-commercial" not in edit().err
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "file"))
    unwritable = edit()
    assert unwritable.status == 0
    assert "non-commercial" in unwritable.err


def test_an_edit_never_writes_over_the_picture_it_edits(command: Command, run: Path, faces: list[Path]) -> None:
    before = contents(faces[0].parent)
    assert "would be lost" in command("edit", run, *faces, "--aligned", "--set", "Smiling=1", "--out", faces[0].parent).error
    assert contents(faces[0].parent) == before


def test_evaluate_writes_the_three_files_of_a_report(command: Command, tmp_path: Path, run: Path, judge_run: Path) -> None:
    arguments = ("--data", "synthetic:120", "--limit", 12, "--judge", judge_run, "--out", tmp_path / "report")
    done = command("evaluate", run, *arguments, "--json", "--device", "cpu")
    assert done.status == 0, done.err
    written = json.loads((tmp_path / "report" / "metrics.json").read_text())
    assert json.loads(done.out)["metrics"].keys() == written["metrics"].keys()
    assert {"value", "low", "high", "n"} <= written["metrics"]["reconstruction.mse"].keys()
    assert {p.name for p in (tmp_path / "report").iterdir()} >= {"metrics.json", "metrics.csv", "report.html"}


def test_an_identity_embedder_that_cannot_be_had_is_said_before_any_work(command: Command, tmp_path: Path) -> None:
    where = ("evaluate", "ifcvae-gan-smiling-64", "--data", "synthetic:12", "--out", tmp_path / "report")
    assert "give --identity" in command(*where, "--identity-box", "0,0,1,1").error
    assert "--identity-box is '0,1'" in command(*where, "--identity", "a.onnx", "--identity-box", "0,1").error
    assert re.search("pip install|name the file", command(*where, "--identity", tmp_path / "a.onnx").error)
    assert not (tmp_path / "report").exists()


def test_data_check_counts_and_draws_a_sheet(command: Command, tmp_path: Path) -> None:
    report = json.loads(command("data", "check", "synthetic:30", "--out", tmp_path / "s.png", "--json").out)
    assert report["count"] == 30
    assert picture(tmp_path / "s.png").width > 64
    assert "Smiling" in command("data", "check", "synthetic:30").out


def test_a_pack_is_a_source_of_its_own(command: Command, tmp_path: Path) -> None:
    packed = command("data", "pack", "synthetic:30", "--out", tmp_path / "pack", "--image-size", 16, "--encoding", "webp")
    assert packed.out.splitlines()[-1] == f"pack:{tmp_path / 'pack'}"
    assert command(*train_arguments(tmp_path / "run", data=f"pack:{tmp_path / 'pack'}")).status == 0


def test_methods_recipes_and_doctor_speak_json(command: Command) -> None:
    names = [method["name"] for method in json.loads(command("methods", "--json").out)]
    assert {"ifcvae-gan", "cvae-gan", "judge"} <= set(names)
    assert any(r["name"] == "ifcvae-gan/table1-ours" for r in json.loads(command("recipes", "--json").out))
    assert json.loads(command("recipes", "judge-64").out)["method"] == "judge"
    report = json.loads(command("doctor", "--json").out)
    assert {"versions", "devices", "zoo", "advice"} <= report.keys()


def test_a_method_in_one_file_of_ones_own_is_trained_by_name(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    source = 'from visagist.methods.ifcvae_gan import IFcVAEGAN\n\n\nclass Mine(IFcVAEGAN):\n    name = "mine"\n'
    (tmp_path / "mine" / "mine.py").write_text(source)
    environment = {**os.environ, "VISAGIST_METHODS": str(tmp_path / "mine")}
    arguments = [sys.executable, "-m", "visagist", *train_arguments(tmp_path / "run", method="ifcvae-gan")]
    arguments[arguments.index("ifcvae-gan")] = "mine"
    subprocess.run(arguments, env=environment, check=True, capture_output=True)
    assert read_description(tmp_path / "run" / "last")["name"] == "mine"


def test_the_demo_page_holds_everything_it_shows(command: Command, tmp_path: Path, run: Path) -> None:
    done = command("demo", "--model", run, "--out", tmp_path / "demo")
    assert done.out.splitlines()[-1] == str(tmp_path / "demo" / "index.html")
    page = (tmp_path / "demo" / "index.html").read_text()
    assert page.count("data:image/png;base64,") > 9 * 4
    assert not re.search(r'(src|href)="(?!data:|\$)', page)
    assert "$" not in re.sub(r"base64,[^\"]*", "", page).replace("${", "")


def test_a_batch_that_processes_cannot_share_is_refused_before_any_starts(command: Command, tmp_path: Path) -> None:
    assert "cannot be shared by 3 processes" in command(*train_arguments(tmp_path / "run"), "--devices", 3).error
    alone = command(*train_arguments(tmp_path / "run"), "--max-restarts", 1)
    assert "--max-restarts is for several processes: add --devices" in alone.error
    assert not (tmp_path / "run").exists()


def test_settings_that_a_method_cannot_have_are_refused(command: Command, tmp_path: Path) -> None:
    refused = command(*train_arguments(tmp_path / "run"), "--set", "learning_rate=-1")
    assert "refuses its settings" in refused.error
    assert TINY[1].startswith("image_size")
    assert not (tmp_path / "run").exists()
