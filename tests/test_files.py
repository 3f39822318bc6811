"""Files whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from visagist.errors import VisagistError
from visagist.files import write_file, write_files


def test_files_are_written_with_the_folders_they_need(tmp_path: Path) -> None:
    write_files(tmp_path / "a" / "b", {"words.txt": "ü\n", "bytes.bin": b"\x00\xff"})
    assert (tmp_path / "a" / "b" / "words.txt").read_text(encoding="utf-8") == "ü\n"
    assert (tmp_path / "a" / "b" / "bytes.bin").read_bytes() == b"\x00\xff"
    assert len(list((tmp_path / "a" / "b").iterdir())) == 2


def test_a_full_disk_leaves_the_former_files_whole(tmp_path: Path) -> None:
    write_files(tmp_path, {"metrics.json": "former", "report.html": "former"})
    (tmp_path / f".report.html.writing-{os.getpid()}").symlink_to("/dev/full")
    with pytest.raises(VisagistError, match=r"No space left on device; free some space or choose another --out$"):
        write_files(tmp_path, {"metrics.json": "new", "report.html": "new"})
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {
        "metrics.json": "former",
        "report.html": "former",
    }


def test_a_place_that_is_none_is_named_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VisagistError, match=r"cannot write .*file/out\.txt: .*; free some space or go elsewhere$"):
        write_file(tmp_path / "file" / "out.txt", "text", remedy="go elsewhere")
    assert (tmp_path / "file").read_text() == "in the way"


def test_a_name_as_long_as_file_systems_take_is_written(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 251}.txt"
    write_file(path, "whole")
    assert path.read_text() == "whole"
    assert list(tmp_path.iterdir()) == [path]
