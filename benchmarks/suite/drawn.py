"""How fast faces are drawn, in one process."""

from __future__ import annotations

import torch

from suite.timing import Given, Group, Part, by_turns, compare
from visagist.data.drawn.synthetic import SyntheticFaces

SIZES = (64, 128)


def run(given: Given) -> Part:
    number = 8 if given.quick else 200
    runners = {f"{size} px": SyntheticFaces(number, image_size=size).render for size in SIZES}
    group = Group(f"drawing {number} faces, one process", {"number": number}, unit="faces")
    return Part([compare(group, by_turns(runners, given.rounds_or(7), torch.device("cpu")), number, [])])
