from __future__ import annotations

import numpy as np

from visagist.data.faces import Faces


def test_drawn_rows_are_of_the_split_ascending_and_a_function_of_the_seed(faces: Faces) -> None:
    train = faces.indices("train")
    for limit in (None, len(train), 1000):
        np.testing.assert_array_equal(faces.sample("train", limit, 0), train)
    first, again, other = (faces.sample("train", 10, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(first) == len(set(first.tolist())) == 10
    assert set(first.tolist()) <= set(train.tolist())
    assert (np.diff(first) > 0).all()
    assert first.tolist() != other.tolist()
