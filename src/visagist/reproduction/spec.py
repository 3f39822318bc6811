"""The description of a published table or figure, as dataclasses."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from visagist.errors import VisagistError, nearest

TRAINED_ON = {"celeba": "CelebA", "cifar10": "CIFAR-10"}
PAPERS = ("ifcvae_gan", "introvac", "vae_wgan", "residual_gan")


@dataclass(frozen=True)
class Row:
    """One model of a table or figure, and its published figures.

    label         its name in the paper
    recipe        for `--scale paper`
    published     figures by keys of `metrics.json`, None where the paper gives no number; a star is the feature network
    small         the project's own recipe of this row for two cores; None means the paper's, reduced
    changes       to the settings of `small`, by field
    incomparable  keys whose published figure was measured in another way, and why
    vectors       attributes that a model without an edit of its own edits along vectors of its codes, z + alpha v
    """

    label: str
    recipe: str
    published: Mapping[str, float | None]
    small: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    incomparable: Mapping[str, str] = field(default_factory=dict)
    vectors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Column:
    """One column of a sheet: an edit or a reconstruction by one model.

    row    label of the row of the model
    edit   attributes and the class, 0 or 1, to edit toward; none is the reconstruction
    reach  multiple of the paper's own amount
    shown  the edited face, or its difference to the reconstruction around grey
    """

    title: str
    row: str
    edit: Mapping[str, int] = field(default_factory=dict)
    reach: float = 1.0
    shown: Literal["face", "residual"] = "face"


@dataclass(frozen=True)
class Sheet:
    """Test faces with labels `start`, one a line, beside edits and reconstructions."""

    title: str
    start: Mapping[str, int]
    columns: tuple[Column, ...]
    lines: int = 6


@dataclass(frozen=True)
class SampleSheet:
    """New faces of a row's model with the given attributes."""

    title: str
    row: str
    given: Mapping[str, int] = field(default_factory=dict)
    number: int = 16


@dataclass(frozen=True)
class Ways:
    """Interpolations between pairs of test faces, in 11 steps."""

    title: str
    row: str
    pairs: int = 4


@dataclass(frozen=True)
class Walks:
    """Test faces without an attribute, moved along its vector from alpha 0 to 1; vectors of `number` faces of each class."""

    title: str
    row: str
    attributes: tuple[str, ...]
    number: int = 2000


@dataclass(frozen=True)
class Layout:
    """Test faces on a square grid by t-SNE of their codes."""

    title: str
    row: str
    number: int = 625


@dataclass(frozen=True)
class Poses:
    """The test faces of largest yaw with labels `start`, edited, and the residual."""

    title: str
    row: str
    start: Mapping[str, int]
    edit: Mapping[str, int]
    number: int = 6


Picture = Sheet | SampleSheet | Ways | Walks | Layout | Poses


@dataclass(frozen=True)
class View:
    """Attributes recognised by linear SVMs on the codes of one row's model, or of several rows' side by side.

    label      its name in the paper
    rows       labels of the rows whose codes they are
    published  mean accuracy over attributes in [0, 1], None where the paper gives none
    """

    label: str
    rows: tuple[str, ...]
    published: float | None = None


@dataclass(frozen=True)
class Gain:
    """How much better a detector finds landmarks where a row's model takes an attribute away, at the paper's own setting.

    row, published, incomparable   as in `Row`, by keys of `landmarks.json`
    """

    row: str
    attribute: str
    published: Mapping[str, float | None]
    incomparable: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Correlated:
    """One edit of the same test faces by the models of all rows, and what else it changes.

    attribute, strength   what is edited; a model that has a code and no edit does it by its attribute vector
    among      labels of the faces
    watched    attributes whose reading is printed
    along      of rows, by label: kinds of directions that are compared too, plain and given the attributes of `among`
    published  Pearson's correlations of labels, by the other attribute
    """

    title: str
    attribute: str
    strength: float
    among: Mapping[str, int]
    watched: tuple[str, ...]
    along: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    published: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Reproduction:
    """A published table or figure.

    name            paper/table, as the command line takes it
    rows            models to train and evaluate, their labels different
    pictures        to draw
    notes           that a reader of the verdicts needs
    training_faces  of the paper's data
    views           attributes recognised by codes, after the rows are trained
    gains           landmarks found before and after an edit, likewise
    correlated      an edit, after the rows are trained
    elsewhere       whether rows are measured on another source than they are trained on
    trains_on       the kind of source that rows are trained on, of `TRAINED_ON`; elsewhere they are not run
    """

    name: str
    title: str
    source: str
    rows: tuple[Row, ...]
    pictures: tuple[Picture, ...]
    notes: tuple[str, ...] = ()
    training_faces: int = 162_770
    views: tuple[View, ...] = ()
    gains: tuple[Gain, ...] = ()
    correlated: Correlated | None = None
    elsewhere: bool = False
    trains_on: str = "celeba"

    def needed_source(self, data: str) -> str | None:
        """What rows need in place of this source; None where they can be trained on it: faces of any kind for CelebA."""
        if self.trains_on == "celeba" or data.partition(":")[0] == self.trains_on:
            return None
        return f"{TRAINED_ON[self.trains_on]}: --data {self.trains_on}:PATH"


def available() -> dict[str, Reproduction]:
    """Reproductions by name, alphabetically; two of one name are a VisagistError."""
    reproductions: dict[str, Reproduction] = {}
    for paper in PAPERS:
        for reproduction in importlib.import_module(f"visagist.reproduction.papers.{paper}").REPRODUCTIONS:
            if reproduction.name in reproductions:
                raise VisagistError(f"two reproductions are called {reproduction.name!r}: rename one in {paper}.py")
            reproductions[reproduction.name] = reproduction
    return dict(sorted(reproductions.items()))


def get(name: str) -> Reproduction:
    """The reproduction of this name; VisagistError with the nearest names if there is none."""
    known = available()
    if name not in known:
        raise VisagistError(f"no reproduction {name!r}: {nearest(name, known)}")
    return known[name]
