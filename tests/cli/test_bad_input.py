"""Whatever a person gets wrong is one clear line and a non-zero exit, and nothing half-written is left."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Command, contents, train_arguments
from PIL import Image

from visagist.data.drawn.synthetic import SyntheticFaces

LABELS = "file,Smiling\n" + "".join(f"{i}.jpg,{i % 2}\n" for i in range(20))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path_factory.mktemp("cache")))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Twenty JPEGs and their labels."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, pixels in enumerate(SyntheticFaces(20, image_size=32).render()):
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    (folder / "labels.csv").write_text(LABELS)
    return folder


@pytest.fixture
def run(tmp_path: Path, trained_run: Path) -> Path:
    """A trained run, to be damaged."""
    return Path(shutil.copytree(trained_run, tmp_path / "run"))


def train(photos: Path, *more: object) -> list[str]:
    return [*train_arguments(photos.parent / "out", data=f"folder:{photos}"), *map(str, more)]


def left(photos: Path) -> bool:
    """Whether the training left anything in or beside --out."""
    return any("out" in path.name for path in photos.parent.iterdir())


def test_twenty_whole_photos_with_labels_are_trained_on(command: Command, photos: Path) -> None:
    assert command(*train(photos)).status == 0


def test_an_empty_folder(command: Command, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    assert str(tmp_path / "photos") in command(*train(tmp_path / "photos")).error
    assert not left(tmp_path / "photos")


def test_a_folder_that_is_not_there(command: Command, tmp_path: Path) -> None:
    assert "photos" in command(*train(tmp_path / "photos")).error


@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_a_picture_that_is_none_is_refused_or_skipped_by_name(command: Command, photos: Path, damage: str) -> None:
    file = photos / "7.jpg"
    file.write_bytes(b"not a picture" if damage == "text" else file.read_bytes()[:300])
    assert "7.jpg" in command(*train(photos, "--on-bad", "refuse")).error
    assert not left(photos)
    skipped = command(*train(photos))
    assert skipped.status == 0
    assert "7.jpg" in skipped.err


@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_a_picture_to_edit_that_is_none_stops_before_anything_is_written(
    command: Command, run: Path, photos: Path, damage: str
) -> None:
    file = photos / "7.jpg"
    file.write_bytes(b"not a picture" if damage == "text" else file.read_bytes()[:300])
    out = photos.parent / "edited"
    failed = command("edit", run, photos / "1.jpg", file, "--aligned", "--set", "Smiling=1", "--out", out)
    assert "7.jpg" in failed.error
    assert not out.exists()


def test_a_csv_without_the_attribute_offers_the_nearest_column(command: Command, photos: Path) -> None:
    (photos / "labels.csv").write_text(LABELS.replace("Smiling", "Smilling"))
    assert "did you mean Smilling" in command(*train(photos)).error
    assert not left(photos)


def test_a_csv_that_names_a_missing_file(command: Command, photos: Path) -> None:
    (photos / "3.jpg").unlink()
    assert "3.jpg" in command(*train(photos, "--on-bad", "refuse")).error
    assert not left(photos)


def test_an_attribute_that_does_not_exist_offers_the_nearest(command: Command, run: Path, photos: Path) -> None:
    arguments = train(photos)
    arguments[arguments.index("Smiling")] = "Smiing"
    assert "did you mean Smiling" in command(*arguments).error
    edit = command("edit", run, photos / "1.jpg", "--set", "Smiing=1", "--out", photos.parent / "e.png")
    assert "did you mean Smiling" in edit.error
    assert not (photos.parent / "e.png").exists()


def test_one_class_only_in_the_training_split(command: Command, photos: Path) -> None:
    rows = [f"{i}.jpg,{int(i >= 16)},{'train' if i < 16 else 'val'}\n" for i in range(20)]
    (photos / "labels.csv").write_text("file,Smiling,split\n" + "".join(rows))
    assert "lack Smiling" in command(*train(photos)).error
    assert not left(photos)


def test_no_attribute_at_all_says_which_there_are(command: Command, tmp_path: Path) -> None:
    arguments = train_arguments(tmp_path / "out")
    at = arguments.index("--attributes")
    assert "needs attributes to learn" in command(*arguments[:at], *arguments[at + 2 :]).error


def test_a_place_that_cannot_be_written(command: Command, run: Path, photos: Path) -> None:
    blocked = photos.parent / "blocked"
    blocked.write_text("a file where a folder is needed")
    assert "blocked" in command(*train_arguments(blocked / "run")).error
    edit = ("edit", run, photos / "1.jpg", "--aligned", "--set", "Smiling=1", "--out")
    assert "blocked" in command(*edit, blocked / "edited.png").error
    assert "blocked" in command(*edit, blocked / "folder").error
    assert "blocked" in command("data", "pack", "synthetic:20", "--out", blocked / "pack").error
    assert "blocked" in command("demo", "--model", run, "--out", blocked / "demo").error
    assert blocked.read_text() == "a file where a folder is needed"


def full_disk(kilobytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command in a process whose files end at so many kilobytes, as they do where the disk is full."""
    limit = "import resource, sys; from visagist.cli import main; import visagist.api, visagist.editing.editor; "
    limit += f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kilobytes} * 1024, {kilobytes} * 1024)); main(sys.argv[1:])"
    return subprocess.run([sys.executable, "-c", limit, *arguments], capture_output=True, text=True, timeout=120)


