"""What every family of metrics reads: the editor, the judge and the faces of one evaluation, each image scored once."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from visagist.attributes import attribute_column, with_derived
from visagist.boundary.terminal import text_column
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation.reading_cache import ReadingCache, Rows, fingerprint_of, key_of
from visagist.evaluation.results import Metrics
from visagist.judges import Judge
from visagist.latent.codes import over_batches
from visagist.latent.generation import seeded
from visagist.pixels import to_pixels

Times = NDArray[np.float64]


class Stopwatch:
    """Seconds by family. A family that another one calls for, as all call for the judge, counts for itself alone."""

    def __init__(self) -> None:
        self._spent: dict[str, Times] = {}
        self._running: list[Times] = []

    @contextlib.contextmanager
    def of(self, family: str) -> Iterator[None]:
        """What runs in this context belongs to the family."""
        began, inside = _now(), np.zeros(2)
        self._running.append(inside)
        try:
            yield
        finally:
            self._running.pop()
            whole = _now() - began
            self._spent[family] = self._spent.get(family, np.zeros(2)) + whole - inside
            if self._running:
                self._running[-1] += whole

    def seconds(self) -> dict[str, dict[str, float]]:
        """Of each family, by the clock on the wall and of the processor, all threads together."""
        return {name: {"wall": round(float(t[0]), 2), "cpu": round(float(t[1]), 2)} for name, t in self._spent.items()}


def _now() -> Times:
    return np.array([time.perf_counter(), time.process_time()])


Images = NDArray[np.uint8]
Scores = NDArray[np.float32]
Setting = tuple[NDArray[np.float32], NDArray[np.float32]]  # the classes and the amounts of an edit
CHUNK = 256
SUBSET = 1000


class JudgeLike(Protocol):
    """What an evaluation asks of `visagist.judges.Judge`."""

    name: str
    attributes: tuple[str, ...]
    image_size: int
    description: dict[str, Any]

    def score(self, images: Images) -> Scores: ...


class Track:
    """A bar over all stages, in units of about one edited image; without a bar it counts nothing."""

    def __init__(self, bar: Progress | None, total: float) -> None:
        self._bar = bar
        self._task = None if bar is None else bar.add_task("evaluating", total=total)

    def stage(self, name: str) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description=name)

    def advance(self, units: float) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, units)

    def finish(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, description="evaluated", completed=self._bar.tasks[self._task].total)


def progress_bar() -> Progress:
    """A bar with the stage, the time gone by and the time left."""
    return Progress(
        text_column("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn()
    )


class CachedNetwork:
    """Numbers [N, K] of images by some network, with what it gave already: the same pixels are never read twice.

    Of a network with a `fingerprint`, what it reads in photographs is kept on disk for the next evaluation.
    """

    def __init__(self, network: Callable[[Images], Scores], fingerprint: str | None = None) -> None:
        self.network, self.name = network, str(getattr(network, "name", ""))
        self._known: Rows = {}
        own = fingerprint or getattr(network, "fingerprint", None)
        self._kept = None if own is None else ReadingCache(own)
        self.found = 0  # photographs that were not read, because they had been

    def __len__(self) -> int:
        return len(self._known)

    def __call__(self, images: Images) -> Scores:
        keys = [key_of(image) for image in images]
        self._read(keys, images)
        return np.stack([self._known[key] for key in keys])

    def photographs(self, images: Images) -> Scores:
        """The same, of photographs: all of them at once, since the file is read and written once."""
        if self._kept is None:
            return self(images)
        keys, kept = [key_of(image) for image in images], self._kept.read()
        known = {key: kept[key] for key in keys if key in kept and key not in self._known}
        self.found += len(known)
        self._known.update(known)
        fresh = self._read(keys, images)
        if fresh:
            self._kept.add(fresh)
        return np.stack([self._known[key] for key in keys])

    def _read(self, keys: list[bytes], images: Images) -> Rows:
        """Read what is not known yet of images by these keys, and return it."""
        fresh = {key: row for row, key in enumerate(keys) if key not in self._known}
        rows = list(fresh.values())
        found: list[Scores] = []
        for start in range(0, len(rows), CHUNK):
            found.extend(np.asarray(self.network(images[rows[start : start + CHUNK]]), np.float32))
        read: Rows = dict(zip(fresh, found))
        self._known.update(read)
        return read


class JudgeScores:
    """The judge, with what it has read already."""

    def __init__(self, judge: JudgeLike, clock: Stopwatch | None = None) -> None:
        self.judge = judge
        self._once = CachedNetwork(judge.score, _fingerprint(judge))
        self._clock = clock or Stopwatch()

    @property
    def images_scored(self) -> int:
        return len(self._once) - self._once.found

    @property
    def images_found(self) -> int:
        """Photographs that the judge had read in an earlier evaluation."""
        return self._once.found

    def photographs(self, images: Images) -> Scores:
        """Probabilities [N, J] of photographs, which are kept on disk for the next evaluation."""
        with self._clock.of("judge"):
            return self._once.photographs(images)

    def score(self, images: Images) -> Scores:
        """Probabilities [N, J] of uint8 images [N, S, S, 3]."""
        with self._clock.of("judge"):
            return self._once(images)

    def column(self, scores: Scores, attribute: str) -> Scores:
        """Scores [N] of one attribute out of scores [N, J]; of a derived one, from its parts."""
        return attribute_column(scores, self.judge.attributes, attribute)

    def knows(self, attribute: str) -> bool:
        """Whether the judge reads the attribute, or enough of its parts."""
        return attribute in with_derived(self.judge.attributes)


def _fingerprint(judge: JudgeLike) -> str | None:
    """Of a judge with weights of its own; None of whatever else scores."""
    weights = judge.description.get("weights_sha256")
    if not isinstance(judge, Judge) or weights is None:
        return None
    return fingerprint_of("judge", weights, judge.precision, judge.device)


@dataclass
class EvaluationContext:
    """One evaluation under way, of some `attributes` that the editor knows.

    `faces` are the faces of the split, in memory; `unedited` is what edits start from.
    """

    editor: Editor
    scorer: JudgeScores
    faces: Faces
    attributes: tuple[str, ...]
    seed: int
    track: Track
    results: Metrics = field(default_factory=Metrics)
    clock: Stopwatch = field(default_factory=Stopwatch)
    unedited: Images = field(default_factory=lambda: np.zeros((0, 1, 1, 3), np.uint8))
    codes: NDArray[np.float32] | None = None
    photo_scores: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    unedited_scores: Scores = field(default_factory=lambda: np.zeros((0, 0), np.float32))

    def chunks(self, size: int = CHUNK) -> Iterator[slice]:
        """Slices over the faces, so that only one chunk of edited images is in memory."""
        for start in range(0, len(self.faces), size):
            yield slice(start, min(start + size, len(self.faces)))

    def subset(self) -> NDArray[np.int64]:
        """Rows of at most `SUBSET` faces, the same for every metric that is too costly for all."""
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.permutation(len(self.faces))[:SUBSET])

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.editor.device

    def can(self, capability: str) -> bool:
        return self.editor.can(capability)

    def labels(self, attribute: str) -> NDArray[np.bool_]:
        return self.faces.column(attribute).astype(bool)

    @cached_property
    def drawn_codes(self) -> NDArray[np.float32] | None:
        """One code [N, Z] a face, drawn from its posterior; None where the method gives no variance."""
        with seeded(self.seed, self.device):
            drawn = over_batches(self.editor, self.faces.images, self.editor.backend.encode_sampled)
        codes = [code.z.flatten(1).float().cpu().numpy() for code in drawn if code is not None]
        return np.concatenate(codes) if codes else None

    @cached_property
    def samples(self) -> Images:
        """As many faces from the prior as there are photographs, under the photographs' own labels where they condition."""
        return self.sampled(len(self.faces))

    def sampled(self, number: int) -> Images:
        """Faces [number, S, S, 3] from the prior, under the labels of the first so many photographs."""
        model, device = self.editor.backend, self.device
        labels = torch.full((number, len(self.editor.attributes)), 0.5)
        for place, name in enumerate(self.editor.attributes):
            if name in with_derived(self.faces.names):
                labels[:, place] = torch.from_numpy(self.labels(name)[:number]).float()
        with seeded(self.seed, device), torch.inference_mode():
            return np.concatenate([to_pixels(model.sample(part.to(device))) for part in labels.split(CHUNK)])

    def paper(self, attribute: str, value: NDArray[Any] | float) -> Setting:
        """The paper's own setting toward `value`: a number, or one for each image."""
        target, amount = np.zeros((2, *np.shape(value), len(self.editor.attributes)), np.float32)
        place = self.editor.attributes.index(attribute)
        target[..., place], amount[..., place] = value, self.editor.backend.paper_amount
        return target, amount

    def strength(self, attribute: str, strength: float) -> Setting:
        """The setting of `Editor.edit` at this strength from -1 to 1."""
        return self.editor.setting(**{attribute: strength})

    def toward(self, images: Images, attribute: str, value: NDArray[Any] | float) -> Images:
        """Images edited toward `value` (a number, or one for each image) at the paper's own setting."""
        return self.editor.edit_arrays(images, *self.paper(attribute, value))

    def at_strength(self, images: Images, attribute: str, strength: float) -> Images:
        """Images edited as `Editor.edit` does at this strength from -1 to 1, in the mode `render`."""
        return self.editor.edit_arrays(images, *self.strength(attribute, strength))
