"""The terms of the shipped weights, said once to each person who uses them from the command line."""

from __future__ import annotations

from visagist.cli.console import say
from visagist.files import cache_folder

TERMS = (
    "the shipped weights were trained on CelebA: non-commercial research and education only, "
    "and never to deceive or to identify people (visagist/zoo/LICENSE)"
)


def tell_terms_once() -> None:
    """Say the terms unless this person's cache folder remembers that they were said; where it cannot, say them again."""
    folder = cache_folder()
    marker = folder / "zoo-terms-shown"
    if marker.exists():
        return
    say(TERMS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        marker.write_text(TERMS + "\n")
    except OSError:
        return  # a place that cannot be written only means that the line is said again
