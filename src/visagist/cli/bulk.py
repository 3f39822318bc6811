"""`visagist bulk`: millions of photographs in shards, by many processes, to be taken up again at any time."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.attributes import resolve_strengths
from visagist.boundary.schema import json_text
from visagist.cli.console import print_json, print_line, say, show, strengths, takes_options
from visagist.cli.edit import (
    C2PA_CERT,
    C2PA_KEY,
    FACE,
    FORCE,
    NO_FACE,
    SETTINGS,
    SOME_FAILED,
    STRIP_METADATA,
    editor_and_strengths,
)
from visagist.errors import VisagistError, nearest
from visagist.pretrained import defaults
from visagist.runtime.engine import has_torch
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.bulk.cluster import Resources
    from visagist.bulk.editing import BulkConfig
    from visagist.bulk.job import Engine
    from visagist.bulk.ledger import Ledger
    from visagist.bulk.shards import Shard
    from visagist.bulk.watching import Inbox
    from visagist.progress import Progress

SHARD_SIZE, BATCH = 1000, 64
_FAILURES = 10  # that --status names
_DEVICES = re.compile(r"([1-9]\d*)(?::([1-9]\d*))?")


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """What the command line says, each field an argument or option of its own."""

    given: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="IN...",
            help="Tar files, parquet files or pictures: files, folders, patterns, {000..099}, lists, s3://, gs://, az://, https://.",
        ),
    ] = None
    settings: Annotated[list[str] | None, SETTINGS] = None
    out: Annotated[str | None, typer.Option(help="A folder or address for the results.", show_default=False)] = None
    model: Annotated[
        str | None,
        typer.Option(help="A shipped model, folder or hub:owner/name.", show_default="the best for the attribute"),
    ] = None
    to: Annotated[str | None, typer.Option(help="webdataset, parquet or folder.", show_default="as what is given")] = None
    mode: Annotated[
        str | None, typer.Option(help="detail or render.", show_default="detail; render for aligned faces")
    ] = None
    face: Annotated[str, FACE] = "largest"
    force: Annotated[bool, FORCE] = False
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Each picture is one aligned face; none is looked for.")
    ] = False
    failures: Annotated[str, typer.Option(help="keep or drop pictures that cannot be edited.")] = "keep"
    image: Annotated[
        str | None, typer.Option(help="The picture's column, or ending in a tar file.", show_default="the first")
    ] = None
    strip_metadata: Annotated[bool, STRIP_METADATA] = False
    limit: Annotated[int | None, typer.Option(min=1, help="Only the first so many pictures.", show_default=False)] = None
    shard_size: Annotated[
        int, typer.Option(min=1, help="Pictures in a shard, where single pictures are given.")
    ] = SHARD_SIZE
    batch: Annotated[int, typer.Option(min=1, help="Faces that pass the network together.")] = BATCH
    precision: Annotated[
        str, typer.Option(help="auto, fp32 or bf16, of aligned faces; auto is bf16 where it is native and as good.")
    ] = "auto"
    devices: Annotated[
        str | None,
        typer.Option(help="Processes that share the shards; of --ray actors, or LEAST:MOST.", show_default="1; Ray: all"),
    ] = None
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps; cuda is shared out by turns.")] = "auto"
    ray: Annotated[
        str | None,
        typer.Option(help="On a Ray cluster: host:port, ray://host:port, auto, or local, which is meant without a word.",
                     show_default=False),
    ] = None  # fmt: skip
    ray_cpus: Annotated[float, typer.Option(min=0.1, help="CPUs of each actor of --ray.")] = 1.0
    ray_gpus: Annotated[float, typer.Option(min=0.0, help="GPUs of each actor of --ray; may be a share.")] = 0.0
    c2pa_cert: Annotated[Path | None, C2PA_CERT] = None
    c2pa_key: Annotated[Path | None, C2PA_KEY] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Also begin shards anew in which pictures failed or could not be read.")
    ] = False
    watch: Annotated[
        str | None, typer.Option(help="A folder or prefix: edit what is there and what arrives.", show_default=False)
    ] = None
    every: Annotated[float, typer.Option(min=0.1, help="Seconds between two looks of --watch.")] = 5.0
    status: Annotated[
        str | None, typer.Option(help="Say how far the job of this --out is, and what failed.", show_default=False)
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many shards and pictures there are.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False


@takes_options(BulkOptions)
def bulk(options: BulkOptions) -> None:
    """Edit many photographs shard by shard: WebDataset, parquet or folders in, the same out.

    Each picture is edited as `visagist edit` does, and says that it is. The same command again goes on where the last one
    ended, however it ended.

    \b
    Examples:
      visagist bulk "photos-{000000..000099}.tar" --set Smiling=1 --out smiling --devices 8
      visagist bulk "s3://bucket/photos-*.tar" --set Smiling=1 --out s3://bucket/smiling --ray auto
      visagist bulk holiday --set Smiling=0.5 --face all --to webdataset --out edited
      visagist bulk --watch inbox --set Smiling=1 --out outbox
      visagist bulk --status smiling
    """
    if options.status is not None:
        _print_status(options)
        return
    _check(options)
    _edit(options)


def name_local_cluster(arguments: Sequence[str]) -> list[str]:
    """The words of a command line with `local` behind a `--ray` that names no cluster."""
    words = list[str]()
    for word, following in zip(arguments, [*arguments[1:], "-"]):
        words.append(word)
        if word == "--ray" and arguments[:1] == ["bulk"] and not _is_cluster(following):
            words.append("local")
    return words


def _is_cluster(word: str) -> bool:
    return re.fullmatch(r"local|auto|ray://\S+|[\w.-]+:\d+", word) is not None


def _check(options: BulkOptions) -> None:
    """VisagistError for options that do not go together, or say nothing."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise VisagistError("bulk starts its processes itself: in place of torchrun give --devices N or --ray")
    if options.watch is None and not options.given:
        raise VisagistError("nothing to edit: name files, folders, patterns or addresses, or a folder with --watch")
    if options.watch is not None and (options.given or options.limit or options.dry_run):
        raise VisagistError("--watch edits all that lies in its folder: leave IN, --limit and --dry-run out")
    if not options.settings:
        raise VisagistError("no edit is asked for: write --set Attribute=strength, as in --set Smiling=1")
    if options.model is None:
        resolve_strengths(strengths(parse_pairs(options.settings)), list(defaults()), "the shipped models")
    if options.out is None:
        raise VisagistError("nowhere to write to: name a folder or an address with --out")
    match = _DEVICES.fullmatch(options.devices or "1")
    if match is None or (match[2] and int(match[2]) < int(match[1])):
        raise VisagistError(f"--devices {options.devices}: give a number from 1, or with --ray LEAST:MOST, as in 2:16")
    if options.ray is None:
        if match[2]:
            raise VisagistError(f"--devices {options.devices} is for --ray: processes of this machine are a number")
        if options.ray_cpus != 1 or options.ray_gpus:
            raise VisagistError("--ray-cpus and --ray-gpus are for actors of --ray: name a cluster, or write --ray alone")
    else:
        from visagist.bulk.cluster import check_address

        check_address(options.ray)


