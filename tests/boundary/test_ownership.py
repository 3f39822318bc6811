"""Files that are not visagist's are never written over, moved or deleted, whatever a command is given as --out."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Command, contents, train_arguments
from PIL import Image
from shards import encoded, face, write_tar
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import methods
from visagist.boundary.ownership import carries_mark, probe_object, refuse_inputs, refuse_outside, remove_folder, take_folder
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import find_shards
from visagist.checkpoints import checkpoint
from visagist.checkpoints.run_folder import check_run_folder
from visagist.data import pack
from visagist.data.inspection import write_sample_sheet
from visagist.errors import VisagistError

pytestmark = pytest.mark.usefixtures("own_cache")
SMILE = ("--set", "Smiling=1")
# Names that visagist writes, each of somebody else's file.
NAMES = (
    "a.png", "b.png", "manifest.json", "best/holiday.jpg", "last/holiday.jpg", "log.jsonl", ".lock", "samples/000000008.png",
    "images-000000008/holiday.jpg", ".best.previous/holiday.jpg", ".last.writing-7/holiday.jpg", "tensorboard/holiday.jpg",
    "metrics.json", "metrics.csv", "report.html", "compare.json", "correlations.json", "recognition.json", "directions.json",
    "directions.safetensors", "bench.json", "verdicts.json", "index.html", "pictures/0.png", "runs/mine/a.txt", "map.png",
    "map.json", "0000.png", "sheet.png", "summary.json", "edits.csv", "README.md", "labels.csv", ".writable",
)  # fmt: skip


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of pictures, and of somebody's files by the names of visagist's."""
    folder = tmp_path / "home" / "photos"
    for number, name in enumerate(NAMES):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(face(number)) if path.suffix == ".png" else f"mine, {number}".encode())
    rows = [f"{name},{i % 2},{('train', 'val', 'test')[i // 2]}" for i, name in enumerate(["a.png", "b.png"] * 3)][:2]
    (folder / "labels.csv").write_text("\n".join(["file,Smiling,split", *rows]) + "\n")
    (tmp_path / "home" / ".photos.lock").write_text("mine")
    building = tmp_path / "home" / ".photos.building-mine"
    building.mkdir()
    (building / "holiday.jpg").write_bytes(b"mine")
    return folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return saved(tmp_path / "model", tiny_model(methods.get("ifcvae-gan")).eval())


DATA = ("--data", "synthetic:40", "--device", "cpu")
FOLDERS: dict[str, tuple[str, ...]] = {
    "train": tuple(train_arguments(Path("x"))),
    "resume": (*train_arguments(Path("x")), "--resume"),
    "evaluate": ("evaluate", "MODEL", *DATA, "--limit", "4", "--allow-dependent"),
    "recognise": ("recognise", "MODEL", *DATA),
    "correlations": ("correlations", "MODEL", *DATA, *SMILE, "--limit", "4"),
    "bench": ("bench", "vae", "--images", "8", "--faces", "40", "--test", "10", "--device", "cpu"),
    "reproduce": ("reproduce", "ifcvae-gan/table3", "--scale", "smoke", "--device", "cpu"),
    "map": ("map", "MODEL", *DATA, "--split", "all", "--number", "16"),
    "demo": ("demo", "--model", "MODEL"),
    "sample": ("sample", "MODEL", "--number", "1", "--device", "cpu"),
    "factor": ("factor", "MODEL", *DATA),
    "pack": ("data", "pack", "synthetic:20", "--image-size", "16"),
    "pack of it": ("data", "pack", "folder:PHOTOS/labels.csv", "--image-size", "16"),
    "bulk": ("bulk", "ELSEWHERE", *SMILE, "--model", "MODEL", "--aligned", "--device", "cpu"),
    "bulk of it": ("bulk", "PHOTOS", *SMILE, "--model", "MODEL", "--aligned", "--device", "cpu"),
    "edit": ("edit", "MODEL", "ELSEWHERE", *SMILE, "--device", "cpu", "--overwrite"),
    "aligned": ("edit", "MODEL", "ELSEWHERE", *SMILE, "--aligned", "--device", "cpu", "--overwrite"),
    "edit of it": ("edit", "MODEL", "PHOTOS", *SMILE, "--aligned", "--device", "cpu", "--overwrite"),
}  # fmt: skip


