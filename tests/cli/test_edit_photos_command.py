"""`visagist edit` on whole photographs: found faces, batches that go on, what is told, and how it ends."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command, Result, contents
from photo_seeds import exif, portrait
from PIL import Image

from visagist.photos.provenance_reading import read_provenance

pytestmark = pytest.mark.usefixtures("own_cache")
SMILE = ("--set", "Smiling=-1")


def canvas(size: tuple[int, int] = (420, 320), at: tuple[tuple[int, int], ...] = ((110, 60),)) -> Image.Image:
    """A photograph with the portrait at these places."""
    whole = Image.new("RGB", size, (120, 130, 140))
    for number, place in enumerate(at):
        whole.paste(portrait(190 - 30 * number), place)
    return whole


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    path = tmp_path / "in" / "me.jpg"
    canvas().save(path, quality=90, exif=exif())
    return path


@pytest.fixture
def nobody(tmp_path: Path) -> Path:
    path = tmp_path / "nobody.png"
    Image.new("RGB", (300, 200), (90, 120, 90)).save(path)
    return path


def picture(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def test_a_photograph_comes_back_whole_with_its_face_edited(command: Command, photo: Path, tmp_path: Path) -> None:
    done = command("edit", photo, *SMILE, "--out", tmp_path / "out.jpg")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [str(tmp_path / "out.jpg")]
    assert "model: ifcvae-gan-factored-64" in done.err
    assert "% → " in done.err
    before, after = (np.asarray(picture(path)).astype(int) for path in (photo, tmp_path / "out.jpg"))
    assert before.shape == after.shape
    moved = np.abs(after - before).mean(-1)
    assert moved[90:220, 140:280].mean() > 2 * moved[:40].mean() + 0.5
    assert moved[:40].mean() < 0.5
    assert picture(tmp_path / "out.jpg").getexif()[0x010F] == "Maker"
    told = command("inspect", tmp_path / "out.jpg").out
    assert "edited with visagist, ifcvae-gan-factored-64: Smiling=-1, mode photo, 1 face" in told


def test_who_is_left_alone_is_said_and_all_edits_everyone(command: Command, tmp_path: Path) -> None:
    canvas((520, 320), ((20, 60), (290, 70))).save(tmp_path / "two.png")
    one = command("edit", tmp_path / "two.png", *SMILE, "--out", tmp_path / "one.png")
    assert "1 other face was left alone: --face all" in one.err
    done = command("edit", tmp_path / "two.png", *SMILE, "--out", tmp_path / "all.png", "--face", "all", "--json")
    report = json.loads(done.out)["files"][0]
    assert (report["faces"], len(report["boxes"]), len(report["after"]["Smiling"])) == (2, 2, 2)
    assert "left alone" not in done.err
    second = command("edit", tmp_path / "two.png", *SMILE, "--out", tmp_path / "second.png", "--face", "1")
    assert second.status == 0
    first, both = (np.asarray(picture(tmp_path / name)).astype(int) for name in ("one.png", "all.png"))
    assert (first[:, 290:] != both[:, 290:]).any()
    # A batch of two faces is not bit for bit a batch of one.
    assert np.abs(first[:, :210] - both[:, :210]).max() <= 1
    assert "there is no face 5" in command("edit", tmp_path / "two.png", *SMILE, "--out", "x.png", "--face", "5").error


def test_no_face_is_an_exit_status_of_its_own(command: Command, nobody: Path, tmp_path: Path) -> None:
    done = command("edit", nobody, *SMILE, "--out", tmp_path / "out.png")
    assert done.status == 3
    assert "no face was found" in done.err
    assert "--aligned" in done.err
    assert not (tmp_path / "out.png").exists()


def test_a_picture_of_the_models_own_size_is_taken_as_aligned(command: Command, tmp_path: Path) -> None:
    portrait(64).resize((64, 64)).save(tmp_path / "face.png")
    done = command("edit", tmp_path / "face.png", *SMILE, "--out", tmp_path / "out.png")
    assert "64×64 pixels, taken as one aligned face" in done.err
    assert picture(tmp_path / "out.png").size == (64, 64)


def test_strip_grid_residual_and_sheet_lie_beside_a_photograph(command: Command, photo: Path, tmp_path: Path) -> None:
    beside = ("--strip", "--grid", "--residual", "--heat", "--sheet", tmp_path / "sheet.png")
    assert command("edit", photo, *SMILE, "--out", tmp_path / "o.png", *beside).status == 0
    assert picture(tmp_path / "o-residual.png").size == picture(tmp_path / "o-heat.png").size == (420, 320)
    assert all(picture(tmp_path / name).width > 500 for name in ("o-strip.png", "o-grid.png"))
    assert picture(tmp_path / "sheet.png").height > 128
    assert all(read_provenance(p).steps for p in tmp_path.glob("*.png"))


def test_a_second_edit_adds_to_the_history(command: Command, photo: Path, tmp_path: Path) -> None:
    command("edit", photo, *SMILE, "--out", tmp_path / "once.webp")
    command("edit", tmp_path / "once.webp", "--set", "Smiling=0.5", "--out", tmp_path / "twice.png", "--strip-metadata")
    steps = json.loads(command("inspect", tmp_path / "twice.png", "--json").out)["steps"]
    assert [step["settings"] for step in steps] == ["Smiling=-1", "Smiling=0.5"]


def batch(command: Command, folder: Path, out: Path, *more: object) -> Result:
    return command("edit", folder, *SMILE, "--out", out, *more)


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "edits.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_batch_goes_on_after_what_is_broken_and_its_status_says_so(
    command: Command, photo: Path, nobody: Path, tmp_path: Path
) -> None:
    folder, out = photo.parent, tmp_path / "out"
    (folder / "broken.png").write_bytes(b"not a picture")
    (folder / "notes.txt").write_text("no picture by its name")
    (folder / "nobody.png").write_bytes(nobody.read_bytes())
    (folder / "deeper").mkdir()
    canvas().save(folder / "deeper" / "you.png")
    done = batch(command, folder, out, "--recursive", "--jobs", 2)
    assert done.status == 4
    assert "2 edited, 1 without a face, 1 failed" in done.err
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()) == [
        "deeper/you.png", "edits.csv", "me.jpg"
    ]  # fmt: skip
    by_name = {Path(row["file"]).name: row for row in rows(out)}
    assert (by_name["me.jpg"]["faces"], by_name["me.jpg"]["error"]) == ("1", "")
    assert json.loads(by_name["me.jpg"]["after"])["Smiling"]
    assert "is not a picture" in by_name["broken.png"]["error"]
    assert "no face" in by_name["nobody.png"]["error"]


def test_a_batch_is_taken_up_where_it_ended(command: Command, photo: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert batch(command, photo.parent, out).status == 0
    before = contents(out)
    canvas((300, 300), ((50, 40),)).save(photo.parent / "new.png")
    again = batch(command, photo.parent, out)
    assert "1 edited, 1 there already" in again.err
    assert contents(out)["me.jpg"] == before["me.jpg"]
    assert [Path(row["file"]).name for row in rows(out)] == ["me.jpg", "new.png"]
    assert "2 edited" in batch(command, photo.parent, out, "--overwrite").err


def test_patterns_are_expanded_and_what_matches_nothing_is_refused(command: Command, photo: Path, tmp_path: Path) -> None:
    assert batch(command, photo.parent / "*.jp*g", tmp_path / "out").status == 0
    assert (tmp_path / "out" / "me.jpg").exists()
    assert "nothing matches" in batch(command, photo.parent / "*.webp", tmp_path / "out").error
    assert "not written as .bmp" in command("edit", photo, *SMILE, "--out", tmp_path / "o.bmp").error


def test_several_attributes_are_each_edited_by_their_best_model_in_the_order_in_which_they_are_named(
    command: Command, photo: Path, tmp_path: Path
) -> None:
    both = ("--set", "Smiling=-1", "--set", "old=1")
    done = command("edit", photo, *both, "--out", tmp_path / "o.jpg")
    assert "model: ifcvae-gan-factored-64 for Smiling, then vae-wgan-celeba-64 for Young" in done.err
    assert "old: Young=-1" in done.err
    (step,) = read_provenance(tmp_path / "o.jpg").steps
    assert (step.model, step.settings) == ("ifcvae-gan-factored-64 + vae-wgan-celeba-64", "Smiling=-1, Young=-1")
    assert len(step.weights.split(" + ")) == 2
    hair = ("--set", "Black_Hair=1", "--set", "Blond_Hair=1")
    assert "exclude each other" in command("edit", photo, *hair, "--out", tmp_path / "o.jpg").error


def test_what_says_nothing_of_itself_proves_nothing(command: Command, nobody: Path) -> None:
    assert "proves nothing" in command("inspect", nobody).out
    assert json.loads(command("inspect", nobody, "--json").out)["known"] is False
    facts = json.loads(command("inspect", "ifcvae-gan-smiling-64", "--json").out)
    assert (facts["method"], facts["attributes"]) == ("ifcvae-gan", ["Smiling"])
    assert "no model" in command("inspect", "nothing-of-the-kind").error


@pytest.fixture
def faces_in(tmp_path: Path) -> Path:
    """Two pictures of the model's own size, which are edited in no time."""
    (tmp_path / "faces").mkdir()
    for name in ("a.png", "b.png"):
        portrait(64).resize((64, 64)).save(tmp_path / "faces" / name)
    return tmp_path / "faces"


