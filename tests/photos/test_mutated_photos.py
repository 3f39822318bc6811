"""Whatever is wrong with a file, reading it ends soon and says so in one line. $VISAGIST_MUTATIONS: how many are tried."""

from __future__ import annotations

import os
import time

import pytest
from photo_mutations import mutated
from photo_seeds import seeds

from visagist.errors import VisagistError
from visagist.photos.photo import read_photo

NUMBER = int(os.environ.get("VISAGIST_MUTATIONS", "300"))


def test_a_mutated_photo_is_read_or_refused_in_one_line_and_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VISAGIST_MAX_MEGAPIXELS", "10")
    read, said = 0, []
    for number in range(NUMBER):
        name, data = mutated(number)
        started = time.process_time()
        try:
            photo = read_photo(data, "it")
            assert photo.view().shape == (*photo.size[::-1], 3), name
            read += 1
        except VisagistError as error:
            said.append(str(error))
        assert time.process_time() - started < 5, name
    assert not [line for line in said if "\n" in line]
    assert min(read, len(said)) > NUMBER / 10


def test_the_name_of_a_file_is_not_believed(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("wrong")
    for name in ("jpeg", "png", "webp", "gif", "tiff"):
        path = folder / f"{name}.heic"
        path.write_bytes(seeds()[name][0])
        assert read_photo(path).format == name.upper()
