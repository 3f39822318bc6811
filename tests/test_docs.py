"""What the documents say is so: their commands run, their example is a method, and what they name is there."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from functools import lru_cache
from glob import glob
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command
from PIL import Image
from servers import decoded, running
from typer.main import get_command

from visagist.cli import make_app
from visagist.data.drawn.synthetic import SyntheticFaces

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
OWN_PHOTOS = ROOT / "docs" / "train-on-your-own-photos.md"
ADDING = ROOT / "docs" / "adding-a-method.md"
ADDING_A_METRIC = ROOT / "docs" / "adding-a-metric.md"
MODULES_OF_A_FOLDER = 15  # beside its __init__.py
# What the page asks of a person's hours and a test's seconds; each must stand in the page.
SMALLER = {
    "data check folder:photos": "data check folder:photos --image-size 16",
    "data pack folder:photos": "data pack folder:photos --image-size 16",
    "--minutes 60": "--images 32 --device cpu --set image_size=16 --set batch_size=8 --set width=4"
    " --set discriminator_width=4 --set latent=8",
    "--minutes 20": "--images 32 --device cpu --set image_size=16 --set batch_size=8",
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


def indented_blocks(page: Path, language: str) -> list[str]:
    """The blocks of a numbered list."""
    return re.findall(rf"^   ```{language}\n(.*?)^   ```$", page.read_text(), re.DOTALL | re.MULTILINE)


@lru_cache(maxsize=1)
def commands() -> dict[str, set[str]]:
    """Every command, as "train" or "data pack", and its options."""
    found: dict[str, set[str]] = {}

    def walk(command: object, path: tuple[str, ...]) -> None:
        options = {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}  # type: ignore[attr-defined]
        found[" ".join(path)] = {*options, "--help"}
        for name, part in getattr(command, "commands", {}).items():
            walk(part, (*path, name))

    walk(get_command(make_app()), ())
    return found


@pytest.fixture
def holiday(tmp_path: Path) -> Path:
    """A folder of photographs with drawn faces in any place; those that wear a hat are labelled so."""
    faces, folder = SyntheticFaces(80, image_size=100, seed=1), tmp_path / "holiday"
    folder.mkdir()
    wears = faces.labels[:, faces.names.index("Wearing_Hat")]
    pairs = list(zip(np.flatnonzero(wears)[:10], np.flatnonzero(wears == 0)[:10], strict=True))
    lines = ["file,Hat,split,identity"]
    for i, row in enumerate(row for pair in pairs for row in pair):
        photo = Image.new("RGB", (170, 130), (120, 130, 140))
        photo.paste(Image.fromarray(faces.image(int(row))), (7 * i % 70, 5 * i % 30))
        photo.save(folder / f"face-{i:03d}.png")
        split = ("train", "train", "train", "val", "test")[i // 2 % 5]
        lines.append(f"face-{i:03d}.png,{wears[row]},{split},person-{i}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    return folder


def arguments(line: str) -> list[str]:
    """The words of a command line after `visagist`, with its globs expanded as a shell does."""
    program, *words = shlex.split(line)
    assert program == "visagist", line
    return [part for word in words for part in (sorted(glob(word)) if "*" in word else [word])]


@pytest.mark.slow
def test_the_commands_for_own_photos_do_what_the_page_says(
    holiday: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("COLUMNS", raising=False)
    run, text = Command(capfd), "".join(blocks(OWN_PHOTOS, "bash"))
    for asked, tiny in SMALLER.items():
        assert asked in text
        text = text.replace(asked, tiny)
    for line in text.replace("\\\n", " ").splitlines():
        result = run(*arguments(line))
        assert result.status == 0, (line, result.err)
    for code in blocks(OWN_PHOTOS, "python"):
        exec(compile(code, str(OWN_PHOTOS), "exec"), {})
    assert (tmp_path / "sheet.png").is_file()
    assert (tmp_path / "packs" / "photos" / "manifest.json").is_file()
    assert len(list((tmp_path / "edited").glob("face-*.png"))) == 3 * len(list(holiday.glob("*.png")))
    assert np.asarray(Image.open(tmp_path / "with-hat.png")).shape == (16, 16, 3)
    assert (tmp_path / "reports" / "judge" / "metrics.json").is_file()
    assert "edit.Hat.success_1" in (tmp_path / "reports" / "hat" / "metrics.json").read_text()
    assert "compare.other.Hat.render.success" in (tmp_path / "reports" / "compared" / "compare.json").read_text()
    (session,) = blocks(OWN_PHOTOS, "console")
    serve, post = (shlex.split(line[2:]) for line in session.splitlines() if line.startswith("$ "))
    fields = dict(word.split("=", 1) for flag, word in pairwise(post) if flag == "-F")
    picture = Path(fields.pop("picture").removeprefix("@"))
    with running(models=tuple(serve[2:])) as server:
        answer = server.post("/v1/edit", data=fields, files={"picture": picture.read_bytes()})
    assert answer.status_code == 200, answer.text
    assert decoded(answer.content).shape == (16, 16, 3)


def test_the_csv_on_the_page_is_one_that_a_folder_may_have(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "cache"))
    (table,) = blocks(OWN_PHOTOS, "csv")
    (tmp_path / "labels.csv").write_text(table)
    draw = np.random.default_rng(0)
    for name in re.findall(r"^\S+\.jpg", table, re.MULTILINE):
        Image.fromarray(draw.integers(0, 256, (20, 20, 3), dtype=np.uint8)).save(tmp_path / name)
    result = Command(capfd)("data", "check", f"folder:{tmp_path}", "--on-bad", "refuse", "--image-size", "16", "--json")
    assert result.status == 0, result.err
    assert '"attribute": "Hat"' in result.out


USE_THE_EXAMPLE = """
from dataclasses import replace
from pathlib import Path
import numpy as np
from tiny_faces import make_faces
import visagist
from visagist.editing.editor import Editor
from visagist.errors import VisagistError