def _edit(options: BulkOptions) -> None:
    from visagist.bulk.following import Follower
    from visagist.bulk.job import edit_shards
    from visagist.bulk.shards import find_shards
    from visagist.bulk.summary import settings_of
    from visagist.bulk.watching import Inbox, watch
    from visagist.progress import Messages, ProgressBar

    config = _config(options)
    out = _out(options)
    inbox = Inbox(options.watch, options.image, options.shard_size, out) if options.watch is not None else None
    if inbox is None:
        shards = find_shards(options.given or [], options.shard_size, options.image, options.limit, out)
    else:
        shards = _first_arrivals(inbox, options.every)
    config, ledger = _with_output(config, options.to, shards, out)
    if options.dry_run:
        _print_plan(ledger, shards, options.as_json)
        return
    editor, config = _editor(options, config)
    shard_size = options.shard_size if shards[0].kind == "folder" else None
    settings = settings_of(editor, config, image=options.image, limit=options.limit, shard_size=shard_size)
    ledger.open(settings, shards)
    ledger.forget_failures()
    shards = shards if inbox is None else inbox.shards(ledger)
    ledger.verify(shards, Messages())
    if options.retry_failed:
        ledger.forget_faults(shards)
    with ProgressBar("editing", "photos") as progress, _engine(options, editor, config, ledger, progress) as engine:
        if inbox is not None:
            watch(inbox, ledger, lambda fresh: _edit_arrived(engine, fresh, ledger, progress), options.every, lambda: False)
        follower = Follower(ledger, shards, progress)
        edit_shards(engine, shards, ledger, progress, follower)
        follower.end()
    _finish(ledger, shards, settings, options.as_json)


def _first_arrivals(inbox: Inbox, every: float) -> list[Shard]:
    """What lies in an inbox; waited for where nothing does, as it says of which kind all is."""
    shards = inbox.shards(None)
    if not shards:
        say(f"waiting for what arrives in {inbox.folder}")
    while not shards:
        time.sleep(every)
        shards = inbox.shards(None)
    return shards


