"""What `visagist interpolate`, `traverse` and `map` promise: what is written and printed, and what is refused."""

from __future__ import annotations

import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Command, contents
from latent_toys import PictureCode, picture_code
from PIL import Image, ImageSequence
from tiny_models import tiny_model

from visagist import methods
from visagist.checkpoints import checkpoint
from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.editing.editor import Editor
from visagist.latent.codes import encode_images
from visagist.latent.traversal import rank_by_movement
from visagist.methods.base import Method

TILE, GAP, LABEL = 128, 4, 16
DRAWN = "synthetic:80"

pytestmark = pytest.mark.usefixtures("own_cache")


def saved(folder: Path, model: Any) -> Path:
    checkpoint.save_model(folder, checkpoint.describe(model), model.state_dict())
    return folder


@pytest.fixture
def plain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder whose codes are the pictures themselves, 16 pixels."""
    monkeypatch.setitem(Method.registered, "picture-code", PictureCode)
    return saved(tmp_path / "plain", picture_code(image_size=16))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model folder of an IFcVAE-GAN with Smiling, 16 pixels, 4 latent dimensions."""
    return saved(tmp_path / "model", tiny_model(methods.get("ifcvae-gan")))


@pytest.fixture
def shades(tmp_path: Path) -> list[Path]:
    """Pictures of one grey each: 0, 200 and 100."""
    paths = [tmp_path / f"{name}.png" for name in ("a", "b", "c")]
    for path, shade in zip(paths, (0, 200, 100)):
        Image.new("RGB", (16, 16), (shade,) * 3).save(path)
    return paths


def picture(path: Path) -> Image.Image:
    return Image.open(io.BytesIO(path.read_bytes()))


def note(path: Path) -> str:
    return str(picture(path).getexif()[0x0131])


