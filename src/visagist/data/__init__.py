"""Labelled faces from anywhere: `load_data("celeba:PATH")` and its kin give `Faces`."""

from __future__ import annotations

from visagist.data.faces import SPLITS, Faces
from visagist.data.sources import load_data, open_data, pack, require_both_classes

__all__ = ["SPLITS", "Faces", "load_data", "open_data", "pack", "require_both_classes"]
