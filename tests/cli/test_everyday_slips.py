"""Slips and everyday trouble: old terminals, settings without their option, names of files, strangers' modules."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Command
from PIL import Image

from visagist.pretrained import shipped_folders

pytestmark = pytest.mark.usefixtures("own_cache")
SLOW = ("torch", "scipy", "skia", "rich.console", "visagist.cli.bulk")
QUICK = f"""
import json, sys
from visagist.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        print(end.code, [name for name in {SLOW} if name in sys.modules])
"""


def run(*arguments: str, code: str | None = None, **variables: str) -> subprocess.CompletedProcess[bytes]:
    program = ["-m", "visagist"] if code is None else ["-c", code]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **variables}
    return subprocess.run([sys.executable, *program, *arguments], capture_output=True, env=environment, timeout=120)


@pytest.fixture
def me(tmp_path: Path) -> Path:
    path = tmp_path / "портрет.png"
    Image.new("RGB", (64, 64), (180, 140, 120)).save(path)
    return path


def test_a_terminal_of_an_old_encoding_shows_plain_characters(me: Path, tmp_path: Path) -> None:
    out = tmp_path / "выход.png"
    done = run("edit", str(me), "--set", "Smiling=1", "--out", str(out), PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"\\u0432" in done.stdout
    assert "64×64".encode("cp1252") in done.stderr
    plain = run("data", "check", "synthetic:20", "--image-size", "16", PYTHONIOENCODING="ascii")
    assert b"\\u" not in plain.stdout


def test_a_setting_without_its_option_is_told_of(command: Command, me: Path, tmp_path: Path) -> None:
    error = command("edit", me, "--set", "Smiling=1", "Eyeglasses=1", "--out", tmp_path / "o.png").error
    assert "write --set before each setting, as in --set Eyeglasses=1" in error
    assert "--set before each" in command("train", "vae", "--out", tmp_path / "r", "--set", "width=4", "latent=8").error


@pytest.mark.parametrize("name", ["bald.txt", "out.pdf", "faces.zip"])
def test_a_folder_is_not_made_under_the_name_of_a_file(command: Command, me: Path, tmp_path: Path, name: str) -> None:
    for words in (("edit", me, "--set", "Smiling=1"), ("align", me), ("bulk", me.parent, "--set", "Smiling=1")):
        assert "has the name of a file" in command(*words, "--out", tmp_path / name).error
    assert not (tmp_path / name).exists()
    (tmp_path / name).mkdir()
    assert command("edit", me, "--set", "Smiling=1", "--out", tmp_path / name).status == 0


def test_a_strangers_broken_method_stops_nothing_that_does_not_need_it(tmp_path: Path, me: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "broken.py").write_text("import no_such_thing\n")
    where = {"VISAGIST_METHODS": os.pathsep.join([str(tmp_path / "mine"), str(tmp_path / "nowhere")])}
    done = run("edit", str(me), "--set", "Smiling=1", "--out", str(tmp_path / "o.png"), **where)
    assert done.returncode == 0, done.stderr
    assert b"no_such_thing" not in done.stderr
    done = run("train", "mymethod", "--out", str(tmp_path / "run"), **where)
    assert done.returncode == 2
    assert b"Traceback" not in done.stderr
    assert f"{tmp_path / 'mine' / 'broken.py'}".encode() in done.stderr
    assert b"no_such_thing" in done.stderr
    assert b"nowhere, which is no folder" in done.stderr


SLIPS = [
    ["edti", "ME", "--set", "Smiling=1", "--out", "o.png"],
    ["edit", "ME", "--sett", "Smiling=1", "--out", "o.png"],
    ["edit", "ME", "--set", "Smiling=1"],
    ["edit", "ME", "--set", "Smil=1", "--out", "o.png"],
    ["edit", "ME", "--set", "Smiling=2", "--out", "o.png"],
    ["edit", "ME", "--set", "Smiling=1", "--face", "small", "--out", "o.png"],
    ["edit", "ME", "--set", "Smiling=1", "--mode", "detial", "--out", "o.png"],
    ["edit", "ifcvae-smiling", "ME", "--set", "Smiling=1", "--out", "o.png"],
    ["edit", "nobody.jpg", "--set", "Smiling=1", "--out", "o.png"],
    ["sample", "ifcvae-smiling-64", "--out", "o"],
    ["map", "ifcvae-gan-smiling-64", "--data", "celebs:somewhere", "--out", "o"],
    ["train", "vae", "--data", "folder:nowhere", "--out", "o"],
    ["train", "ifcvaegan", "--images", "1", "--out", "o"],
    ["train", "ifcvae-gan", "--images", "1", "--set", "widht=3", "--out", "o"],
    ["train", "ifcvae-gan", "--images", "1", "--set", "method.widht=3", "--out", "o"],
    ["train", "ifcvae-gan", "--recipe", "ifcvae-gan/smilng-64", "--out", "o"],
    ["train", "ifcvae-gan", "--images", "1", "--minutes", "1", "--out", "o"],
    ["train", "ifcvae-gan", "--attribute-set", "Facal", "--out", "o"],
    ["train", "ifcvae-gan", "--out", "RUN"],
    ["evaluate", "ifcvae-gan-smiling-64", "--data", "synthetic:20", "--judge", "juge-64", "--out", "o"],
    ["evaluate", "ifcvae-gan-smiling-64", "--data", "synthetic:20", "--split", "tst", "--out", "o"],
    ["evaluate", "ifcvae-gan-smiling-64", "--data", "synthetic:20", "--limit", "0", "--out", "o"],
    ["compare", "ifcvae-gan-smiling-64", "nobody", "--data", "synthetic:20", "--out", "o"],
    ["recognise", "nobody", "--data", "synthetic:20", "--out", "o"],
    ["interpolate", "ifcvae-gan-smiling-64", "nobody.jpg", "ME", "--out", "o.png"],
    ["traverse", "ifcvae-gan-smiling-64", "nobody.jpg", "--out", "o.png"],
    ["export", "nobody", "--out", "o"],
    ["export", "ifcvae-gan-smiling-64", "--precision", "fp17", "--out", "o"],
    ["demo", "--model", "nobody", "--out", "o"],
    ["reproduce", "ifcvae-gan/table33", "--out", "o"],
    ["bench", "vea", "--out", "o"],
    ["profile", "vea"],
    ["profile", "vae", "--recipe", "vea/64"],
    ["teach", "Beret", "--with", "nowhere", "--without", "nowhere-either"],
]


def test_help_is_given_however_it_is_asked_for(command: Command) -> None:
    assert command("help").out == command("--help").out
    assert command("help", "edit").out == command("edit", "--help").out
    assert "`visagist edit --help` has examples" in command("edit", "me.jpg").error
    assert "`visagist train --help` has examples" in command("train").error


def test_a_slip_says_what_to_write(command: Command, me: Path, tmp_path: Path) -> None:
    words = ("edit", me, "--out", tmp_path / "o.png")
    assert "write key=value, as in smile=…" in command(*words, "--set", "smile").error
    twice = command(*words, "--set", "smile=1", "--set", "Smiling=-1").error
    assert "Smiling is named twice, by smile and Smiling: name it once" in twice
    assert "there is no file" in command("inspect", "nobody.jpg").error


def test_a_slip_is_told_of_before_what_takes_time_is_imported(me: Path, tmp_path: Path) -> None:
    run_folder = tmp_path / "run"
    shutil.copytree(shipped_folders()[0], run_folder / "last")
    paths = {"ME": str(me), "RUN": str(run_folder)}
    slips = [[paths.get(word, word) for word in words] for words in SLIPS]
    done = run(json.dumps(slips), code=QUICK)
    assert done.stdout.decode().splitlines() == ["2 []"] * len(SLIPS), done.stderr.decode()
    told = done.stderr.decode().splitlines()
    assert len(told) == len(SLIPS)
    assert all(line.startswith("error: ") for line in told)


def test_the_depth_of_a_video_that_is_lost_is_told(command: Command, tmp_path: Path) -> None:
    import av
    from portraits import portrait_photo

    with av.open(str(tmp_path / "deep.mkv"), "w") as film:
        stream = film.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = 360, 300, "yuv420p10le"
        frame = av.VideoFrame.from_ndarray(np.asarray(portrait_photo()[0]), format="rgb24")
        film.mux(stream.encode(frame.reformat(format="yuv420p10le")))
        film.mux(stream.encode())
    done = command("edit", tmp_path / "deep.mkv", "--set", "Smiling=1", "--out", tmp_path / "out.mkv")
    assert done.status == 0, done.err
    assert "its 10 bits a channel become 8" in done.err
