"""What requests and answers look like, in JSON and in OpenAPI."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from visagist.editing.modes import MODES
from visagist.photos.formats import WRITABLE

FORMATS = tuple(dict.fromkeys(suffix.removeprefix(".") for suffix in WRITABLE))
MOST_STEPS, MOST_SAMPLES, LARGEST_SEED = 64, 36, 2**31 - 1
# The smallest picture that is one: a grey pixel. Real requests hold a photograph.
TINY_PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)

AttributeName = Annotated[str, Field(max_length=64, examples=["Smiling"])]
Strength = Annotated[FiniteFloat, Field(ge=-1, le=1)]
Strengths = Annotated[
    dict[AttributeName, Strength],
    Field(min_length=1, max_length=40, description="Attribute to strength, from -1 to 1.", examples=[{"Smiling": 1.0}]),
]
ModelName = Annotated[str, Field(max_length=200, description="One of /v1/models; the best for the attributes if not given.")]
_MODES, _FORMATS = {"enum": [str(mode) for mode in MODES]}, {"enum": [*FORMATS]}
ModeName = Annotated[str, Field(max_length=32, description="How the edit is shown.", json_schema_extra=_MODES)]
FaceName = Annotated[
    Literal["largest", "all"] | Annotated[int, Field(ge=0, le=9999)],
    Field(description="largest, all, or the number of one, from 0 for the largest."),
]
FormatName = Annotated[
    str, Field(max_length=8, description="Of the answer; the picture's own if not given.", json_schema_extra=_FORMATS)
]
Base64Picture = Annotated[str, Field(description="The file of a picture, in base64.", examples=[TINY_PNG])]


class Strict(BaseModel):
    """A body whose unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class EditOptions(Strict):
    """What is asked for beside the picture."""

    set: Strengths
    model: ModelName | None = None
    mode: ModeName | None = None
    face: FaceName = "largest"
    aligned: Annotated[
        bool | None, Field(description="Whether the whole picture is one aligned face; its size decides if not given.")
    ] = None
    format: FormatName | None = None
    strip_metadata: Annotated[bool, Field(description="Leave out what the file said before, but for its history.")] = False


class EditBody(EditOptions):
    """A request for an edit, as JSON."""

    picture: Base64Picture


class PictureBody(Strict):
    """A request about a picture, as JSON."""

    picture: Base64Picture


class ClassifyOptions(Strict):
    """What reads the faces."""

    model: Annotated[str, Field(max_length=200, description="A model of /v1/models in place of the judge.")] | None = None


class ClassifyBody(ClassifyOptions):
    """A request for what is read from faces, as JSON."""

    picture: Base64Picture


class FaceFacts(BaseModel):
    """A face; `box` is left, top, right, bottom, `landmarks` are eyes, nose and mouth corners, in pixels."""

    box: tuple[int, int, int, int]
    landmarks: list[tuple[float, float]]
    score: float
    yaw: float
    tilt: float
    warnings: list[str]


class FacesAnswer(BaseModel):
    """The faces of a picture, the largest first; `size` is its width and height."""

    size: tuple[int, int]
    faces: list[FaceFacts]


class ScoredFace(FaceFacts):
    """A face, and by attribute how sure the reader is that it is present."""

    scores: dict[str, float]


class ClassifyAnswer(BaseModel):
    """What `by` reads from the faces of a picture."""

    size: tuple[int, int]
    by: str
    faces: list[ScoredFace]


class EditAnswer(BaseModel):
    """An edited picture and the record of it, as `visagist edit --json` words it."""

    model_config = ConfigDict(protected_namespaces=())

    picture: Base64Picture
    media_type: str
    model: str
    mode: str
    set: dict[str, float]
    outcome: str
    aligned: bool
    faces: int
    others: int
    boxes: list[tuple[int, int, int, int]]
    before: dict[str, list[float]]
    after: dict[str, list[float]]
    by: str
    amounts: dict[str, float]
    warnings: list[str]
    reason: str


class ModelFacts(BaseModel):
    """A served model.

    `falls_short` are directions, as Smiling-, whose ±1 does not show the attribute as real faces do; `refines` are
    attributes that it edits in the mode photo.
    """

    name: str
    method: str
    attributes: list[str]
    image_size: int
    can: list[str]
    shipped: bool
    falls_short: list[str]
    refines: list[str]


class ModeFacts(BaseModel):
    """A mode; `keeps_pixels` where the picture keeps its own pixels and only the change is the model's."""

    name: str
    keeps_pixels: bool


class ModelsAnswer(BaseModel):
    """The served models, the best of them by attribute, and the modes."""

    models: list[ModelFacts]
    best: dict[str, str]
    modes: list[ModeFacts]


class ErrorFacts(BaseModel):
    """What is wrong: a word for programs and a line for people."""

    kind: str
    message: str
    request_id: str


class ErrorAnswer(BaseModel):
    """The body of every answer but those with status 200."""

    error: ErrorFacts


class Step(Strict):
    """One edit of the studio."""

    face: Literal["all"] | Annotated[int, Field(ge=0, le=9999)] = "all"
    set: Strengths
    model: ModelName | None = None
    mode: ModeName | None = None
    strip_metadata: bool = False


Steps = Annotated[list[Step], Field(max_length=MOST_STEPS)]


class PreviewBody(Strict):
    """Steps to be shown on the preview of an open photograph."""

    steps: Steps
    view: Literal["edited", "residual", "heat"] = "edited"


class JudgeBody(Strict):
    """Steps whose effect is to be read."""

    steps: Steps


class ExportBody(Strict):
    """Steps to be written into a file."""

    steps: Steps
    kind: Literal["picture", "strip", "grid", "residual", "heat"] = "picture"
    format: FormatName | None = None


class SampleBody(Strict):
    """New faces; `set` is 0 or 1 for attributes that they lack or have."""

    model: ModelName
    number: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 12
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    set: Annotated[dict[AttributeName, Literal[0, 1]], Field(max_length=8)] = {}


class AlikeBody(Strict):
    """Faces like a face."""

    model: ModelName
    picture: Base64Picture
    number: Annotated[int, Field(ge=1, le=MOST_SAMPLES)] = 12
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0


class BetweenBody(Strict):
    """The way between two faces."""

    model: ModelName
    pictures: Annotated[list[Base64Picture], Field(min_length=2, max_length=2)]
    number: Annotated[int, Field(ge=2, le=MOST_SAMPLES)] = 9


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The entries of OpenAPI for answers with these statuses."""
    return {status: {"model": ErrorAnswer, "description": _MEANINGS[status]} for status in (401, 413, 422, 503, *statuses)}


_MEANINGS = {
    400: "The body is not what it says to be.",
    401: "The bearer token is missing or wrong.",
    408: "The body did not arrive in time.",
    410: "The photograph is not open any more.",
    413: "The body is larger than the server takes.",
    415: "The body is of another kind, or the picture is none.",
    422: "What is asked for cannot be done; `kind` is no_face where no face was found.",
    503: "The server is busy: come again after Retry-After seconds.",
    504: "It took longer than a request may.",
}