@pytest.mark.parametrize("way", ["itself", "a link", "its parent"])
@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_of_somebodys_files_is_refused_and_left_as_it_is(
    name: str, way: str, command: Command, photos: Path, model: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere" / "a.png"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(encoded(face(9)))
    (tmp_path / "link").symlink_to(photos)
    out = {"itself": photos, "a link": tmp_path / "link", "its parent": photos.parent}[way]
    words = [w.replace("MODEL", str(model)).replace("PHOTOS", str(photos)) for w in FOLDERS[name]]
    words = [str(elsewhere.parent) if word == "ELSEWHERE" else word for word in words]
    if "--out" in words:
        del words[words.index("--out") : words.index("--out") + 2]
    before = contents(photos.parent)
    error = command(*words, "--out", out).error
    assert any(said in error for said in ("did not write it", "is no pack", "not of an earlier run", "would be lost",
                                          "which saving would remove", "lies in --out")), error  # fmt: skip
    assert contents(photos.parent) == before
    assert contents(elsewhere.parent) == {"a.png": encoded(face(9))}


FILES: dict[str, tuple[str, ...]] = {
    "edit": ("edit", "MODEL", "IN", *SMILE, "--aligned", "--device", "cpu", "--out"),
    "edit, sheet": ("edit", "MODEL", "IN", *SMILE, "--aligned", "--device", "cpu", "--out", "NEW", "--sheet"),
    "interpolate": ("interpolate", "MODEL", "IN", "OTHER", "--steps", "3", "--device", "cpu", "--out"),
    "traverse": ("traverse", "MODEL", "IN", "--number", "2", "--device", "cpu", "--out"),
    "walk": ("walk", "MODEL", "IN", "--steps", "3", "--device", "cpu", "--out"),
    "check": ("data", "check", "synthetic:20", "--image-size", "16", "--out"),
    "profile": ("profile", "vae", "--image-size", "16", "--width", "2", "--steps", "1", "--device", "cpu", "--trace"),
}  # fmt: skip


def words_of(name: str, model: Path, folder: Path) -> list[str]:
    given = {"MODEL": model, "IN": folder / "in.png", "OTHER": folder / "other.png", "NEW": folder / "new.png"}
    return [str(given.get(word, word)) for word in FILES[name]]


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number, name in enumerate(("in.png", "other.png", "foreign.png")):
        (folder / name).write_bytes(encoded(face(number)))
    return folder


@pytest.mark.parametrize("name", FILES)
def test_somebodys_file_is_replaced_only_with_overwrite(name: str, command: Command, model: Path, inputs: Path) -> None:
    before = contents(inputs)
    words = [*words_of(name, model, inputs), str(inputs / "foreign.png")]
    assert "add --overwrite" in command(*words).error
    assert contents(inputs) == before
    if name in ("edit", "check"):
        assert command(*words, "--overwrite").status == 0
        assert contents(inputs) == {**before, "foreign.png": (inputs / "foreign.png").read_bytes()}
        assert (inputs / "foreign.png").read_bytes() != before["foreign.png"]
        assert command(*words).status == 0, "what visagist wrote is written anew without a word"


@pytest.mark.parametrize("way", ["itself", "symbolic link", "hard link", "case", "dots"])
@pytest.mark.parametrize("name", [name for name in FILES if "IN" in FILES[name]])
def test_a_picture_that_is_read_is_never_replaced(
    name: str, way: str, command: Command, model: Path, inputs: Path
) -> None:
    source, out = inputs / "in.png", inputs / "out.png"
    if way == "symbolic link":
        out.symlink_to(source)
    elif way == "hard link":
        os.link(source, out)
    else:
        out = {"itself": source, "case": inputs / "IN.PNG", "dots": inputs / "x" / ".." / "in.png"}[way]
        (inputs / "x").mkdir()
    before = contents(inputs)
    assert "would be lost" in command(*words_of(name, model, inputs), out, "--overwrite").error
    assert contents(inputs) == before


def test_a_batch_neither_lengthens_a_foreign_table_nor_follows_a_link_out_of_its_folder(
    command: Command, model: Path, inputs: Path, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "precious"
    (inputs / "sub").mkdir()
    shutil.copy(inputs / "in.png", inputs / "sub" / "in.png")
    elsewhere.mkdir()
    (elsewhere / "in.png").write_bytes(b"mine")
    words = ("edit", model, inputs, *SMILE, "--device", "cpu", "--recursive", "--aligned", "--out", out)
    assert command(*words).status == 0
    shutil.rmtree(out / "sub")
    (out / "sub").symlink_to(elsewhere)
    assert command(*words).status == 2
    assert contents(elsewhere) == {"in.png": b"mine"}
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "edits.csv").write_text("mine\n")
    done = command("edit", model, inputs, *SMILE, "--device", "cpu", "--out", tmp_path / "other")
    assert "edits.csv is there already and visagist did not write it" in done.error
    assert (tmp_path / "other" / "edits.csv").read_text() == "mine\n"


def test_a_report_is_written_anew_over_its_own_but_not_over_another(command: Command, model: Path, tmp_path: Path) -> None:
    words = ("map", model, *DATA, "--split", "all", "--number", "16", "--out", tmp_path / "map")
    assert command(*words).status == 0
    assert command(*words).status == 0
    (tmp_path / "map" / "map.html").write_text("mine")
    assert "map.html is there already and visagist did not write it" in command(*words).error
    assert (tmp_path / "map" / "map.html").read_text() == "mine"
    sample = command("sample", model, "--number", "1", "--device", "cpu", "--out", tmp_path / "map")
    assert "visagist did not write it" in sample.error


# bulk


def test_a_path_with_dots_leads_a_bulk_edit_nowhere(
    command: Command, model: Path, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = inputs / "below"
    below.mkdir()
    shutil.copy(inputs / "other.png", below / "other.png")
    monkeypatch.chdir(below)
    before = contents(inputs)
    words = ("bulk", "../in.png", "other.png", *SMILE, "--model", model, "--aligned", "--device", "cpu", "--out")
    assert command(*words, "../out").status == 0
    after = contents(inputs)
    assert {name: after[name] for name in before} == before
    assert {"in.png", "below/other.png"} <= contents(inputs / "out").keys()
    assert command("bulk", "../in.png", *words[3:], tmp_path / "two").status == 0
    assert "in.png" in contents(tmp_path / "two")


def test_bulk_writes_over_what_it_listed_and_nothing_else(
    command: Command, model: Path, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("bulk", inputs, *SMILE, "--model", model, "--aligned", "--device", "cpu", "--out", out)
    assert command(*words).status == 0
    whole = contents(out)
    (out / "photos-000000.edits.jsonl").unlink()  # as a kill before the list leaves it: all is done anew
    assert command(*words).status == 0
    assert {name for name in contents(out) if name.endswith(".png")} == {name for name in whole if name.endswith(".png")}
    (inputs / "more.png").write_bytes(encoded(face(5)))
    (out / "more.png").write_bytes(b"mine")
    assert command(*words).status == 4
    assert "more.png is there already and visagist did not write it" in (out / "photos-000000.edits.jsonl").read_text()
    assert (out / "more.png").read_bytes() == b"mine"
    (out / "more.png").unlink()
    (out / "summary.json").write_text('{"mine": 1}')
    assert "summary.json" in command(*words).error
    assert (out / "summary.json").read_text() == '{"mine": 1}'


def test_folders_that_earlier_versions_filled_are_gone_on_with(
    command: Command, model: Path, inputs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("bulk", inputs, *SMILE, "--model", model, "--aligned", "--device", "cpu", "--out", out)
    assert command(*words).status == 0
    shutil.rmtree(out / ".bulk" / "written")
    os.utime(inputs / "in.png", ns=(1, 1))
    assert command(*words).status == 0


def test_members_of_a_shard_do_not_go_through_a_link_in_the_results(
    command: Command, model: Path, tmp_path: Path
) -> None:
    shard = write_tar(tmp_path / "in" / "s.tar", [("sub/x.png", encoded(face(0))), ("sub/y.png", encoded(face(1)))])
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    words = ("bulk", shard, *SMILE, "--model", model, "--aligned", "--device", "cpu", "--to", "folder", "--out", out)
    assert command(*words).status == 0
    shutil.move(out / "s" / "sub", elsewhere)
    (out / "s" / "sub").symlink_to(elsewhere)
    (out / "s.edits.jsonl").unlink()
    before = contents(elsewhere)
    assert command(*words).status != 0
    assert contents(elsewhere) == before


def test_two_shards_of_one_name_are_refused(tmp_path: Path) -> None:
    for name in ("x.tar", "x.TAR"):
        write_tar(tmp_path / name, [("0.png", encoded(face(0)))])
    with pytest.raises(VisagistError, match="two shards would both be written to x"):
        find_shards([str(tmp_path)])


def test_bulk_begins_in_no_folder_that_holds_anything(tmp_path: Path, inputs: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(VisagistError, match=r"thesis\.txt is there already and not of an earlier run"):
        Ledger(out, "folder").open({}, find_shards([str(inputs)]))
    assert contents(out) == {"thesis.txt": b"mine"}


# packs


def test_a_pack_is_replaced_by_one_of_its_source_and_of_another_only_with_overwrite(
    command: Command, tmp_path: Path
) -> None:
    out = tmp_path / "pack"
    words = ("data", "pack", "synthetic:20", "--out", out, "--image-size", 16)
    assert command(*words).status == 0
    before = contents(out)
    assert command(*words, "--encoding", "webp").status == 0
    assert contents(out) != before
    before = contents(out)
    other = ("data", "pack", "synthetic:30", "--out", out, "--image-size", 16)
    assert "holds a pack of synthetic:20" in command(*other).error
    assert contents(out) == before
    assert command(*other, "--overwrite").status == 0
    assert "is the source itself" in command("data", "pack", f"pack:{out}", "--out", out, "--image-size", 16).error
    (out / "notes.txt").write_text("mine")
    before = contents(out)
    assert "is there already and is no pack" in command(*words, "--overwrite").error
    assert contents(out) == before


def test_a_lock_and_a_folder_of_building_that_are_somebodys_stay(tmp_path: Path) -> None:
    (tmp_path / ".out.lock").write_text("mine")
    (tmp_path / ".out.building-x").mkdir()
    (tmp_path / ".out.building-x" / "holiday.jpg").write_bytes(b"mine")
    before = contents(tmp_path)
    pack("synthetic:8", tmp_path / "out", image_size=16)
    after = contents(tmp_path)
    assert {name: after[name] for name in before} == before


# runs and models


def run_folder(folder: Path, model: Path) -> Path:
    shutil.copytree(model, folder / "last")
    (folder / "log.jsonl").write_text('{"kind": "train", "images": 8}\n')
    return folder


@pytest.mark.parametrize(
    "name", ["best/holiday.jpg", "last/notes.txt", ".last.previous/a.jpg", ".best.writing-1/a.jpg", "images-000000008/a.jpg"]
)
def test_a_run_is_not_gone_on_with_where_a_checkpoint_would_replace_somebodys_file(
    name: str, model: Path, tmp_path: Path
) -> None:
    run = run_folder(tmp_path / "run", model)
    check_run_folder(run, resume=True)
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(b"mine")
    before = contents(run)
    with pytest.raises(VisagistError, match="visagist did not write it"):
        check_run_folder(run, resume=True)
    assert contents(run) == before


def test_a_run_may_hold_reports_and_notes_beside_it(model: Path, tmp_path: Path) -> None:
    run = run_folder(tmp_path / "run", model)
    (run / "report").mkdir()
    (run / "notes.txt").write_text("mine")
    check_run_folder(run, resume=True)
    with pytest.raises(VisagistError, match="already holds a run"):
        check_run_folder(run, resume=False)


def test_a_model_is_saved_over_a_model_alone(model: Path, tmp_path: Path) -> None:
    network = tiny_model(methods.get("ifcvae-gan"))
    checkpoint.save_model(model, checkpoint.describe(network), network.state_dict())
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "README.md").write_text("mine")
    with pytest.raises(VisagistError, match="visagist did not write it"):
        checkpoint.save_model(tmp_path / "docs", checkpoint.describe(network), network.state_dict())
    (tmp_path / "link").symlink_to(model)
    with pytest.raises(VisagistError, match="visagist did not write it"):
        checkpoint.save_model(tmp_path / "link", checkpoint.describe(network), network.state_dict())
    assert contents(tmp_path / "docs") == {"README.md": b"mine"}


# the rule


def test_a_file_is_known_by_what_it_says(tmp_path: Path, faces_of: Callable[..., object]) -> None:
    sheet = write_sample_sheet(faces_of(), tmp_path / "ours.png")  # type: ignore[arg-type]
    Image.new("RGB", (8, 8)).save(tmp_path / "mine.png")
    (tmp_path / "mine.json").write_text(json.dumps({"schema_version": 1, "name": "mine"}))
    (tmp_path / "mine.csv").write_text("name,value\n")
    (tmp_path / "mine.html").write_text("<!doctype html><title>mine</title>")
    (tmp_path / "link.png").symlink_to(sheet)
    assert [path.name for path in sorted(tmp_path.iterdir()) if carries_mark(path)] == ["ours.png"]


def test_an_input_is_known_by_any_name(tmp_path: Path) -> None:
    source = tmp_path / "a.png"
    source.write_bytes(b"mine")
    os.link(source, tmp_path / "hard.png")
    (tmp_path / "soft.png").symlink_to(source)
    for name in ("a.png", "A.PNG", "hard.png", "soft.png", "x/../a.png"):
        with pytest.raises(VisagistError, match="would be lost"):
            refuse_inputs([tmp_path / name], [source])
    refuse_inputs([tmp_path / "b.png"], [source])


def test_a_path_out_of_the_results_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "link").symlink_to(tmp_path)
    for name in ("../b", "link/b", "..", "/etc/b"):
        with pytest.raises(VisagistError, match="leads out of"):
            refuse_outside(tmp_path / "out" / name, tmp_path / "out")
    refuse_outside(tmp_path / "out" / "new" / "b", tmp_path / "out")


def test_a_folder_is_taken_that_is_absent_empty_or_ours(tmp_path: Path) -> None:
    take_folder(tmp_path / "absent", ("metrics.json",))
    take_folder(tmp_path, ("metrics.json",))
    (tmp_path / ".DS_Store").write_bytes(b"")
    take_folder(tmp_path, ("metrics.json",))
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(VisagistError, match=r"thesis\.txt is there already"):
        take_folder(tmp_path, ("metrics.json",))
    ours = {"schema_version": 1, "metrics": {}, "curves": {}, "not_computed": {}, "manifest": {}}
    (tmp_path / "metrics.json").write_text(json.dumps(ours))
    take_folder(tmp_path, ("metrics.json",))
    with pytest.raises(VisagistError, match="is there already"):
        take_folder(tmp_path, ("compare.json",))


def test_a_folder_with_one_file_more_is_not_deleted_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "ours.bin").write_bytes(b"")
    (folder / "deep" / "mine.txt").write_text("mine")
    with pytest.raises(VisagistError, match="holds what visagist did not write"):
        remove_folder(folder, lambda path: path.suffix == ".bin")
    assert contents(folder) == {"ours.bin": b"", "deep/mine.txt": b"mine"}


def test_a_pipe_or_an_endless_file_in_the_place_of_a_mark_is_nobody_s_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "manifest.json")
    assert probe_object(tmp_path / "manifest.json") == {}
    with (tmp_path / "summary.json").open("wb") as file:
        file.truncate(1 << 40)
    assert probe_object(tmp_path / "summary.json") == {}
