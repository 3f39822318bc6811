"""What every family of metrics reads: the editor, the judge and the faces of an evaluation, each image scored once."""

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

from visagist.attributes import attribute_column, with_derived
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation.reading_cache import ReadingCache, Rows, fingerprint_of, key_of
from visagist.evaluation.results import Metric, Metrics
from visagist.judges import Judge
from visagist.latent.codes import encode_images, over_batches
from visagist.latent.generation import seeded
from visagist.pixels import SSIM_WINDOW, squared_error, structural_similarity, to_float, to_pixels
from visagist.progress import Progress

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
CHUNK, BATCH = 256, 64
TRAINING_FACES = 10  # that fresh probes are fitted to, at most, for each face that is measured
SUBSET = 1000


class JudgeLike(Protocol):
    """What an evaluation asks of `visagist.judges.Judge`."""

    name: str
    attributes: tuple[str, ...]
    image_size: int
    description: dict[str, Any]

    def score(self, images: Images) -> Scores: ...


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
        scores: list[Scores] = []
        for start in range(0, len(rows), CHUNK):
            scores.extend(np.asarray(self.network(images[rows[start : start + CHUNK]]), np.float32))
        read: Rows = dict(zip(fresh, scores))
        self._known.update(read)
        return read


class JudgeScores:
    """The judge, with what it has read already."""

    def __init__(self, judge: JudgeLike, clock: Stopwatch | None = None) -> None:
        self.judge = judge
        self._once = CachedNetwork(judge.score, _fingerprint(judge))
        self._clock = clock or Stopwatch()

    @property
    def name(self) -> str:
        return self.judge.name

    @property
    def attributes(self) -> tuple[str, ...]:
        """What it reads, derived attributes too."""
        return tuple(with_derived(self.judge.attributes))

    def read(self, images: Images, attribute: str) -> Scores:
        """Probabilities [N] of one attribute: the judge as one of a panel."""
        return self.column(self.score(images), attribute)

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


class NamedNetwork(Protocol):
    """A network that reads faces: numbers [N, K] of uint8 images [N, S, S, 3]."""

    name: str

    def __call__(self, images: Images) -> Scores: ...


class SecondJudge(Protocol):
    """A judge of another family, such as `FaceApiJudge`."""

    name: str
    attributes: tuple[str, ...]

    def reader(self, attribute: str, crop: str | None) -> CachedNetwork | None: ...