def one_line(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1, done.stderr
    return errors[0]


def test_a_full_disk_while_training_leaves_no_run(tmp_path: Path) -> None:
    assert "cannot write" in one_line(full_disk(24, *train_arguments(tmp_path / "out")))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_while_editing_leaves_no_picture(run: Path, photos: Path) -> None:
    out = photos.parent / "edited"
    done = full_disk(0, "edit", str(run), str(photos / "1.jpg"), "--aligned", "--set", "Smiling=1", "--out", str(out))
    assert "cannot write" in one_line(done)
    assert not out.exists()


def test_a_full_disk_while_packing_leaves_no_pack(tmp_path: Path) -> None:
    done = full_disk(8, "data", "pack", "synthetic:40", "--out", str(tmp_path / "pack"), "--image-size", "16")
    assert "cannot write" in one_line(done)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


def test_a_run_of_another_method_is_not_resumed(command: Command, run: Path) -> None:
    before = contents(run)
    other = train_arguments(run, method="cvae-gan", images=64)
    assert "ifcvae-gan" in command(*other, "--resume").error
    assert contents(run) == before


def test_a_run_is_not_trained_over(command: Command, run: Path) -> None:
    before = contents(run)
    assert "add --resume" in command(*train_arguments(run)).error
    assert contents(run) == before


def test_a_judge_is_no_editor(command: Command, tmp_path: Path, photos: Path) -> None:
    assert command(*train_arguments(tmp_path / "judge", method="judge", data="synthetic:60")).status == 0
    edit = command("edit", tmp_path / "judge", photos / "1.jpg", "--set", "Smiling=1", "--out", tmp_path / "e.png")
    assert "judge" in edit.error
    assert not (tmp_path / "e.png").exists()


@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_corrupted_safetensors_is_never_used(command: Command, run: Path, photos: Path, damage: str) -> None:
    weights = run / "best" / "model.safetensors"
    content = weights.read_bytes()
    if damage == "gone":
        weights.unlink()
    else:
        weights.write_bytes(content[:-100] if damage == "cut" else content[:-1] + bytes([content[-1] ^ 1]))
    out = photos.parent / "e.png"
    failed = command("edit", run, photos / "1.jpg", "--set", "Smiling=1", "--out", out)
    assert "model.safetensors" in failed.error
    assert not out.exists()


def test_an_unknown_checkpoint_format_is_refused_by_number(command: Command, run: Path, photos: Path) -> None:
    config = run / "best" / "config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "format_version": 99}))
    out = photos.parent / "e.png"
    assert "format 99" in command("edit", run, photos / "1.jpg", "--set", "Smiling=1", "--out", out).error


def test_a_folder_that_holds_neither_a_model_nor_pictures(command: Command, photos: Path) -> None:
    (photos / "empty").mkdir()
    failed = command("edit", photos / "empty", photos / "1.jpg", "--set", "Smiling=1", "--out", photos.parent / "e.png")
    assert "holds neither pictures nor a model" in failed.error


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--set", "Smiling=2"), "from -1 to 1"),
        (("--set", "Smiling=nan"), "from -1 to 1"),
        (("--set", "Smiling"), "write key=value"),
        (("--set", "Smiling=1", "--mode", "rende"), "did you mean render"),
        (("--set", "Smiling=1", "--device", "tpu"), "no device"),
    ],
)
def test_a_wrong_option_of_edit(command: Command, run: Path, photos: Path, wrong: tuple[str, ...], said: str) -> None:
    out = photos.parent / "edited"
    assert said in command("edit", run, photos / "1.jpg", *wrong, "--out", out).error
    assert not out.exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (("--minutes", "1"), "the budget is given twice"),
        (("--set", "kl_weight=heavy"), "give a number"),
        (("--set", "schedule=cosin"), "did you mean cosine"),
        (("--set", "nothing=1"), "no setting 'nothing'"),
        (("--set", "images=5"), "given twice"),
        (("--recipe", "judge-65"), "did you mean judge-64"),
        (("--seed", "-1"), "from 0 on"),
        (("--on-bad", "ignore"), "refuse"),
        (("--device", "tpu"), "no device"),
    ],
)
def test_a_wrong_option_of_train(command: Command, tmp_path: Path, wrong: tuple[str, ...], said: str) -> None:
    failed = command(*train_arguments(tmp_path / "out"), *wrong)
    assert said in failed.error
    assert not (tmp_path / "out").exists()


def test_many_pictures_do_not_fit_one_file_nor_two_of_a_name_one_folder(command: Command, run: Path, photos: Path) -> None:
    pictures = (photos / "1.jpg", photos / "2.jpg")
    edit = ("edit", run, "--set", "Smiling=1", "--out", photos.parent / "e.png")
    assert "cannot all go to" in command(*edit, *pictures).error
    (photos / "more").mkdir()
    shutil.copy(photos / "1.jpg", photos / "more" / "1.jpg")
    twins = (photos / "1.jpg", photos / "more" / "1.jpg")
    folder = ("edit", run, *twins, "--set", "Smiling=1", "--out", photos.parent / "edited")
    assert "would both be written" in command(*folder).error
    assert not (photos.parent / "edited").exists()
