"""Options that several commands share, and how the commands that measure end."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.untrusted import JSON_BYTES, read_text
from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.errors import VisagistError, nearest
from visagist.progress import ProgressLike

if TYPE_CHECKING:
    from visagist.evaluation import Metrics
    from visagist.evaluation.extractors.onnx import Embedder
    from visagist.evaluation.session import EvaluationSettings

_SPLITS = ("train", "val", "test", "all")
READ_FROM_PATHS = ("celeba", "folder", "parquet", "lfw", "celeba-hq", "celebamask-hq", "ffhq", "cifar10", "pack")


def check_model(name: str | None) -> str | None:
    """A model's name, refused at once where there is none: before the command imports torch."""
    from visagist.pretrained import HUB, find_model

    if name is not None and not name.startswith(HUB):
        find_model(name)
    return name


def check_models(names: list[str] | None) -> list[str] | None:
    """Models' names, each as `check_model`; one with `{seed}` in it stands for several."""
    for name in names or ():
        if "{" not in name:
            check_model(name)
    return names


def check_judge(name: str) -> str:
    """A judge's name, refused at once where there is none."""
    from visagist.pretrained import HUB, find_model

    if not name.startswith(HUB):
        find_model(name, "judge")
    return name


def check_split(name: str) -> str:
    """A split, refused at once where it is none."""
    if name not in _SPLITS:
        raise VisagistError(f"no split {name!r}: it is one of {', '.join(_SPLITS)}")
    return name


def check_limit(limit: int | None) -> int | None:
    """A number of faces, refused at once where it is none."""
    if limit is not None and limit < 1:
        raise VisagistError(f"figures need at least 1 face, got limit={limit}")
    return limit


def check_pictures(paths: list[Path] | Path | None) -> list[Path] | Path | None:
    """Pictures, of which one that is not there is refused at once."""
    from visagist.boundary.untrusted import refuse_addresses

    for path in [paths] if isinstance(paths, Path) else paths or ():
        if not path.expanduser().exists():
            refuse_addresses(str(path))
            raise VisagistError(f"there is no picture {path}: check the path")
    return paths


def check_data(source: str | None) -> str | None:
    """A source of faces, refused at once where its kind or its path is not known."""
    kind, _, where = (source or "").partition(":")
    is_there = kind in READ_FROM_PATHS and where and Path(where).expanduser().exists()
    if source is not None and kind != "synthetic" and not is_there:
        from visagist.data.sources import check_source

        check_source(source)
    return source


DEFINING = ("methods", "recipes", "training", "pipelines", "judges", "faces", "refining", "reproduction")
_WORD = re.compile(r"[A-Za-z0-9.]+")
TRAINABLE_NAMES = Path(__file__).with_name("trainable_names.json")  # tests/cli/test_early_slips.py writes it


def check_method(name: str) -> str:
    """A method's name, refused at once where it is none, unless there may be methods elsewhere."""
    known = _trainable_names()["settings"]
    if name not in known and not os.environ.get("VISAGIST_METHODS") and not _may_be_new(name):
        raise VisagistError(f"no method {name!r}: {nearest(name, known)}")
    return name


def check_methods(names: list[str] | None) -> list[str] | None:
    """Methods' names, each as `check_method`."""
    for name in names or ():
        check_method(name)
    return names


def check_recipe(name: str | None) -> str | None:
    """A recipe's name, refused at once where it is none."""
    known = _trainable_names()["recipes"]
    if name is not None and name not in known and not _may_be_new(name):
        raise VisagistError(f"no recipe {name!r}: {nearest(name, known)}")
    return name


def check_reproduction(name: str | None) -> str | None:
    """What is to be reproduced, refused at once where it cannot be."""
    known = _trainable_names()["reproductions"]
    if name is not None and name not in known and not _may_be_new(name):
        raise VisagistError(f"no reproduction {name!r}: {nearest(name, known)}")
    return name


def check_settings(method: str, settings: Iterable[str]) -> None:
    """VisagistError for a setting that a method of ours does not have."""
    known = _trainable_names()["settings"].get(method)
    for key in settings:
        name = key.rpartition(".")[2]
        if known is not None and name not in known and not _may_be_new(name):
            raise VisagistError(f"no setting {key!r}: {nearest(name, known)}")


def _trainable_names() -> Any:
    return json.loads(TRAINABLE_NAMES.read_text())


def _may_be_new(name: str) -> bool:
    """Whether each part of a name stands in the sources that define names: then it may be newer than the file of them."""
    package = TRAINABLE_NAMES.parents[1]
    sources = [path for part in DEFINING for path in sorted((package / part).rglob("*.py"))]
    words = set(_WORD.findall("\n".join(path.read_text(encoding="utf-8") for path in sources)))
    words |= {word.lower() for word in words if word.istitle()}  # of attributes, as recipes are called by them
    return all(part in words for part in re.split(r"[/_-]", name))