class PanelJudge(Protocol):
    """A judge of a panel: probabilities [N] of one of its attributes in faces [N, S, S, 3] of one crop."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    def read(self, images: Images, attribute: str) -> Scores: ...


class PictureDistance(Protocol):
    """How far apart pictures look: distances [N] of pairs of uint8 images [N, S, S, 3]; the name is part of keys."""

    name: str

    def distance(self, a: Images, b: Images) -> NDArray[np.float64]: ...


@dataclass(frozen=True)
class Networks:
    """What reads faces besides the judge; None for what is not given."""

    identity: CachedNetwork | None = None
    features: CachedNetwork | None = None
    classifier: NamedNetwork | None = None
    second: SecondJudge | None = None
    perceptual: PictureDistance | None = None


@dataclass(frozen=True)
class Reconstructions:
    """Faces passed through the model once: uint8 images [N, S, S, 3], codes [N, Z], and distances [N] of float decodes.

    similarity  is nan of images smaller than its window
    """

    images: Images
    codes: NDArray[np.float32]
    squared_error: torch.Tensor
    similarity: torch.Tensor


@dataclass(frozen=True)
class Edits:
    """One attribute's edits; each is made and judged once.

    paper       [N, S, S, 3] at the paper's setting, to the class that the label is not
    ends        [M, S, S, 3] the same at strength -1 or +1, of the faces of `EvaluationContext.subset`
    paper_read  what the judge reads [N, J] at the paper's setting, of all faces edited toward 0 and of all toward 1;
                none where it does not know the attribute
    ends_read   the same at strength -1 and +1
    """

    paper: Images
    ends: Images
    paper_read: tuple[Scores, ...]
    ends_read: tuple[Scores, ...]


@dataclass
class EvaluationContext:
    """One evaluation under way, of some `attributes` that the editor knows, on `faces`, which are in memory.

    What several families of metrics need is computed when the first of them asks for it.

    everything  all faces of the source, those of other splits too; None where only `faces` are known
    recovery    how many training faces fresh decoders are trained on; 0: none are trained
    panel       judges of other kinds, beside the scorer
    """

    editor: Editor
    scorer: JudgeScores
    faces: Faces
    attributes: tuple[str, ...]
    seed: int
    progress: Progress = field(default_factory=Progress)
    results: Metrics = field(default_factory=Metrics)
    clock: Stopwatch = field(default_factory=Stopwatch)
    networks: Networks = Networks()
    everything: Faces | None = None
    recovery: int = 0
    panel: tuple[PanelJudge, ...] = ()
    _edits: dict[str, Edits] = field(default_factory=dict, init=False, repr=False)

    def chunks(self, size: int = CHUNK) -> Iterator[slice]:
        """Slices over the faces, so that only one chunk of edited images is in memory."""
        for start in range(0, len(self.faces), size):
            yield slice(start, min(start + size, len(self.faces)))

    def subset(self) -> NDArray[np.int64]:
        """Rows of at most `SUBSET` faces, the same for every metric that is too costly for all."""
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.permutation(len(self.faces))[:SUBSET])

    @property
    def judges(self) -> tuple[PanelJudge, ...]:
        """The scorer and the panel."""
        return (self.scorer, *self.panel)

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.editor.device

    def can(self, capability: str) -> bool:
        return self.editor.can(capability)

    def labels(self, attribute: str) -> NDArray[np.bool_]:
        return self.faces.column(attribute).astype(bool)

    @cached_property
    def labelled(self) -> list[str]:
        """The attributes that the faces have labels of."""
        return [name for name in self.attributes if name in with_derived(self.faces.names)]

    @cached_property
    def reconstructions(self) -> Reconstructions | None:
        """Every face through the model; None where the method has no autoencoder."""
        if not self.can("autoencode"):
            return None
        with self.clock.of("reconstruction"):
            self.progress.describe("reconstructing")
            unedited = np.empty_like(self.faces.images)
            parts: list[tuple[NDArray[np.float32], torch.Tensor, torch.Tensor]] = []
            for rows in self.chunks(BATCH):
                z, error, similarity, unedited[rows] = _reconstruct(self, np.ascontiguousarray(self.faces.images[rows]))
                parts.append((z, error, similarity))
                self.progress.advance(2.5 * len(z))
            codes, errors, similarities = zip(*parts)
            return Reconstructions(unedited, np.concatenate(codes), torch.cat(errors), torch.cat(similarities))

    @cached_property
    def unedited(self) -> Images:
        """What edits start from: reconstructions; photographs where the method has no autoencoder."""
        return self.faces.images if self.reconstructions is None else self.reconstructions.images

    @cached_property
    def codes(self) -> NDArray[np.float32] | None:
        """Codes [N, Z]; None where the method has no autoencoder."""
        return None if self.reconstructions is None else self.reconstructions.codes

    @cached_property
    def photo_scores(self) -> Scores:
        """What the judge reads [N, J] in the photographs."""
        self.progress.describe("judging photographs")
        scores = self.scorer.photographs(self.faces.images)
        self.progress.advance(2.5 * len(scores))
        return scores

    @cached_property
    def unedited_scores(self) -> Scores:
        """What the judge reads [N, J] in `unedited`."""
        unedited, parts = self.unedited, []
        self.progress.describe("judging reconstructions")
        for rows in self.chunks():
            parts.append(self.scorer.score(unedited[rows]))
            self.progress.advance(2.5 * len(parts[-1]))
        return np.concatenate(parts)

    def edits(self, attribute: str) -> Edits:
        """All faces edited toward either class, at the paper's setting and at strength ±1; the last ones are kept."""
        if attribute not in self._edits:
            with self.clock.of("edits"):
                self._edits = {attribute: _edit(self, attribute)}
        return self._edits[attribute]

    @cached_property
    def training_rows(self) -> NDArray[np.int64]:
        """Rows of `everything`: at most `TRAINING_FACES` training faces for each measured one, and none of these."""
        if self.everything is None:
            return np.zeros(0, np.int64)
        measured = set(self.faces.files)
        train = np.flatnonzero(self.everything.split == 0).tolist()
        known = [row for row in train if self.everything.files[row] not in measured]
        drawn = np.random.default_rng(self.seed).permutation(np.array(known, np.int64))
        return np.sort(drawn[: TRAINING_FACES * len(self.faces)])

    @cached_property
    def training_codes(self) -> NDArray[np.float32] | None:
        """Codes [M, Z] of the faces of `training_rows`; None without a code, or where they are fewer than those measured."""
        rows = self.training_rows
        if not self.can("autoencode") or self.everything is None or len(rows) < len(self.faces):
            return None
        self.progress.describe("codes of training faces")
        parts = [self.everything.images[rows[start : start + CHUNK]] for start in range(0, len(rows), CHUNK)]
        codes = [encode_images(self.editor, np.ascontiguousarray(part)).z.flatten(1).numpy() for part in parts]
        return np.concatenate(codes)

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
        return self.sample(len(self.faces))

    def sample(self, number: int) -> Images:
        """Faces [number, S, S, 3] from the prior, under the labels of the first `number` photographs."""
        model, device = self.editor.backend, self.device
        labels = torch.full((number, len(self.editor.attributes)), 0.5)
        for column, name in enumerate(self.editor.attributes):
            if name in with_derived(self.faces.names):
                labels[:, column] = torch.from_numpy(self.labels(name)[:number]).float()
        with seeded(self.seed, device), torch.inference_mode():
            return np.concatenate([to_pixels(model.sample(part.to(device))) for part in labels.split(CHUNK)])

    def paper(self, attribute: str, value: NDArray[Any] | float) -> Setting:
        """The paper's own setting toward `value`: a number, or one for each image."""
        target, amount = np.zeros((2, *np.shape(value), len(self.editor.attributes)), np.float32)
        column = self.editor.attributes.index(attribute)
        target[..., column], amount[..., column] = value, self.editor.backend.paper_amount
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