def _edit_arrived(engine: Engine, shards: Sequence[Shard], ledger: Ledger, progress: Progress) -> None:
    from visagist.bulk.following import Follower
    from visagist.bulk.job import edit_shards

    if not shards:
        return
    follower = Follower(ledger, shards, progress)
    try:
        edit_shards(engine, shards, ledger, progress, follower)
    finally:
        follower.end()
    names = ", ".join(shard.name for shard in shards[:3]) + (" …" if len(shards) > 3 else "")
    progress.message(f"{names}: {follower.pictures:,} pictures")


def _out(options: BulkOptions) -> Path | str:
    """The folder or address of the results."""
    from visagist.bulk.addresses import scheme_of

    assert options.out is not None
    return options.out.rstrip("/") if scheme_of(options.out) else Path(options.out)


def _config(options: BulkOptions) -> BulkConfig:
    """What is requested, checked; its kind of output is not yet known."""
    from visagist.bulk.editing import BulkConfig
    from visagist.editing.modes import MODES, Mode
    from visagist.editing.photo_edit import refuse_conflicts
    from visagist.editing.request import EditRequest
    from visagist.editing.selection.face_choice import read_choice
    from visagist.photos.content_credentials import signing

    requested, mode = strengths(parse_pairs(options.settings or [])), options.mode
    refuse_conflicts(requested)
    for option, value, known in (("--mode", mode, MODES), ("--failures", options.failures, ("keep", "drop"))):
        if value is not None and value not in known:
            raise VisagistError(f"no {option} {value!r}: {nearest(value, known)}")
    request = EditRequest(
        requested, Mode(mode) if mode else None, read_choice(options.face), options.aligned or None,
        strip_metadata=options.strip_metadata, force=options.force, signing=signing(options.c2pa_cert, options.c2pa_key),
    )  # fmt: skip
    return BulkConfig(request, "", options.failures, options.batch)  # type: ignore[arg-type]


def _with_output(
    config: BulkConfig, to: str | None, shards: Sequence[Shard], out: Path | str
) -> tuple[BulkConfig, Ledger]:
    """The configuration with the kind of its output, and the ledger of its folder."""
    from visagist.bulk.ledger import Ledger
    from visagist.bulk.shards import KINDS
    from visagist.bulk.store import open_store
    from visagist.cli.inputs import refuse_file_name

    if to is not None and to not in KINDS:
        raise VisagistError(f"no --to {to!r}: {nearest(to, KINDS)}")
    if isinstance(out, Path):
        refuse_file_name(out)
        if out.is_file():
            raise VisagistError(f"--out {out} is a file: give a folder")
    open_store(out)
    kind = to or shards[0].kind
    return replace(config, to=kind), Ledger(out, kind)


def _editor(options: BulkOptions, config: BulkConfig) -> tuple[Any, BulkConfig]:
    """The model on this process's device, and the configuration with the attributes that plain words mean.

    It is on the CPU where other processes edit.
    """
    from visagist.bulk.workers import choose_precision
    from visagist.editing.photo_edit import refuse_conflicts

    chosen = _pick_device(options.device) if options.ray is None else None
    device = "cpu" if _others_edit(options) else "cuda:0" if str(chosen) == "cuda" else options.device
    editor, named = editor_and_strengths(options.model, config.request.strengths, device)
    refuse_conflicts(named)
    editor.edit([], **dict[str, Any](named))  # refuses what it cannot edit, before any photo is read
    request = replace(config.request, strengths=named)
    return editor, replace(config, request=request, precision=choose_precision(editor, request, options.precision))


def _pick_device(device: str) -> Any:
    """The device of this name; of graphs, which onnxruntime runs without torch, the name itself."""
    if not has_torch():
        return device
    from visagist.training.distributed import pick_device

    return pick_device(device)


def _others_edit(options: BulkOptions) -> bool:
    return options.ray is not None or int(options.devices or 1) > 1


def _engine(
    options: BulkOptions, editor: Any, config: BulkConfig, ledger: Ledger, progress: Progress
) -> AbstractContextManager[Engine]:
    """Where shards are edited: here, in processes of this machine, or on a cluster."""
    from visagist.bulk.cluster import open_cluster
    from visagist.bulk.job import ThisProcess
    from visagist.bulk.workers import Work, open_pool

    work = Work(options.model, options.device, config, ledger)
    if options.ray is not None:
        return open_cluster(work, options.ray, _resources(options), progress.message)
    if _others_edit(options):
        return open_pool(work, int(options.devices or 1))
    return nullcontext(ThisProcess(editor, config, ledger))