SETTINGS_TABLE = "set"  # of a file of options: what --set says
_BARE, _NUMBER = re.compile(r"[A-Za-z0-9_-]+"), re.compile(r"-?(0|[1-9]\d*)(\.\d+)?")


def read_config(path: Path) -> dict[str, Any]:
    """What a TOML file says of options, by their names without the dashes; VisagistError for what is none."""
    try:
        return tomllib.loads(read_text(path.expanduser(), JSON_BYTES))
    except FileNotFoundError as error:
        raise VisagistError(f"there is no file {path}: check --config") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VisagistError(f"{path} is no TOML: {error}") from error


def take_config(context: typer.Context, path: Path | None) -> Path | None:
    """Let a TOML file say what the command line leaves out; of an eager option."""
    if path is None:
        return None
    said = {key.replace("-", "_"): value for key, value in read_config(path).items()}
    table = said.pop(SETTINGS_TABLE, {})
    if not isinstance(table, dict) or any(isinstance(value, (dict, list)) for value in table.values()):
        raise VisagistError(f"{path}: [{SETTINGS_TABLE}] is a table of settings, as in width = 32")
    known = {option.name for option in context.command.params} - {"config", "save_config", "settings", "help", "resume"}
    for key, value in said.items():
        if key not in known:
            raise VisagistError(f"{path}: no option {key!r}: {nearest(key, map(str, known))}")
        if isinstance(value, dict):
            raise VisagistError(f"{path}: {key} is a table; settings stand in [{SETTINGS_TABLE}]")
    texts = {key: ",".join(map(str, value)) if isinstance(value, list) else value for key, value in said.items()}
    context.default_map = {**(context.default_map or {}), **texts}
    return path


def config_settings(path: Path | None) -> dict[str, str]:
    """The settings of a file that `take_config` has taken, as text."""
    table = {} if path is None else read_config(path).get(SETTINGS_TABLE, {})
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in table.items()}


def format_config(said: Mapping[str, Any], settings: Mapping[str, str]) -> str:
    """Options and settings as `take_config` reads them: words, numbers and truths; what is None is left out."""
    lines = [f"{key.replace('_', '-')} = {_toml_value(value)}" for key, value in said.items() if value is not None]
    keys = {key: key if _BARE.fullmatch(key) else _toml_value(key) for key in settings}
    table = [f"{keys[key]} = {_toml_value(value)}" for key, value in settings.items()]
    return "\n".join([*lines, *([f"\n[{SETTINGS_TABLE}]", *table] if table else [])]) + "\n"


def _toml_value(value: Any) -> str:
    if isinstance(value, (bool, int, float)) or _NUMBER.fullmatch(str(value)):
        return str(value).lower()
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


MODEL = typer.Argument(
    help="A shipped model, a run or checkpoint folder, or hub:owner/name.", show_default=False, callback=check_model
)
DATA = typer.Option(help="KIND:PATH, as celeba:PATH.", show_default=False, callback=check_data)
CROP = typer.Option(help="A named crop; the model's own for celeba, else the source's.")
DEVICE = typer.Option(help="auto, cpu, cuda, cuda:N or mps.")

ALIGN = typer.Option("--align", help="Of folder:PATH: find the faces of ordinary photographs and align them.")
AS_IS = typer.Option("--as-is", help="Take the pictures as they are, wherever their faces lie.")