def middles(path: Path, row: int, count: int) -> list[int]:
    """Red in the middle of each tile of a row of a strip."""
    pixels = np.asarray(picture(path))
    height, step = TILE + LABEL + 2 * GAP, TILE + GAP
    assert pixels.shape[1] == count * step + GAP
    return [int(pixels[row * height + GAP + LABEL + TILE // 2, GAP + i * step + TILE // 2, 0]) for i in range(count)]


def test_a_strip_has_a_row_for_each_way_with_the_photos_at_both_ends(
    command: Command, tmp_path: Path, plain: Path, shades: list[Path]
) -> None:
    out = tmp_path / "new" / "strip.png"
    done = command("interpolate", plain, *shades, "--steps", 5, "--out", out)
    assert done.status == 0, done.err
    assert done.out == f"{out}\n"
    assert middles(out, 0, 7) == [0, 0, 50, 100, 150, 200, 200]
    assert middles(out, 1, 7) == [200, 200, 175, 150, 125, 100, 100]
    assert note(out) == "generated with visagist, plain: linear interpolation of 3 faces"


def test_an_arc_is_another_way_than_a_line(command: Command, tmp_path: Path, model: Path, shades: list[Path]) -> None:
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(shades[0])
    for kind in ("linear", "spherical"):
        out = tmp_path / f"{kind}.png"
        assert command("interpolate", model, *shades[:2], "--kind", kind, "--out", out, "--json").status == 0
    assert contents(tmp_path)["linear.png"] != contents(tmp_path)["spherical.png"]
    assert note(tmp_path / "spherical.png").endswith("spherical interpolation of 2 faces")


def test_a_gif_runs_there_and_back_for_ever(command: Command, tmp_path: Path, plain: Path, shades: list[Path]) -> None:
    out = tmp_path / "way.gif"
    assert command("interpolate", plain, *shades, "--steps", 3, "--rate", 20, "--out", out).status == 0
    found = picture(out)
    frames = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(found)]
    assert [int(frame[100, 100, 0]) for frame in frames] == [0, 100, 200, 150, 100, 150, 200, 100]
    assert frames[0].shape == (256, 256, 3)
    assert (found.info["loop"], found.info["duration"]) == (0, 50)
    assert found.info["comment"] == b"generated with visagist, plain: linear interpolation of 3 faces"


def test_an_mp4_holds_the_same_frames_and_its_note(
    command: Command, tmp_path: Path, plain: Path, shades: list[Path]
) -> None:
    av = pytest.importorskip("av")
    out = tmp_path / "way.mp4"
    assert command("interpolate", plain, *shades[:2], "--steps", 3, "--rate", 12.5, "--out", out).status == 0
    with av.open(io.BytesIO(out.read_bytes())) as container:
        assert container.metadata["comment"] == "generated with visagist, plain: linear interpolation of 2 faces"
        assert float(container.streams.video[0].average_rate) == 12.5
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert [frame.shape for frame in frames] == [(256, 256, 3)] * 4
    np.testing.assert_allclose([frame.mean() for frame in frames], [0, 100, 200, 100], atol=3)


def test_without_pyav_an_mp4_is_refused_before_anything_is_computed(
    command: Command, tmp_path: Path, shades: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    error = command("interpolate", "ifcvae-gan-smiling-64", *shades, "--out", tmp_path / "way.mp4").error
    assert "pip install visagist[video]" in error
    assert "pip install visagist[video]" in " ".join(command("interpolate", "--help").out.split())
    assert not (tmp_path / "way.mp4").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("a.png", "--out", "x.png"), "one face has no way"),
        (("a.png", "b.png", "--out", "x.gfi"), "did you mean .gif"),
        (("a.png", "b.png", "--out", "b.png"), "one of the pictures that are read and would be lost"),
        (("a.png", "b.png", "--out", "folder.png"), "is a folder"),
        (("a.png", "b.png", "--out", "x.gif", "--rate", "0"), "--rate 0 is no number of frames"),
        (("a.png", "b.png", "--out", "x.png", "--steps", "1"), "no two ends"),
        (("a.png", "b.png", "--out", "x.webp", "--steps", "130"), ".webp cannot hold a picture of 17428×152 pixels"),
        (("a.png", "b.png", "--out", "x.png", "--kind", "line"), "did you mean linear"),
        (("a.png", "none.png", "--out", "x.png"), "there is no picture none.png"),
    ],
)
def test_an_interpolation_that_cannot_be_is_one_line_and_writes_nothing(
    command: Command,
    tmp_path: Path,
    plain: Path,
    shades: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.png").mkdir()
    before = contents(tmp_path)
    assert said in command("interpolate", plain, *words).error
    assert contents(tmp_path) == before


def test_a_face_is_traversed_along_the_dimensions_that_move_it_most(
    command: Command, tmp_path: Path, model: Path, shades: list[Path]
) -> None:
    out = tmp_path / "sheet.png"
    asked = ("traverse", model, shades[1], "--number", 3, "--steps", 5, "--out", out)
    facts = json.loads(command(*asked, "--json").out)
    editor = Editor.from_pretrained(model, "cpu")
    ranking = rank_by_movement(editor, encode_images(editor, editor.see(str(shades[1]))), 3)
    assert facts["shown"] == ranking.order[:3].tolist()
    assert (facts["by"], facts["active"], facts["face"]) == ("movement", None, str(shades[1]))
    assert len(facts["values"]) == 4
    assert note(out) == "edited with visagist, model: 3 latent dimensions from -3 to +3"
    height = picture(out).height
    assert height == LABEL + 2 * GAP + 3 * TILE + 2 * GAP
    told = command(*asked).out.splitlines()
    assert told[-1] == str(out)
    assert "give --data to count active dimensions" in told[0]
    assert command("traverse", model, shades[1], "--number", 1, "--out", tmp_path / "one.png").status == 0
    assert picture(tmp_path / "one.png").height < height


def test_with_data_dimensions_are_ranked_by_kl_and_the_active_are_counted(
    command: Command, tmp_path: Path, model: Path
) -> None:
    asked = ("traverse", model, "--data", DRAWN, "--split", "all", "--limit", 50, "--out", tmp_path / "sheet.png")
    facts = json.loads(command(*asked, "--json").out)
    assert (facts["by"], facts["faces"], facts["face"]) == ("kl", 50, None)
    assert facts["active"] == sum(value > 0.01 for value in facts["values"])
    assert facts["shown"] == sorted(range(4), key=lambda k: -facts["values"][k])
    told = command(*asked).out
    assert f"{facts['active']} of 4 dimensions are active: mean KL from the prior in nats, above 0.01 (50 faces)" in told


def test_a_model_without_log_variances_says_that_it_is_ranked_by_variance(
    command: Command, tmp_path: Path, plain: Path
) -> None:
    asked = ("traverse", plain, "--data", DRAWN, "--split", "all", "--number", 1, "--out", tmp_path / "sheet.png")
    done = command(*asked)
    assert done.status == 0, done.err
    assert "of 768 dimensions are active: variance of posterior means, above 0.01 (80 faces)" in done.out


def test_without_a_face_one_is_drawn_by_the_seed(command: Command, tmp_path: Path, model: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        assert command("traverse", model, "--seed", seed, "--out", tmp_path / f"{name}.png").status == 0
    drawn = contents(tmp_path)
    assert drawn["a.png"] == drawn["b.png"]
    first, other = (np.asarray(picture(tmp_path / name))[LABEL + 2 * GAP :, -TILE:] for name in ("a.png", "c.png"))
    assert np.any(first != other)
    assert note(tmp_path / "c.png") == "generated with visagist, model: 4 latent dimensions from -3 to +3, seed 2"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--number", "0"), "at least 1"),
        (("--reach", "0"), "reach is 0 standard deviations"),
        (("--steps", "1"), "no two ends"),
        (("--data", "synthetic:9", "--split", "tset"), "no split 'tset'"),
        (("--data", "celebb:x"), "did you mean celeba"),
        (("none.png",), "there is no picture none.png"),
    ],
)
def test_a_traversal_that_cannot_be_is_one_line_and_writes_nothing(
    command: Command, tmp_path: Path, model: Path, words: tuple[str, ...], said: str
) -> None:
    assert said in command("traverse", model, *words, "--out", tmp_path / "sheet.png").error
    assert not (tmp_path / "sheet.png").exists()