faces = make_faces()
before = visagist.train("plain-vae", faces, out="before", images=8, settings={"batch_size": 8, "width": 4, "latent": 8})
after = visagist.train("plain-vae", faces, out="after", images=320, settings={"batch_size": 8, "width": 4, "latent": 8})
test = faces.images[faces.indices("test")]
def error(folder):
    there = Editor.from_pretrained(folder, "cpu").reconstruct(test)
    assert there.shape == test.shape and there.dtype == np.uint8
    return float(np.square((there.astype(float) - test) / 255).mean())
assert error(after) < error(before), (error(before), error(after))
try:
    Editor.from_pretrained(after, "cpu").edit(test, Smiling=1)
except VisagistError as refusal:
    assert "cannot edit" in str(refusal)
else:
    raise AssertionError("a method that cannot edit was not refused")
"""


@pytest.mark.slow
def test_the_example_of_a_method_is_found_trained_and_used(tmp_path: Path) -> None:
    (example,) = blocks(ADDING, "python")
    (tmp_path / "methods").mkdir()
    (tmp_path / "methods" / "plain_vae.py").write_text(example)
    support = str(ROOT / "tests" / "support")
    given = {"VISAGIST_METHODS": str(tmp_path / "methods"), "PYTHONPATH": support, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", USE_THE_EXAMPLE], cwd=tmp_path, env={**os.environ, **given}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


EVALUATE_WITH_THE_EXAMPLE = """
import json
from pathlib import Path
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces
import visagist
assert Path(visagist.__file__).is_relative_to(Path.cwd())
evaluate(editor_of(Perfect()), plain_faces(30), judge=BrightnessJudge(), out=Path("report"))
measure = json.loads(Path("report", "metrics.json").read_text())["metrics"]["warmth.reconstruction"]
assert measure["low"] <= measure["value"] <= measure["high"] and measure["n"] == 30
assert "warmth.reconstruction," in Path("report", "metrics.csv").read_text()
assert "red of reconstructions less that of photographs" in Path("report", "report.html").read_text()
"""


@pytest.mark.slow
def test_the_example_of_a_metric_is_measured_and_shown(tmp_path: Path) -> None:
    example, line = (re.sub("^   ", "", block, flags=re.MULTILINE) for block in indented_blocks(ADDING_A_METRIC, "python"))
    package = tmp_path / "visagist"
    shutil.copytree(ROOT / "src" / "visagist", package, ignore=shutil.ignore_patterns("zoo"))
    families = package / "evaluation" / "metrics" / "__init__.py"
    (families.parent / "warmth.py").write_text(example)
    assert len(list(families.parent.glob("*.py"))) - 1 <= MODULES_OF_A_FOLDER
    text = families.read_text().replace("\n    sampling,\n", "\n    sampling,\n    warmth,\n")
    families.write_text(text.replace("FAMILIES = (\n", f"FAMILIES = (\n    {line.strip()}\n"))
    given = {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT / 'tests' / 'support'}", "OMP_NUM_THREADS": "1"}
    given["VISAGIST_CACHE"] = str(tmp_path / "cache")
    done = subprocess.run(
        [sys.executable, "-c", EVALUATE_WITH_THE_EXAMPLE], cwd=tmp_path, env={**os.environ, **given}, capture_output=True,
        text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_option_that_a_page_names_is_there(page: Path) -> None:
    known = commands()
    names, text = {name.split()[0] for name in known if name}, page.read_text()
    shown = re.findall(r"`visagist +([^`]+)`", text)
    shown += re.findall(r"^visagist +(.+)$", "".join(blocks(page, "bash")).replace("\\\n", " "), re.MULTILINE)
    for line in shown:
        words = line.split()
        if words[0].startswith("-"):
            assert words[0] in known[""], line
            continue
        if words[0].isupper():
            continue
        assert words[0] in names, f"{page.name}: visagist {line}"
        command = " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]
        unknown = {word for word in re.findall(r"(?<![\w-])--[a-z][a-z-]+", line)} - known[command]
        assert not unknown, f"{page.name}: visagist {line}"
    options = {option for group in known.values() for option in group}
    for option in re.findall(r"`(--[a-z][a-z-]+)[^`]*`", text):
        assert option in options | OTHERS, f"{page.name}: {option}"


OTHERS = {"--write-golden", "--index-url", "--build-arg"}  # of pytest, pip and docker


def test_the_tree_in_the_readme_is_that_of_the_package() -> None:
    text = (ROOT / "README.md").read_text()
    package = ROOT / "src" / "visagist"
    (tree,) = re.findall(r"^```text\nsrc/visagist/\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    drawn = re.findall(r"^  (\w+(?:/|\.py))", tree, re.MULTILINE)
    folders = {f"{path.name}/" for path in package.iterdir() if path.is_dir() and path.name != "__pycache__"}
    modules = {path.name for path in package.glob("*.py") if not path.name.startswith("__")}
    assert set(drawn) == folders | modules
    assert len(drawn) == len(set(drawn))


def test_every_name_that_the_package_offers_is_in_the_readme() -> None:
    import visagist

    text = (ROOT / "README.md").read_text()
    for name in set(visagist.__all__) - {"__version__"}:
        assert inspect.isroutine(getattr(visagist, name)) or inspect.isclass(getattr(visagist, name))
        assert re.search(rf"\b{name}\b", text), name


def test_the_picture_of_the_layers_names_every_layer() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = {name.strip().removeprefix("visagist.") for line in contracts[0]["layers"] for name in line.split("|")}
    shown = set(re.findall(r"[\w.]+", (ROOT / "docs" / "pictures" / "layers.svg").read_text()))
    assert layers <= shown


def test_every_module_that_the_architecture_names_is_there() -> None:
    known = {str(path.relative_to(ROOT / "src" / "visagist")) for path in (ROOT / "src" / "visagist").rglob("*.py")}
    text = (ROOT / "docs" / "architecture.md").read_text().partition("## What differs from the first plan")[0]
    for name in re.findall(r"`([\w/]+\.py)`", text):
        assert any(path == name or path.endswith(f"/{name}") for path in known) or (ROOT / name).exists(), name
