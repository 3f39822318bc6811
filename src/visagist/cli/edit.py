"""`visagist edit`: which model, which photographs, and where the results go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import allow_replacing
from visagist.cli.console import print_json, print_line, say, strengths, takes_options, tell_terms_once
from visagist.cli.inputs import check_outputs, model_and_inputs, targets
from visagist.errors import VisagistError
from visagist.photos.formats import VIDEO_SUFFIXES
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.editing.batch import EditedFile, Target
    from visagist.editing.chains.editor_chain import EditorChain
    from visagist.editing.editor import Editor
    from visagist.editing.input_files import Input
    from visagist.editing.request import EditRequest
    from visagist.editing.selection.same_person import PersonCheck
    from visagist.progress import Progress

    AnyEditor = Editor | EditorChain

NO_FACE, SOME_FAILED, WITHOUT_EFFECT = 3, 4, 5  # exit statuses
LEAST_COSINE = 0.45  # of two photographs of one person, to an embedder that is given as ONNX

# Of `visagist bulk` too.
SETTINGS = typer.Option("--set", help="Attribute=strength from -1 to 1; repeatable.")
FACE = typer.Option(help="largest, all, the number of one, from 0 for the largest, or a point on it as x,y.")
FORCE = typer.Option("--force", help="Edit faces too that an edit fails on: in profile, half covered.")
STRIP_METADATA = typer.Option("--strip-metadata", help="Leave out what the photo said before, except its colour profile.")
C2PA_CERT = typer.Option("--c2pa-cert", help="Sign content credentials: certificates, PEM.", show_default=False)
C2PA_KEY = typer.Option("--c2pa-key", help="The key of the first certificate, PEM.", show_default=False)


@dataclass(frozen=True, kw_only=True)
class EditOptions:
    """What the command line says, each field an argument or option of its own."""

    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[MODEL] PHOTO...", help="A model, if not the default one; then files, folders, patterns."),
    ]
    settings: Annotated[list[str], SETTINGS]
    out: Annotated[Path, typer.Option(help="A picture or video (for one input) or a folder.", show_default=False)]
    face: Annotated[str, FACE] = "largest"
    force: Annotated[bool, FORCE] = False
    mode: Annotated[
        str | None,
        typer.Option(
            help="photo: what changes is painted anew. detail: photo plus change. render: the model's pixels.",
            show_default="photo where a refiner knows the attribute, else detail",
        ),
    ] = None
    refiner: Annotated[
        str, typer.Option(help="What paints in the mode photo: a refiner's folder; auto: the shipped one of the model.")
    ] = "auto"
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Each picture is one aligned face; none is looked for. Mode: render.")
    ] = False
    until: Annotated[
        float | None, typer.Option(help="Move each aligned face just until the model reads it so with this probability.")
    ] = None
    strip: Annotated[bool, typer.Option("--strip", help="Beside it NAME-strip: edits from -1 to 1 in a row.")] = False
    grid: Annotated[bool, typer.Option("--grid", help="Beside it NAME-grid: each attribute of the model in a row.")] = False
    residual: Annotated[bool, typer.Option("--residual", help="Beside it NAME-residual: what changed.")] = False
    heat: Annotated[bool, typer.Option("--heat", help="Beside it NAME-heat: how much changed.")] = False
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 5 where an edit is not read from a face.")] = False
    identity: Annotated[
        Path | None, typer.Option(help="Warn of faces that are another person after it: dlib, or an embedder as ONNX.")
    ] = None
    strip_metadata: Annotated[bool, STRIP_METADATA] = False
    recursive: Annotated[bool, typer.Option("--recursive", help="Take folders with all folders in them.")] = False
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Edit anew what a folder of results has; replace the file of --out, --sheet.")
    ] = False
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many photos at a time.")] = 1
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of first faces before and after.", show_default=False)
    ] = None
    c2pa_cert: Annotated[Path | None, C2PA_CERT] = None
    c2pa_key: Annotated[Path | None, C2PA_KEY] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    backend: Annotated[str, typer.Option(help="torch, onnx or auto: the quicker of them on the device.")] = "auto"
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False

    @property
    def one_face(self) -> bool:
        """Whether each picture is one aligned face."""
        return self.aligned or self.until is not None

    @property
    def companions(self) -> list[str]:
        """What is written beside each edited picture."""
        return [kind for kind in ("strip", "grid", "residual", "heat") if getattr(self, kind)]


@dataclass(frozen=True)
class Report:
    """What a run did: for scripts, for a person, and its exit status.

    without_effect  whether an edit at a great strength is not read from a face
    """

    facts: dict[str, Any]
    lines: list[str]
    status: int = field(default=0)
    without_effect: bool = False


@takes_options(EditOptions)
def edit(options: EditOptions) -> None:
    """Edit attributes of the faces in photographs and videos of any size; each comes back whole.

    The first argument is the model if it is a shipped one's name, a run or checkpoint folder, or hub:owner/name;
    otherwise the best shipped model for the attribute is used, and named. Exit status: 0 done, 2 wrong usage or a broken
    file, 3 no face found, 4 some files of a batch failed, 5 with --strict: an edit is not read from a face.

    \b
    Examples:
      visagist edit me.jpg --set Smiling=1 --out smiling.jpg
      visagist edit group.heic --set Eyeglasses=1 --face all --out glasses.heic --strip --residual --heat
      visagist edit holiday --recursive --set Smiling=0.5 --out edited --jobs 2 --sheet sheet.png
      visagist edit clip.mp4 --set Smiling=1 --out smiling.mp4
      visagist edit runs/first faces/*.png --aligned --set Smiling=-1 --out edited
    """
    from visagist.editing.edit_table import TABLE

    name, inputs, named = _check_early(options)
    from visagist.editing.backend import open_ahead
    from visagist.editing.chains.editor_chain import EditorChain
    from visagist.editing.photo_edit import refuse_conflicts

    request = replace(_request(options), strengths=named)
    results, is_folder = targets(inputs, options.out, options.companions, ".png" if options.one_face else None)
    _check_formats(inputs, results, options.sheet)
    folder, table = options.out if is_folder else None, None if options.one_face else TABLE
    replaced = check_outputs(inputs, results, folder, table, options.sheet, options.overwrite)
    editor, named = editor_and_strengths(
        name, request.strengths, options.device, refiner=options.refiner, backend=options.backend
    )
    if options.backend == "auto":
        say(f"computed by {editor.runner}")
    editors = [stage.editor for stage in editor.stages] if isinstance(editor, EditorChain) else [editor]
    open_ahead([part for each in editors for part in (each.backend, each.refiner)])
    request = replace(request, strengths=named)
    editor.edit([], **dict[str, Any](request.strengths))  # refuses what it cannot edit, before any photo is read
    if not options.one_face:
        refuse_conflicts(request.strengths)
    run = _edit_aligned if options.one_face else _edit_batch if is_folder else _edit_one
    with allow_replacing(*replaced):
        report = run(editor, inputs, results, request, options)
    if options.as_json:
        print_json({"model": editor.name, "backend": editor.runner, **report.facts})
    else:
        for line in report.lines:
            print_line(line)
    status = report.status or (WITHOUT_EFFECT if options.strict and report.without_effect else 0)
    if status:
        raise typer.Exit(status)


def _check_early(options: EditOptions) -> tuple[str | None, list[Input], dict[str, float]]:
    """Check all that can be without importing torch, so that a slip is told of at once; the model, files and strengths."""
    from visagist.attributes import refuse_conflicting
    from visagist.editing.selection.face_choice import read_choice
    from visagist.pretrained import defaults, edited_attributes, shipped_folder

    named = strengths(parse_pairs(options.settings))
    read_choice(options.face)
    name, inputs = model_and_inputs(options.arguments, options.recursive, options.out)
    if name is None:
        named = _resolve(named, list(defaults()), "the shipped models")
    elif shipped_folder(name):
        named = _resolve(named, edited_attributes(name), name)
    refuse_conflicting(named)
    if options.strict and options.one_face:
        raise VisagistError("--strict asks what a judge reads, and aligned faces are not read: leave one out")
    if options.mode is not None:
        from visagist.editing.modes import Mode

        Mode(options.mode)
    if options.sheet is not None:
        from visagist.photos.encode import format_of

        format_of(options.sheet.suffix)
    return name, inputs, named


def _resolve(requested: Mapping[str, float], known: Sequence[str], where: str) -> dict[str, float]:
    """Strengths by the attributes that plain words mean; what a word means is said."""
    from visagist.attributes import resolve_strengths

    named = resolve_strengths(requested, known, where)
    for word, (attribute, strength) in zip(requested, named.items()):
        if word != attribute:
            say(f"{word}: {attribute}={strength:g}")
    return named


def _request(options: EditOptions) -> EditRequest:
    """What is requested of each picture, checked."""
    from visagist.editing.modes import Mode
    from visagist.editing.request import EditRequest
    from visagist.editing.selection.face_choice import read_choice
    from visagist.photos.content_credentials import signing

    signer = signing(options.c2pa_cert, options.c2pa_key)
    requested, face = strengths(parse_pairs(options.settings)), read_choice(options.face)
    mode = None if options.mode is None else Mode(options.mode)
    if options.until is not None and (options.residual or options.heat):
        raise VisagistError("--residual and --heat show a change at a given strength, --until finds one: leave one out")
    aligned = True if options.one_face else None
    return EditRequest(
        requested, mode, face, aligned, options.until, options.strip_metadata, options.force, signer,
        person=_person_check(options),
    )  # fmt: skip


def _person_check(options: EditOptions) -> PersonCheck | None:
    """The embedder of --identity, and from where on two faces are two people to it."""
    if options.identity is None:
        return None
    if options.one_face:
        raise VisagistError("--identity looks at faces of photographs: leave it out with --aligned and --until")
    from visagist.cli.options import embedder_of
    from visagist.editing.selection.same_person import PersonCheck
    from visagist.evaluation.extractors.dlib_embedder import SAME_PERSON, DlibEmbedder

    embedder: Any = embedder_of(options.identity, None)
    if isinstance(embedder, DlibEmbedder):
        return PersonCheck(embedder, embedder.name, SAME_PERSON, by_distance=True)
    return PersonCheck(embedder, embedder.name, LEAST_COSINE)


def _edit_one(
    editor: AnyEditor, inputs: Sequence[Input], results: Sequence[Target], request: EditRequest, options: EditOptions
) -> Report:
    """Edit one photograph or video, whose failure is an error."""
    from visagist.editing.batch import edit_one, write_sheet
    from visagist.progress import Messages, ProgressBar

    is_video = inputs[0].path.suffix.lower() in VIDEO_SUFFIXES
    following: AbstractContextManager[Progress] = ProgressBar() if is_video else nullcontext(Messages())
    with following as progress:
        file = edit_one(editor, inputs[0], results[0], request, progress, options.sheet is not None)
    for line in describe(file):
        say(line)
    if options.sheet is not None:
        write_sheet(editor, [file], request, options.sheet)
    return _report(editor, [file], request)


def _edit_batch(
    editor: AnyEditor, inputs: Sequence[Input], results: Sequence[Target], request: EditRequest, options: EditOptions
) -> Report:
    """Edit photographs and videos into a folder; the batch goes on where one fails."""
    from visagist.editing.batch import edit_batch, write_sheet
    from visagist.editing.edit_table import TABLE
    from visagist.editing.request import Outcome
    from visagist.progress import ProgressBar

    with ProgressBar("editing", "photos") as progress:
        files, kept = edit_batch(
            editor, inputs, results, request, folder=options.out, progress=progress, jobs=options.jobs,
            overwrite=options.overwrite, with_pairs=options.sheet is not None,
        )  # fmt: skip
    if options.sheet is not None and not write_sheet(editor, files, request, options.sheet):
        say(f"! no sheet was written, as no photograph was edited in this run: add --overwrite for {options.sheet}")
    counts = {outcome: sum(file.record.outcome is outcome for file in files) for outcome in Outcome}
    parts = [f"{counts[Outcome.EDITED]} edited"]
    faceless, failed = counts[Outcome.NO_FACE], counts[Outcome.FAILED]
    others = {"there already": kept, "without a face": faceless, "failed": failed}
    parts += [f"{number} {what}" for what, number in others.items() if number]
    say(f"{', '.join(parts)}: {options.out / TABLE}")
    status = SOME_FAILED if failed else NO_FACE if faceless else 0
    return _report(editor, files, request, status)


def _report(editor: AnyEditor, files: Sequence[EditedFile], request: EditRequest, status: int = 0) -> Report:
    facts = {"mode": request.mode_for(False, editor), "set": request.strengths, "files": [file.as_json() for file in files]}
    failed = any(file.record.is_without_effect(request.strengths) for file in files)
    return Report(facts, [path for file in files for _, path in file.written], status, failed)


def _edit_aligned(
    editor: AnyEditor, inputs: Sequence[Input], results: Sequence[Target], request: EditRequest, options: EditOptions
) -> Report:
    """Edit pictures that are one aligned face each."""
    from visagist.editing.aligned import BATCH
    from visagist.editing.batch import edit_aligned_files
    from visagist.progress import Messages, ProgressBar

    is_new = not options.out.exists()
    shown: AbstractContextManager[Progress] = ProgressBar() if len(inputs) > BATCH else nullcontext(Messages())
    try:
        with shown as progress:
            files = edit_aligned_files(editor, inputs, results, request, progress)
    except BaseException:
        if is_new and options.out.is_dir() and not any(options.out.iterdir()):
            options.out.rmdir()
        raise
    amounts = [{} if request.until is None else {"amounts": file.record.amounts} for file in files]
    rows = [{"input": file.file, **dict(file.written), **more} for file, more in zip(files, amounts)]
    until = {} if request.until is None else {"until": request.until}
    facts = {"mode": request.mode_for(True, editor), "set": request.strengths, **until, "files": rows}
    return Report(facts, [path for file in files for _, path in file.written])


def _check_formats(inputs: Sequence[Input], results: Sequence[Target], sheet: Path | None) -> None:
    """VisagistError for names of formats that are not written, before any work."""
    from visagist.photos.encode import format_of

    pictures = [result.edited for given, result in zip(inputs, results) if given.path.suffix.lower() not in VIDEO_SUFFIXES]
    for suffix in {path.suffix for path in [*pictures, *([sheet] if sheet else [])]}:
        format_of(suffix)


def editor_and_strengths(
    name: str | None, requested: Mapping[str, float], device: str, quiet: bool = False, refiner: str = "auto",
    backend: str | None = None,
) -> tuple[AnyEditor, dict[str, float]]:
    """The model of this name, or the best shipped ones, and the strengths by the attributes that plain words mean.

    Which models edit what, and what words mean, is printed unless `quiet`.
    """
    from visagist.attributes import resolve_strengths
    from visagist.pretrained import defaults, models_for, zoo

    if name is None:
        named = dict(requested) if quiet else _resolve(requested, list(defaults()), "the shipped models")
        named = resolve_strengths(named, list(defaults()), "the shipped models")
        chosen = models_for(list(named))
        if not quiet:
            say("model: " + (next(iter(chosen)) if len(chosen) == 1 else _describe_chain(chosen)))
            tell_terms_once()
        from visagist.editing.chains.editor_chain import load_best

        editor: AnyEditor = load_best(list(named), device, refiner, backend)
    else:
        from visagist.editing.editor import Editor

        if name in zoo() and not quiet:
            tell_terms_once()
        editor = Editor.from_pretrained(name, device, refiner=refiner, backend=backend)
        if editor.description.get("untrained"):
            say(f"! {editor.name} is untrained: it drew no faces when its training ended")
        named = dict(requested) if quiet else _resolve(requested, editor.attributes, editor.name)
        named = resolve_strengths(named, editor.attributes, editor.name)
    return editor, named


def _describe_chain(chosen: Mapping[str, Sequence[str]]) -> str:
    return ", then ".join(f"{name} for {', '.join(attributes)}" for name, attributes in chosen.items())


def describe(file: EditedFile) -> list[str]:
    """Lines for a person about one photograph."""
    record, lines = file.record, []
    for name, before in record.before.items():
        pairs = zip(before, record.after.get(name, []))
        scores = ", ".join(f"{100 * a:.0f} % → {100 * b:.0f} %" for a, b in pairs)
        lines.append(f"{name}: {scores} by {record.by}")
    if record.others:
        others = "other face was" if record.others == 1 else "other faces were"
        lines.append(f"{record.others} {others} left alone: --face all edits every one")
    return lines + [f"! {warning}" for warning in record.warnings]
