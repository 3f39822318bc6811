"""The fields of a model's `config.json`; it may have more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from visagist.boundary.schema import Attributes, Bounds, Count, Open, Pattern, Sha256

MOST_PIXELS = 4096  # a side of the faces that a model sees
Words = Annotated[str, Bounds(1, 200)]


@dataclass(frozen=True)
class Trained(Open):
    """How a model was trained, and how far its run is."""

    images: Count | None = None
    batch_size: Count | None = None
    step: Count | None = None
    seconds: float | None = None
    minutes: float | None = None
    best: float | None = None
    seed: int | None = None
    finished: bool | None = None
    computed_in: Words | None = None  # the precision, where `auto` says nothing
    machine: Words | None = None


@dataclass(frozen=True)
class SourceOfFaces(Open):
    """The faces that a model was trained on."""

    source: str | None = None
    crop: str | None = None
    fingerprint: str | None = None
    count: Count | None = None
    image_size: Count | None = None
    attributes: Attributes | None = None
    counts: Mapping[str, Count] | None = None
    balance: Mapping[str, Any] | None = None
    derived: Mapping[str, str] | None = None


@dataclass(frozen=True)
class StoredVector(Open):
    """An attribute vector in a model's code."""

    attribute: Words
    vector: Annotated[tuple[float, ...], Bounds(1, 2**20)]
    unit: float
    length: float | None
    n_with: Count | None
    n_without: Count | None
    middle: float | None = None
    matched: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredGraph(Open):
    """A graph that lies in the folder, its name without a path."""

    file: Annotated[str, Pattern(r"[a-z_]{1,40}\.onnx", "the name of a graph's file")]
    sha256: Sha256


@dataclass(frozen=True)
class Export(Open):
    """The graphs that `visagist export` wrote beside a model, by what they do; see `exporting/modules.py`.

    capabilities, attributes, paper_amount  of what edits, which may be attribute vectors over the method
    stepwise  the graph of edits changes one attribute of a picture, so several take as many runs
    recolours  edits change colours and draw nothing, so that a photograph's texture goes with its colours
    """

    precision: Literal["fp32", "fp16", "int8"]
    graphs: Mapping[Words, StoredGraph]
    capabilities: tuple[Words, ...] = ()
    attributes: Attributes = ()
    paper_amount: float = 1.0
    stepwise: bool = False
    recolours: bool = False


@dataclass(frozen=True)
class Description(Open):
    """A model folder's `config.json`; `config` is checked against the method's own settings when the model is built."""

    format_version: int
    kind: Words
    name: Words
    config: Mapping[str, Any]
    attributes: Attributes
    image_size: Annotated[int, Bounds(1, MOST_PIXELS)]
    weights_sha256: Sha256
    crop: str | None = None
    training: Trained | None = None
    data: SourceOfFaces | None = None
    strength: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None
    untrained: bool = False  # at the end of its training it drew no faces
    vectors: tuple[Mapping[str, Any], ...] | None = None  # `StoredVector`, checked where it is used
    borrowed: Mapping[str, str | None] | None = None
    visagist: str | None = None
    code: str | None = None
    recipe: str | None = None
    zoo_name: str | None = None
    dtype: str | None = None
    export: Export | None = None

    def __post_init__(self) -> None:
        twice = sorted({name for name in self.attributes if self.attributes.count(name) > 1})
        if twice:
            raise ValueError(f"attributes names {twice[0]} twice")
