"""What every protocol is handed: the models, the faces as each of them sees them, and the networks that read faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import CachedNetwork, JudgeLike, Networks, PanelJudge, PictureDistance
from visagist.evaluation.extractors.dlib_embedder import DLIB, DlibEmbedder
from visagist.evaluation.extractors.face_api_judge import FACE_API, FaceApiJudge, box_in, load_second
from visagist.evaluation.extractors.judge_panel import open_panel
from visagist.evaluation.extractors.onnx import Embedder, OnnxClassifier, OnnxEmbedder
from visagist.evaluation.extractors.squeezenet import FeatureNetwork, load_features
from visagist.evaluation.extractors.standard_networks import load_distance
from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE, load_judge
from visagist.training.distributed import pick_device

N = TypeVar("N")


LEFT_OUT = "left out, as asked"  # of families that are not measured


@dataclass(frozen=True)
class EvaluationSettings:
    """What all protocols share. A network is given by name or path, or as an object that is loaded already.

    limit       at most this many faces of the split, drawn by the seed; None for all
    crop        of the data; None for the model's own for CelebA's pictures, else the source's
    judge       scores edits; calibrator, which fits strength, reads faces a second time
    identity    a face embedder, or the path of one as ONNX, for `identity.*`
    features    a feature network, or what `load_features` takes, for `realism.*`
    perceptual  a distance of pictures, or what `load_distance` takes, for `reconstruction.perceptual.*`
    classifier  an ImageNet classifier, or the path of one as ONNX, for `inception.*`
    second      a judge of another family, or what `load_second` takes, for `second.*`
    judges      judges of other kinds beside it, or their names: face-api:FOLDER, geometry; the lowest is the figure
    allow_dependent  measure what is not judged independently, and say so on top of the report
    without     families of figures of an evaluation that are left out, such as leakage
    """

    split: str = "test"
    limit: int | None = None
    seed: int = 0
    crop: str | None = None
    device: str = "auto"
    judge: JudgeLike | str | Path = SCORING_JUDGE
    calibrator: JudgeLike | str | Path = CALIBRATING_JUDGE
    identity: Embedder | str | Path | None = None
    features: FeatureNetwork | str | None = None
    perceptual: PictureDistance | str | None = None
    classifier: OnnxClassifier | str | Path | None = None
    second: FaceApiJudge | str | None = None
    judges: tuple[PanelJudge | FaceApiJudge | str | Path, ...] = ()
    allow_dependent: bool = False
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < 1:
            raise VisagistError(f"figures need at least 1 face, got limit={self.limit}")


@dataclass(frozen=True)
class Session:
    """Models with their faces, `faces[i]` as `editors[i]` sees them; networks are loaded when first asked for."""

    editors: tuple[Editor, ...]
    faces: tuple[Faces, ...]
    settings: EvaluationSettings

    @cached_property
    def judge(self) -> JudgeLike:
        return self._judge(self.settings.judge)

    @cached_property
    def calibrator(self) -> JudgeLike:
        return self._judge(self.settings.calibrator)

    @cached_property
    def embedder(self) -> Embedder | None:
        return load_embedder(self.settings.identity)

    @cached_property
    def features(self) -> FeatureNetwork | None:
        return _loaded(self.settings.features, load_features)

    @cached_property
    def perceptual(self) -> PictureDistance | None:
        return _loaded(self.settings.perceptual, load_distance)

    @cached_property
    def classifier(self) -> OnnxClassifier | None:
        return _loaded(self.settings.classifier, OnnxClassifier)

    @cached_property
    def second_judge(self) -> FaceApiJudge | None:
        return _loaded(self.settings.second, load_second)

    @property
    def networks(self) -> Networks:
        """What reads faces besides the judge, each picture once: a new reading of all of them."""
        return Networks(
            None if self.embedder is None else CachedNetwork(self.embedder),
            None if self.features is None else CachedNetwork(self.features),
            self.classifier,
            self.second_judge,
            self.perceptual,
        )

    def panel_of(self, crop: str | None) -> tuple[PanelJudge, ...]:
        """The judges of other kinds than the scorer for faces of a crop: those asked for, and the second judge."""
        asked = list(self.settings.judges)
        named = any(str(getattr(judge, "name", judge)).startswith(FACE_API) for judge in asked)
        if self.second_judge is not None and not named and box_in(crop) is not None:
            asked.append(self.second_judge)
        return tuple(open_panel(asked, str(crop), str(pick_device(self.settings.device)))) if asked else ()

    def _judge(self, judge: JudgeLike | str | Path) -> JudgeLike:
        return load_judge(judge, str(pick_device(self.settings.device))) if isinstance(judge, (str, Path)) else judge


def session_of(
    editors: Editor | Sequence[Editor], faces: Faces | Sequence[Faces], settings: EvaluationSettings | None = None
) -> Session:
    """A session of loaded models; `faces` are those of all of them, or one for each in their order."""
    models = (editors,) if isinstance(editors, Editor) else tuple(editors)
    seen = (faces,) * len(models) if isinstance(faces, Faces) else tuple(faces)
    return Session(models, seen, settings or EvaluationSettings())


def load_networks(settings: EvaluationSettings) -> EvaluationSettings:
    """The settings with every network loaded but the judges, so that a bad file is refused before anything else is read."""
    return replace(
        settings,
        identity=load_embedder(settings.identity),
        features=_loaded(settings.features, load_features),
        perceptual=_loaded(settings.perceptual, load_distance),
        classifier=_loaded(settings.classifier, OnnxClassifier),
        second=_loaded(settings.second, load_second),
    )


def load_embedder(identity: Embedder | str | Path | None) -> Embedder | None:
    """The embedder of an ONNX file, or dlib's by its name."""
    return DlibEmbedder() if identity == DLIB else _loaded(identity, OnnxEmbedder)


def _loaded(network: N | str | Path | None, load: Callable[[Any], N]) -> N | None:
    return load(network) if isinstance(network, (str, Path)) else network
