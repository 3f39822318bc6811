"""A process forked from one that has used a model says so instead of hanging, and one that may go on does."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here"), pytest.mark.timeout(900)]

START = """
import os, sys, warnings
warnings.simplefilter("ignore")
import numpy as np, torch
torch.set_num_threads(2)
import visagist
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.faces.detection import detect
from visagist.judges import load_judge

faces = np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), dtype=np.uint8)
photo = np.kron(faces[0], np.ones((4, 4, 1), np.uint8))
opened = lambda: Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")

def in_child(use):
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        try:
            use()
            print("done")
        except VisagistError as error:
            print(error)
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)

"""


def run(code: str) -> list[str]:
    """The lines that a fresh process prints; one that hangs uses no processor, so that it has time on the clock."""
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_model_a_judge_and_the_finder_used_after_a_fork_say_what_to_do() -> None:
    uses = [
        "editor.edit(faces, Smiling=1)", "editor.edit(faces, mode='detail', Smiling=1)", "editor.classify(faces)",
        "editor.reconstruct(faces)", "editor.see(faces)", "editor.edit_arrays(faces, [1], [1])", "editor.sample(4)",
        "editor.edit_photo(photo, Smiling=1)", "opened()", "detect(photo)", "visagist.find_faces(photo)",
        "judge.score(faces)", "load_judge('judge-64')",
    ]  # fmt: skip
    lines = run(
        "editor, judge = opened(), load_judge('judge-64')\neditor.edit(faces, Smiling=1)\ndetect(photo)\n"
        + "".join(f"in_child(lambda: {use})\n" for use in uses)
    )
    assert len(lines) == len(uses)
    assert all("was forked from" in line and "spawn" in line for line in lines), lines


def test_a_fork_before_the_first_model_and_one_with_one_thread_edit() -> None:
    lines = run(
        "in_child(lambda: opened().edit(faces, Smiling=1))\neditor = opened()\neditor.edit(faces, Smiling=1)\n"
        "in_child(lambda: (torch.set_num_threads(1), editor.edit(faces, Smiling=1)))\n"
        "editor.edit(faces, Smiling=1)\nprint('here')"
    )
    assert lines == ["done", "done", "here"]