def _resources(options: BulkOptions) -> Resources:
    from visagist.bulk.cluster import Resources

    if options.devices is None:
        return Resources(options.ray_cpus, options.ray_gpus)
    least, _, most = options.devices.partition(":")
    return Resources(options.ray_cpus, options.ray_gpus, int(least) if most else 1, int(most or least))


def _print_status(options: BulkOptions) -> None:
    """Print how far a job is; the exit status is that of its end, where it has one."""
    from visagist.bulk.addresses import scheme_of
    from visagist.bulk.following import status_of
    from visagist.bulk.ledger import Ledger

    out = options.status or ""
    status = status_of(Ledger(out.rstrip("/") if scheme_of(out) else Path(out), ""))
    if options.as_json:
        print_json(status)
    else:
        for line in _status_lines(status):
            print_line(line)
    if status["failed_shards"] or status["shards_with_failures"]:
        raise typer.Exit(SOME_FAILED)


def _status_lines(status: Mapping[str, Any]) -> Iterator[str]:
    shards, pictures = status["shards"], status["pictures"]
    outcomes = ", ".join(f"{number:,} {name}" for name, number in pictures.items() if name != "all" and number)
    yield f"{shards['finished']:,} of {shards['all']:,} shards, {pictures['all']:,} pictures: {outcomes or 'none yet'}"
    for run in status["running"]:
        ago = max(0, round(time.time() - run["time"]))
        yield f"at work: {run['process']}, {run['rate']:.1f} pictures/s, {ago} s ago"
    if not status["running"] and shards["left"]:
        yield f"nobody is at work, and {shards['left']:,} shards are left: run the same command again"
    if status["seconds_left"] is not None:
        yield f"{timedelta(seconds=status['seconds_left'])} left"
    for failed in status["failed_shards"]:
        yield f"! {failed['shard']}: {failed['reason'].strip().splitlines()[-1]}"
    for failure in status["failures"][:_FAILURES]:
        yield f"! {failure['shard']}: {failure['key']}: {failure['reason']}"
    for name in status["shards_with_failures"][:_FAILURES]:
        yield f"! {name}: pictures failed or could not be read; --retry-failed begins it anew"


def _print_plan(ledger: Ledger, shards: Sequence[Shard], as_json: bool) -> None:
    from visagist.bulk.samples import DamagedShardError

    pictures, damaged = 0, []
    for shard in shards:
        try:
            pictures += shard.count()
        except DamagedShardError as error:
            damaged.append(str(error))
    left = sum(not finished for finished in ledger.over(ledger.is_finished, shards))
    plan = {"kind": shards[0].kind, "to": ledger.kind, "shards": len(shards), "left": left, "pictures": pictures}
    if as_json:
        print_json({**plan, "damaged": damaged})
        return
    numbers = f"{len(shards):,} shards ({shards[0].kind}), {left:,} of them to do, {pictures:,} pictures"
    print_line(f"{numbers}; as {ledger.kind} to {ledger.out}")
    for line in damaged:
        say(f"! {line}")


def _finish(ledger: Ledger, shards: Sequence[Shard], asked: Mapping[str, Any], as_json: bool) -> None:
    """Write and print the summary, and exit with the status of a batch."""
    from visagist.bulk.ledger import SUMMARY
    from visagist.bulk.summary import count_faults, summarise
    from visagist.files import write_file

    summary = summarise(ledger, shards, asked)
    where, content = ledger.store.where(SUMMARY), json_text(summary, 1)
    if isinstance(ledger.out, Path):
        write_file(Path(where), content)
    else:
        ledger.store.write(SUMMARY, content.encode())
    if as_json:
        print_json(summary)
    else:
        show(_table(summary))
        print_line(where)
    for failed in summary["failed_shards"]:
        say(f"! {failed['shard']}: {failed['reason'].strip().splitlines()[-1]}")
    failures, faceless = count_faults(summary)
    if failures or faceless:
        raise typer.Exit(SOME_FAILED if failures else NO_FACE)


def _table(summary: Mapping[str, Any]) -> Any:
    from rich.table import Table

    table = Table(title=f"{summary['shards']['finished']:,} of {summary['shards']['all']:,} shards", title_justify="left")
    table.add_column("pictures")
    table.add_column("", justify="right")
    for name, number in summary["pictures"].items():
        table.add_row(name, f"{number:,}")
    table.add_row("faces edited", f"{summary['faces']:,}")
    for name in ("pictures_per_second_of_a_process", "pictures_per_second_of_a_core"):
        if summary[name] is not None:
            table.add_row(name.replace("_", " "), f"{summary[name]:,.2f}")
    return table
