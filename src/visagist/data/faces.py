"""A set of labelled faces, in memory or memory-mapped, as every data source yields it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import attribute_column, attribute_columns, check_available, rules_in_use
from visagist.errors import VisagistError

SPLITS = ("train", "val", "test")
SET_ASIDE = 3
# The keys of a manifest that identify the faces: a run resumes, and a model is reused, where all are equal.
IDENTIFYING = ("source", "crop", "image_size", "count", "sha256", "images", "labels", "hash")


def split_counts(split: NDArray[np.uint8]) -> dict[str, int]:
    """Count the faces of each split, by name; `split` [N] holds the numbers of splits."""
    return {name: int((split == number).sum()) for number, name in enumerate(SPLITS)}


@dataclass(frozen=True)
class Faces:
    """N labelled faces.

    images      [N, S, S, 3] uint8, RGB, possibly memory-mapped
    labels      [N, A] uint8, 0 or 1, columns as `names`
    split       [N] uint8: 0 train, 1 val, 2 test, 3 set aside (by `balanced`)
    identity    [N] int64, or None where the source does not know who is who
    landmarks   [N, L, 2] float32 in pixels of `images`, or None
    files       N names by which the source knows the images
    manifest    JSON-able facts: source, crop, size, count, hash, what was skipped and why
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    names: tuple[str, ...]
    split: NDArray[np.uint8]
    files: tuple[str, ...]
    identity: NDArray[np.int64] | None = None
    landmarks: NDArray[np.float32] | None = None
    manifest: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.images)

    @property
    def image_size(self) -> int:
        return int(self.images.shape[1])

    def column(self, attribute: str) -> NDArray[np.uint8]:
        """Labels [N] of one attribute, or of one derived; VisagistError with the nearest names if it is not there."""
        check_available([attribute], self.names)
        return attribute_column(self.labels, self.names, attribute)

    def indices(self, split: str, labels: Mapping[str, int] = MappingProxyType({})) -> NDArray[np.int64]:
        """Row numbers [n] of a split, ascending, of the faces with these labels; `all` gives every row.

        An empty split is a VisagistError; that no face in it has these labels is not.
        """
        rows = self._split_rows(split)
        for name, label in labels.items():
            rows = rows[self.column(name)[rows] == label]
        return rows

    def _split_rows(self, split: str) -> NDArray[np.int64]:
        if split == "all":
            return np.arange(len(self))
        if split not in SPLITS:
            raise VisagistError(f"no split {split!r}: it is one of {', '.join(SPLITS)}, all")
        rows = np.flatnonzero(self.split == SPLITS.index(split))
        if len(rows) == 0:
            counts = ", ".join(f"{name} {count}" for name, count in split_counts(self.split).items())
            raise VisagistError(f"the {split} split is empty ({counts}): give these faces a `split` or ask for another")
        return rows

    def sample(
        self, split: str, limit: int | None, seed: int, labels: Mapping[str, int] = MappingProxyType({})
    ) -> NDArray[np.int64]:
        """Row numbers as of `indices`: all, or `limit` of them drawn by the seed."""
        if limit is not None and limit < 1:
            raise VisagistError(f"at least 1 {split} face is needed, got {limit}")
        rows = self.indices(split, labels)
        if limit is None or limit >= len(rows):
            return rows
        return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])

    def sample_of_each(self, split: str, name: str, number: int, seed: int) -> NDArray[np.int64]:
        """As `sample`, at most `number` rows of each class of one attribute."""
        rows, draw = self.indices(split), np.random.default_rng(seed)
        classes = [rows[self.column(name)[rows] == side] for side in (0, 1)]
        return np.sort(np.concatenate([draw.permutation(part)[:number] for part in classes]))

    def take(self, rows: NDArray[np.integer]) -> Faces:
        """The faces of these rows, in this order; images are copied into memory."""
        return replace(
            self,
            images=np.ascontiguousarray(self.images[rows]),
            labels=self.labels[rows],
            split=self.split[rows],
            files=tuple(self.files[int(i)] for i in rows),
            identity=None if self.identity is None else self.identity[rows],
            landmarks=None if self.landmarks is None else self.landmarks[rows],
        )

    def with_attributes(self, attributes: Sequence[str]) -> Faces:
        """The same faces with only these label columns, in this order; the manifest names the rule of derived ones."""
        names = check_available(attributes, self.names)
        labels = attribute_columns(self.labels, self.names, names)
        rules = {**self.manifest.get("derived", {}), **rules_in_use(names, self.names)}
        kept = {name: rule for name, rule in rules.items() if name in names}
        manifest = {key: value for key, value in self.manifest.items() if key != "derived"}
        return replace(self, labels=labels, names=names, manifest={**manifest, **({"derived": kept} if kept else {})})