def test_a_map_has_every_drawn_face_once_where_its_json_and_page_say(command: Command, tmp_path: Path, plain: Path) -> None:
    out = tmp_path / "map"
    done = command("map", plain, "--data", DRAWN, "--split", "all", "--number", 16, "--seed", 3, "--out", out)
    assert done.status == 0, done.err
    assert done.out.splitlines()[-1] == str(out / "map.html")
    assert sorted(contents(out)) == ["map.html", "map.json", "map.png"]
    facts = json.loads((out / "map.json").read_text())
    cells = facts["cells"]
    assert [(cell["row"], cell["column"]) for cell in cells] == [(i // 4, i % 4) for i in range(16)]
    names = [cell["file"] for cell in cells]
    assert len(set(names)) == 16
    drawn, faces = np.asarray(picture(out / "map.png")), SyntheticFaces(80, image_size=16).render()
    assert drawn.shape == (64, 64, 3)
    for cell in cells:
        top, left, number = 16 * cell["row"], 16 * cell["column"], int(cell["file"].split("-")[1])
        assert np.array_equal(drawn[top : top + 16, left : left + 16], faces[number])
    assert json.dumps(names) in (out / "map.html").read_text()
    assert (facts["number"], facts["side"], facts["seed"], facts["source"]) == (16, 4, 3, DRAWN)
    trust = facts["trustworthiness"]
    assert f"trustworthiness of the grid {trust['grid']:.3f}, of t-SNE's own places {trust['tsne']:.3f}" in done.out
    assert trust["grid"] > trust["by_lot"]
    assert note(out / "map.png") == "arranged with visagist, plain: t-SNE of the codes of 16 faces, seed 3"


def test_a_map_is_a_function_of_the_seed(command: Command, tmp_path: Path, model: Path) -> None:
    asked = ("map", model, "--data", DRAWN, "--split", "all", "--number", 9)
    found = [json.loads(command(*asked, "--seed", s, "--out", tmp_path / "m", "--json").out)["cells"] for s in (1, 1, 2)]
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--number", "20"), "give 16 or 25"),
        (("--number", "100", "--split", "all"), r"has 80 faces, fewer than 100: give --number 64 or less"),
        (("--number", "16", "--split", "all", "--perplexity", "16"), "give 1 or more, below 16"),
        (("--number", "16", "--out", "a.png"), "a.png is a file"),
    ],
)
def test_a_map_that_cannot_be_is_one_line_and_writes_nothing(
    command: Command,
    tmp_path: Path,
    model: Path,
    shades: list[Path],
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert re.search(said, command("map", model, "--data", DRAWN, "--out", "map", *words).error)
    assert contents(tmp_path) == before


def test_a_model_without_codes_is_refused(
    command: Command, tmp_path: Path, plain: Path, shades: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(PictureCode, "capabilities", frozenset({"generate"}))
    for words in (("interpolate", plain, *shades), ("traverse", plain), ("map", plain, "--data", DRAWN)):
        assert "has no code for" in command(*words, "--out", tmp_path / "out.png").error
        assert not (tmp_path / "out.png").exists()
