"""Several attributes, each edited by its own best model."""

from __future__ import annotations

import numpy as np
import pytest
from portraits import portrait_photo

from visagist.editing.chains.editor_chain import EditorChain, Stage, load_best
from visagist.editing.editor import Editor
from visagist.editing.photo_edit import edit_photo
from visagist.errors import VisagistError

BOTH = {"Smiling": -1.0, "Wearing_Hat": 1.0}


@pytest.fixture(scope="module")
def chain() -> EditorChain:
    chosen = load_best(list(BOTH), "cpu")
    assert isinstance(chosen, EditorChain)
    return chosen


def test_one_attribute_needs_no_chain() -> None:
    assert isinstance(load_best(["Smiling"], "cpu"), Editor)
    assert load_best(["Smiling", "No_Beard"], "cpu").name == "ifcvae-gan-factored-64"


def test_each_model_edits_what_the_one_before_it_left(chain: EditorChain) -> None:
    photo = portrait_photo()[0]
    result = edit_photo(chain, photo, BOTH)
    first = edit_photo(chain.stages[0].editor, photo, {"Smiling": -1.0})
    second = edit_photo(chain.stages[1].editor, first.image, {"Wearing_Hat": 1.0}, faces=first.faces)
    off = np.abs(np.asarray(result.image).astype(int) - np.asarray(second.image))
    assert np.quantile(off, 0.99) <= 2  # but for pixels that the first edit clips
    assert len(result.changes) == 1
    assert result.scores_after["Wearing_Hat"][0] > result.scores_before["Wearing_Hat"][0]
    other = edit_photo(EditorChain(chain.stages[::-1]), photo, BOTH)
    assert np.abs(np.asarray(other.image).astype(int) - np.asarray(result.image)).max() > 2


def test_aligned_faces_pass_one_model_after_the_other(chain: EditorChain) -> None:
    face = portrait_photo((178, 218))[0]
    edited = chain.edit(face, **BOTH)
    first = chain.stages[0].editor.edit(face, Smiling=-1)
    assert np.array_equal(edited, chain.stages[1].editor.edit(first, Wearing_Hat=1))
    assert chain.residual(face, **BOTH).shape == (1, 64, 64, 3)


def test_a_chain_says_all_weights_and_refuses_what_it_does_not_edit(chain: EditorChain) -> None:
    assert len(chain.description["weights_sha256"].split(" + ")) == 2
    assert chain.attributes == ("Smiling", "Wearing_Hat")
    with pytest.raises(VisagistError, match="no attribute 'Bald'"):
        chain.edit([], Bald=1)
    with pytest.raises(VisagistError, match="no zoo model edits 'Nothing'"):
        load_best(["Smiling", "Nothing"])
    assert Stage(chain.stages[0].editor, ("Smiling",)).part_of(BOTH) == {"Smiling": -1.0}
