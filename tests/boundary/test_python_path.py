"""Files in the working folder are data: no command runs one that is called like a module."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_runs import train_arguments
from shards import face_shards
from tiny_models import tiny_model
from tiny_zoo import saved

from visagist import methods
from visagist.boundary.python_path import PACKAGE_ROOT, child_environment

pytestmark = pytest.mark.usefixtures("own_cache")
COMMAND = "import sys; from visagist.__main__ import main; main()"
MODULES = ("filelock", "torch", "numpy", "typer", "multiprocessing", "sitecustomize", "usercustomize")
TRAP = "import os, sys; os.write(2, b'TRAPPED ' + __name__.encode()); sys.exit(77)\n"


@pytest.fixture
def trapped(tmp_path: Path) -> Path:
    """A folder with files that are called like modules, and end whichever process imports them."""
    folder = tmp_path / "trapped"
    folder.mkdir()
    for name in (*MODULES, "visagist"):
        (folder / f"{name}.py").write_text(TRAP)
    return folder


def run(folder: Path, words: list[str], more: Mapping[str, str] = {}) -> subprocess.CompletedProcess[str]:
    """A process in this folder that finds this package by PYTHONPATH, as a person may give it."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE_ROOT), "OMP_NUM_THREADS": "1", **more}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=240)


def installed(*words: object) -> list[str]:
    """The words of the installed command `visagist`, whose script does not look in the working folder either."""
    return [sys.executable, "-P", "-c", COMMAND, *map(str, words)]


@pytest.mark.slow
def test_processes_of_bulk_run_nothing_from_the_working_folder(trapped: Path, tmp_path: Path) -> None:
    face_shards(trapped / "in", 2, 3)
    tiny = saved(tmp_path / "tiny", tiny_model(methods.get("ifcvae-gan")).eval())
    words = installed("bulk", "in", "--set", "Smiling=1", "--model", tiny, "--device", "cpu", "--out", "out", "--devices", 2)
    done = run(trapped, words)
    assert "TRAPPED" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert len(list((trapped / "out").glob("*.tar"))) == 2


@pytest.mark.slow
def test_processes_of_a_training_run_nothing_from_the_working_folder(trapped: Path) -> None:
    done = run(trapped, installed(*train_arguments(Path("run")), "--devices", 2))
    assert "TRAPPED" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert (trapped / "run" / "last" / "config.json").exists()


def test_python_m_visagist_runs_nothing_from_the_working_folder_but_a_package_of_its_name(trapped: Path) -> None:
    (trapped / "visagist.py").unlink()
    done = run(trapped, [sys.executable, "-m", "visagist", "methods"])
    assert "TRAPPED" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_an_empty_entry_of_pythonpath_is_not_the_working_folder(trapped: Path) -> None:
    (trapped / "sitecustomize.py").unlink()  # Python imports these before visagist begins
    (trapped / "usercustomize.py").unlink()
    (trapped / "visagist.py").unlink()
    done = run(trapped, [sys.executable, "-m", "visagist", "methods"], {"PYTHONPATH": f"{os.pathsep}{PACKAGE_ROOT}"})
    assert "TRAPPED" not in done.stderr
    assert done.returncode == 0, done.stderr


def test_drawing_in_several_processes_runs_nothing_from_the_working_folder(trapped: Path) -> None:
    (trapped.parent / "draw.py").write_text(
        "from visagist.data.drawn.synthetic import load_synthetic\n"
        "if __name__ == '__main__':\n    print(len(load_synthetic(260, image_size=16, processes=2)))\n"
    )
    done = run(trapped, [sys.executable, str(trapped.parent / "draw.py")])
    assert "TRAPPED" not in done.stderr
    assert done.stdout == "260\n", done.stderr


def test_what_pythonpath_names_stays_on_the_path_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = os.pathsep.join(["", "/my/code", "", "other", ""])
    monkeypatch.chdir(tmp_path)
    kept = child_environment({"PYTHONPATH": given, "A": "b"})
    assert kept == {"PYTHONPATH": os.pathsep.join(["/my/code", "other"]), "A": "b", "PYTHONSAFEPATH": "1"}
    assert child_environment({}) == {"PYTHONSAFEPATH": "1"}
    monkeypatch.chdir(PACKAGE_ROOT)
    assert child_environment({})["PYTHONPATH"] == str(PACKAGE_ROOT)


def test_a_module_that_pythonpath_names_is_found_in_the_working_folder(trapped: Path) -> None:
    for name in ("sitecustomize", "usercustomize", "multiprocessing"):
        (trapped / f"{name}.py").unlink()
    done = run(trapped, installed("methods"), {"PYTHONPATH": f"{PACKAGE_ROOT}{os.pathsep}{trapped}"})
    assert "TRAPPED typer" in done.stderr
