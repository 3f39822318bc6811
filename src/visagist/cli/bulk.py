"""`visagist bulk`: millions of photographs in shards, by many processes, to be taken up again at any time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.bulk.job import BulkConfig
    from visagist.bulk.ledger import Ledger
    from visagist.bulk.shards import Shard

SHARD_SIZE, BATCH = 1000, 64


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """What the command line says, each field an argument or option of its own."""

    given: Annotated[
        list[str],
        typer.Argument(
            metavar="IN...", help="Tar files, parquet files or pictures: files, folders, patterns, {000..099}, lists."
        ),
    ]
    settings: Annotated[list[str], SETTINGS]
    out: Annotated[Path, typer.Option(help="A folder for the shards of results.", show_default=False)]
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
    batch: Annotated[int, typer.Option(min=1, help="Aligned faces that pass the network together.")] = BATCH
    devices: Annotated[int, typer.Option(min=1, help="Processes to share the shards.")] = 1
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps; cuda is shared out by turns.")] = "auto"
    c2pa_cert: Annotated[Path | None, C2PA_CERT] = None
    c2pa_key: Annotated[Path | None, C2PA_KEY] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many shards and pictures there are.")] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False


@takes_options(BulkOptions)
def bulk(options: BulkOptions) -> None:
    """Edit many photographs shard by shard: WebDataset, parquet or folders in, the same out.

    Each picture is edited as `visagist edit` does, and says that it is. The same command again goes on where the last one
    ended, however it ended. Any number of processes, on any machines that see the folder, may run it at once.

    \b
    Examples:
      visagist bulk "photos-{000000..000099}.tar" --set Smiling=1 --out smiling
      visagist bulk faces.parquet --set Eyeglasses=1 --aligned --out glasses --devices 8
      visagist bulk holiday --set Smiling=0.5 --face all --to webdataset --out edited
    """
    from visagist.bulk.shards import find_shards
    from visagist.bulk.summary import settings_of
    from visagist.progress import Messages

    config = _config(options)
    shards = find_shards(options.given, options.shard_size, options.image, options.limit, options.out)
    config, ledger = _with_output(config, options.to, shards, options.out)
    if options.dry_run:
        _print_plan(ledger, shards, options.as_json)
        return
    rank, joined = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")) > 1
    devices = 1 if joined else options.devices
    editor, config = _editor(options.model, config, options.device, starts_others=devices > 1, quiet=rank > 0)
    shard_size = options.shard_size if shards[0].kind == "folder" else None
    settings = settings_of(editor, config, image=options.image, limit=options.limit, shard_size=shard_size)
    ledger.open(settings, shards)
    if rank == 0:
        ledger.forget_failures()
        ledger.verify(shards, Messages())
    _work(editor, shards, config, ledger, devices, show_bar=rank == 0)
    if rank == 0:
        _finish(ledger, shards, settings, options.as_json)


def _config(options: BulkOptions) -> BulkConfig:
    """What is requested, checked; its kind of output is not yet known."""
    from visagist.bulk.job import BulkConfig
    from visagist.editing.modes import MODES, Mode
    from visagist.editing.photo_edit import refuse_conflicts
    from visagist.editing.request import EditRequest
    from visagist.editing.selection.face_choice import read_choice
    from visagist.photos.content_credentials import signing

    requested, mode = strengths(parse_pairs(options.settings)), options.mode
    refuse_conflicts(requested)
    for option, value, known in (("--mode", mode, MODES), ("--failures", options.failures, ("keep", "drop"))):
        if value is not None and value not in known:
            raise VisagistError(f"no {option} {value!r}: {nearest(value, known)}")
    request = EditRequest(
        requested, Mode(mode) if mode else None, read_choice(options.face), options.aligned or None,
        strip_metadata=options.strip_metadata, force=options.force, signing=signing(options.c2pa_cert, options.c2pa_key),
    )  # fmt: skip
    return BulkConfig(request, "", options.failures, options.batch)  # type: ignore[arg-type]


def _with_output(config: BulkConfig, to: str | None, shards: Sequence[Shard], out: Path) -> tuple[BulkConfig, Ledger]:
    """The configuration with the kind of its output, and the ledger of its folder."""
    from visagist.bulk.ledger import Ledger
    from visagist.bulk.shards import KINDS
    from visagist.cli.inputs import refuse_file_name

    if to is not None and to not in KINDS:
        raise VisagistError(f"no --to {to!r}: {nearest(to, KINDS)}")
    refuse_file_name(out)
    if out.is_file():
        raise VisagistError(f"--out {out} is a file: give a folder")
    kind = to or shards[0].kind
    return replace(config, to=kind), Ledger(out, kind)


def _editor(name: str | None, config: BulkConfig, device: str, starts_others: bool, quiet: bool) -> tuple[Any, BulkConfig]:
    """The model on this process's device, and the configuration with the attributes that plain words mean.

    It is on the CPU of a process that edits nothing; CUDA devices are dealt out by turns.
    """
    from visagist.editing.photo_edit import refuse_conflicts
    from visagist.training.distributed import pick_device

    chosen = pick_device(device)
    if starts_others:
        device = "cpu"
    elif chosen.type == "cuda" and chosen.index is None:
        import torch

        device = f"cuda:{int(os.environ.get('LOCAL_RANK', '0')) % torch.cuda.device_count()}"
    editor, named = editor_and_strengths(name, config.request.strengths, device, quiet=quiet)
    refuse_conflicts(named)
    editor.edit([], **dict[str, Any](named))  # refuses what it cannot edit, before any photo is read
    return editor, replace(config, request=replace(config.request, strengths=named))


def _work(editor: Any, shards: Sequence[Shard], config: BulkConfig, ledger: Ledger, devices: int, show_bar: bool) -> None:
    """Edit here, or start processes and wait for them."""
    from visagist.bulk.job import edit_shards
    from visagist.bulk.workers import run_processes, watch
    from visagist.progress import Messages, ProgressBar

    if not show_bar:
        edit_shards(editor, shards, config, ledger, Messages())
        return
    with ProgressBar("editing", "photos") as progress, watch(ledger, shards, progress):
        if devices > 1:
            run_processes(devices, ledger, shards, progress)
        else:
            edit_shards(editor, shards, config, ledger, progress)


def _print_plan(ledger: Ledger, shards: Sequence[Shard], as_json: bool) -> None:
    from visagist.bulk.samples import DamagedShardError

    pictures, damaged = 0, []
    for shard in shards:
        try:
            pictures += shard.count()
        except DamagedShardError as error:
            damaged.append(str(error))
    left = sum(not ledger.is_finished(shard) for shard in shards)
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
    write_file(ledger.out / SUMMARY, json_text(summary, 1))
    if as_json:
        print_json(summary)
    else:
        show(_table(summary))
        print_line(ledger.out / SUMMARY)
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