@pytest.mark.parametrize("table", ["kept", "deleted", "earlier"])
def test_results_of_other_settings_are_not_taken_for_those_asked_for(
    command: Command, faces_in: Path, tmp_path: Path, table: str
) -> None:
    out = tmp_path / "out"
    assert batch(command, faces_in, out).status == 0
    if table == "deleted":
        (out / "edits.csv").unlink()
    if table == "earlier":
        old = [list(row.values())[:-2] for row in rows(out)]
        lines = [list(rows(out)[0])[:-2], *old]
        with (out / "edits.csv").open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(lines)
    before = contents(out)
    other = ("edit", faces_in, "--set", "Smiling=0.5", "--out", out)
    error = command(*other).error
    assert "was made with other settings" in error
    assert "--overwrite" in error
    assert {name: data for name, data in contents(out).items() if name != "edits.csv"} == {
        name: data for name, data in before.items() if name != "edits.csv"
    }
    assert "2 there already" in batch(command, faces_in, out).err
    assert "2 edited" in command(*other, "--overwrite").err
    assert "2 there already" in command(*other).err


def test_a_changed_result_and_a_damaged_table_are_told_of_with_a_way_out(
    command: Command, faces_in: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    batch(command, faces_in, out)
    data = (out / "a.png").read_bytes()
    (out / "a.png").write_bytes(data[:-100] + bytes([data[-100] ^ 1]) + data[-99:])
    done = batch(command, faces_in, out)
    assert (done.status, "a.png is not what was written: delete it" in done.err) == (4, True)
    (out / "a.png").unlink()
    assert "1 edited, 1 there already" in batch(command, faces_in, out).err
    table = (out / "edits.csv").read_bytes()
    (out / "edits.csv").write_bytes(table[:-30])  # a line that was cut
    assert batch(command, faces_in, out).status == 0
    (out / "edits.csv").write_bytes(b"\xff\x00garbage")  # may be anybody's
    assert "did not write it: choose another --out" in batch(command, faces_in, out).error
    (out / "edits.csv").write_bytes(table.splitlines(keepends=True)[0] + b"\xff\x00garbage")
    assert "2 there already" in batch(command, faces_in, out).err


@pytest.mark.parametrize("changed", ["another", "the same"])
def test_a_result_of_another_picture_is_not_taken_for_that_of_this_one(
    command: Command, faces_in: Path, tmp_path: Path, changed: str
) -> None:
    out, folder = tmp_path / "out", faces_in
    batch(command, faces_in, out)
    if changed == "another":
        folder = tmp_path / "others"
        folder.mkdir()
    portrait(64).resize((64, 64)).rotate(90).save(folder / "a.png")
    before = (out / "a.png").read_bytes()
    error = batch(command, folder, out).error
    assert f"was made of {faces_in / 'a.png'}" in error
    assert "--overwrite" in error
    assert (out / "a.png").read_bytes() == before
    assert batch(command, folder, out, "--overwrite").status == 0
    assert (out / "a.png").read_bytes() != before


def test_a_batch_is_moved_with_its_pictures_and_goes_on(command: Command, faces_in: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch(command, faces_in, out)
    faces_in.rename(tmp_path / "moved")
    assert "2 there already" in batch(command, tmp_path / "moved", out).err


def test_strips_that_are_asked_for_later_are_written(command: Command, faces_in: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    batch(command, faces_in, out)
    assert "2 edited" in batch(command, faces_in, out, "--residual").err
    assert {"a-residual.png", "b-residual.png"} <= contents(out).keys()
    again = batch(command, faces_in, out, "--residual", "--sheet", tmp_path / "sheet.png")
    assert "2 there already" in again.err
    assert "no sheet was written" in again.err
    assert not (tmp_path / "sheet.png").exists()
