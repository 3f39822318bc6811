"""Drawn faces: deterministic, exactly flippable, correlated as asked, and readable."""

from __future__ import annotations

import numpy as np

from visagist.data.synthetic import ATTRIBUTES, SyntheticFaces


def test_a_face_depends_on_seed_and_index_alone() -> None:
    few, many = SyntheticFaces(5, image_size=32, seed=3), SyntheticFaces(50, image_size=32, seed=3)
    assert np.array_equal(few.labels, many.labels[:5])
    assert np.array_equal(few.image(4), many.image(4))
    assert np.array_equal(many.render([7, 4])[1], few.image(4))
    assert not np.array_equal(few.image(4), SyntheticFaces(5, image_size=32, seed=4).image(4))


def test_a_flip_changes_its_region_and_nothing_else() -> None:
    faces = SyntheticFaces(200, seed=1)
    marked = 0
    for index in range(len(faces)):
        for column, name in enumerate(ATTRIBUTES):
            flipped = faces.counterfactual(index, **{name: 1 - int(faces.labels[index, column])})
            changed = np.abs(flipped.astype(int) - faces.image(index)).max(-1)
            assert not np.any(changed[~faces.region(index, name)]), f"face {index}: {name} reaches beyond its region"
            if faces.hidden(index, name):
                marked += 1
                continue
            assert np.sum(changed > 20) >= 25, f"face {index}: {name} can hardly be seen"
    assert 0 < marked < 200
