"""What the known data sets hold when they are whole, so that a part of one is told of."""

from __future__ import annotations

from dataclasses import dataclass

PAGE = "docs/data.md"


@dataclass(frozen=True)
class KnownSet:
    """A data set by its own name, and how many pictures it has."""

    title: str
    pictures: int


KNOWN_SETS = {
    "celeba": KnownSet("CelebA", 202_599),
    "celeba-hq": KnownSet("CelebA-HQ", 30_000),
    "celebamask-hq": KnownSet("CelebAMask-HQ", 30_000),
    "ffhq": KnownSet("FFHQ", 70_000),
    "lfw": KnownSet("LFW", 13_233),
    "cifar10": KnownSet("CIFAR-10", 60_000),
}


def describe_gap(source: str, count: int) -> str | None:
    """That a source KIND:NAME has fewer or more pictures than its data set; None where it has all, or is no known set."""
    known = KNOWN_SETS.get(source.partition(":")[0])
    if known is None or known.pictures == count:
        return None
    return f"{known.title} has {known.pictures:,} pictures, {count:,} are here ({PAGE})"