Model = Annotated[str, MODEL]
Data = Annotated[str, DATA]
Out = Annotated[Path, typer.Option(help="The folder of the report.", show_default=False)]
Limit = Annotated[int | None, typer.Option(help="At most so many faces, drawn by the seed.", callback=check_limit)]
Crop = Annotated[str | None, CROP]
Device = Annotated[str, DEVICE]


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What every command that measures is told, each field an option of the command line."""

    data: Data
    out: Out
    split: Annotated[str, typer.Option(help="train, val, test or all.", callback=check_split)] = "test"
    limit: Limit = None
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0
    crop: Crop = None
    device: Device = "auto"
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON file.")] = False

    def settings(self) -> EvaluationSettings:
        """The settings of the session: every field of theirs that the command has."""
        from visagist.evaluation.session import EvaluationSettings

        names = {field.name for field in fields(EvaluationSettings)}
        return EvaluationSettings(**{name: value for name, value in vars(self).items() if name in names})

    def print_result(
        self, metrics: Metrics, report: str, show_tables: Callable[[Metrics], None], brief: bool = False
    ) -> None:
        """What was measured as JSON, or as tables with notes, what is missing, and the path of the report.

        `brief` only counts what is missing.
        """
        if self.as_json:
            print_json(metrics.to_json())
            return
        show_tables(metrics)
        for note in metrics.manifest.get("notes", ()):
            if note not in metrics.manifest.get("terms", ()):
                say(f"note: {note}")
        if brief and metrics.not_computed:
            say(f"{len(metrics.not_computed)} figures or families are not computed; the page and metrics.json say why")
        for key, why in () if brief else metrics.not_computed.items():
            say(f"not computed: {key}: {why}")
        print_line(self.out / report)


@dataclass(frozen=True, kw_only=True)
class IndependentOptions(MeasureOptions):
    """And of a command that refuses faces which the model has seen."""

    allow_dependent: Annotated[
        bool,
        typer.Option("--allow-dependent", help="Measure what is not judged independently; the report says so on top."),
    ] = False


@dataclass(frozen=True, kw_only=True)
class JudgedOptions(IndependentOptions):
    """And of a command whose edits a judge reads."""

    judge: Annotated[str, typer.Option(help="A shipped judge, or a judge's folder.", callback=check_judge)] = "judge-64"
    identity: Annotated[Path | None, typer.Option(help="For identity.*: a face embedder as ONNX, or dlib.")] = None
    identity_box: Annotated[
        str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")
    ] = None

    def settings(self) -> EvaluationSettings:
        """The same, with the embedder that --identity and --identity-box name."""
        return replace(super().settings(), identity=embedder_of(self.identity, self.identity_box))


@dataclass(frozen=True, kw_only=True)
class FeatureOptions(JudgedOptions):
    """And of a command that measures distances between sets of faces."""

    features: Annotated[
        str | None, typer.Option(help="For FID, KID, IS: inception:FILE.pth; else squeezenet11:FILE.h5 or FILE.onnx.")
    ] = None
    judges: Annotated[
        str | None, typer.Option(help="Judges of other kinds beside it, as face-api:FOLDER,geometry: the lowest counts.")
    ] = None
    perceptual: Annotated[
        str | None, typer.Option(help="LPIPS of reconstructions: lpips-alex:BACKBONE.pth,alex.pth; or lpips-vgg:….")
    ] = None

    def settings(self) -> EvaluationSettings:
        """The same, with the names of the judges taken apart."""
        return replace(super().settings(), judges=split_names(self.judges, "--judges") or ())


def aligned_data(data: str, align: bool, progress: ProgressLike = True) -> str:
    """The source that --data names, with --align that of its aligned faces."""
    if not align:
        return data
    from visagist.pipelines.align import align_source

    return align_source(data, progress)


def embedder_of(path: Path | None, box: str | None) -> Embedder | None:
    """The embedder that --identity and --identity-box name, if any."""
    from visagist.evaluation import OnnxEmbedder
    from visagist.evaluation.extractors.dlib_embedder import DLIB, DlibEmbedder

    if str(path) == DLIB:
        if box is not None:
            raise VisagistError("--identity-box is for embedders as ONNX: leave it out, dlib aligns faces by itself")
        return DlibEmbedder()

    if path is None:
        if box is not None:
            raise VisagistError("--identity-box says what an embedder sees: give --identity FILE.onnx too")
        return None
    if box is None:
        return OnnxEmbedder(path)
    try:
        left, top, right, bottom = (float(part) for part in box.split(","))
    except ValueError as error:
        raise VisagistError(f"--identity-box is {box!r}: write left,top,right,bottom, as 0.1,0.14,0.9,0.94") from error
    return OnnxEmbedder(path, box=(left, top, right, bottom))


def interval_cell(measure: Any, form: str = ".3f", scale: float = 1, unit: str = "") -> str:
    """A figure with its interval, `0.912 [0.903, 0.921]`, or a dash where there is none."""
    if measure is None:
        return "–"
    low, value, high = (format(scale * measure[part], form) for part in ("low", "value", "high"))
    return f"{value}{unit} [{low}, {high}]"


def show_figures(
    metrics: Metrics,
    heads: Sequence[str],
    columns: Sequence[tuple[str, str]],
    rows: Iterable[tuple[Sequence[str], str]],
    title: str | None = None,
    cell: Callable[[Any], str] = interval_cell,
) -> None:
    """A table of figures; `columns` are title and key, `rows` as many labels as `heads` and the key that these continue."""
    from rich.table import Table

    table = Table(*heads, *(name for name, _ in columns), title=title)
    for labels, prefix in rows:
        table.add_row(*labels, *(cell(metrics.values.get(f"{prefix}.{key}")) for _, key in columns))
    show(table)