@dataclass(frozen=True)
class Family:
    """One step of an evaluation.

    name      under which its time is counted
    measure   puts its figures, or why there are none, into the results of the context; of `each` attribute one by one,
              it is handed its name too
    metrics   what its keys mean, where a page lists them
    needs     a capability; a model that lacks it is not measured, which `missing`, a key or a pattern, says if it is given
    """

    name: str
    measure: Callable[..., None]
    metrics: tuple[Metric, ...] = ()
    each: bool = False
    needs: str = ""
    missing: str = ""


@torch.inference_mode()
def _reconstruct(
    context: EvaluationContext, images: Images
) -> tuple[NDArray[np.float32], torch.Tensor, torch.Tensor, Images]:
    """Codes, squared errors, similarities and the decoded pixels, of one pass through the model."""
    model = context.editor.backend
    x = to_float(torch.from_numpy(images), context.device)
    code = model.encode(x)
    x_hat = model.decode(code)
    error = squared_error(x_hat, x).double().cpu()
    similarity = structural_similarity(x_hat, x).cpu() if x.shape[-1] >= SSIM_WINDOW else torch.full_like(error, torch.nan)
    return code.z.flatten(1).float().cpu().numpy(), error, similarity, to_pixels(x_hat)


def _edit(context: EvaluationContext, attribute: str) -> Edits:
    # The judge reads unedited faces first, so that no order of families changes which faces make a batch.
    if context.scorer.knows(attribute):
        _ = context.photo_scores, context.unedited_scores
    context.progress.describe(f"{attribute}: the paper's setting, strength −1 and +1")
    labels, subset = context.labels(attribute), context.subset()
    settings = [context.paper(attribute, value) for value in (0, 1)]
    settings += [context.strength(attribute, end) for end in (-1, 1)]
    paper, ends, scores = np.empty_like(context.faces.images), [], [[] for _ in settings]  # type: ignore[var-annotated]
    for rows in context.chunks():
        edited = context.editor.edits_of_arrays(context.faces.images[rows], settings)
        if context.scorer.knows(attribute):
            for parts, images in zip(scores, edited):
                parts.append(context.scorer.score(images))
        present = labels[rows, None, None, None]
        paper[rows] = np.where(present, *edited[:2])
        kept = subset[(subset >= rows.start) & (subset < rows.stop)] - rows.start
        ends.append(np.where(present, *edited[2:])[kept])
        context.progress.advance(14 * len(present))
    read = [np.concatenate(parts) for parts in scores if parts]
    return Edits(paper, np.concatenate(ends), tuple(read[:2]), tuple(read[2:]))
