"""Runs of bulk editing in this process, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edited_toys import painter
from portraits import photograph
from shards import decoded, encoded, face

from visagist.bulk.editing import BulkConfig
from visagist.bulk.job import ThisProcess, edit_shards
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import find_shards
from visagist.bulk.summary import settings_of, summarise
from visagist.editing.editor import Editor
from visagist.editing.modes import Mode
from visagist.editing.request import EditRequest
from visagist.photos.photo import read_photo
from visagist.photos.provenance import read_xmp
from visagist.progress import Progress

PNG, NOBODY, BROKEN = encoded(face(1)), encoded(photograph((200, 150))), b"no picture"


def run(given: Path | list[Path], out: Path, editor: Editor | None = None, **wanted: Any) -> dict[str, Any]:
    """The summary of a run over these shards, as the command does it."""
    editor = editor or painter()
    options = {name: wanted.pop(name) for name in ("shard_size", "image", "limit") if name in wanted}
    shards = find_shards([str(one) for one in (given if isinstance(given, list) else [given])], **options)
    own = {name: wanted.pop(name) for name in ("to", "failures", "batch") if name in wanted}
    if "mode" in wanted:
        wanted["mode"] = Mode(wanted["mode"])
    config = BulkConfig(EditRequest(**{"strengths": {"Smiling": 1.0}, **wanted}), **{"to": shards[0].kind, **own})
    ledger = Ledger(out, config.to)
    settings = settings_of(editor, config, **options)
    ledger.open(settings, shards)
    ledger.forget_failures()
    ledger.verify(shards, Progress())
    edit_shards(ThisProcess(editor, config, ledger), shards, ledger, Progress())
    return summarise(ledger, shards, settings)


def edited(picture: bytes) -> bool:
    """Whether the painter has painted its red at full strength, and the file says so."""
    said = read_xmp(read_photo(picture).metadata.xmp)
    return bool((decoded(picture)[..., 0] == 255).all() and said.steps and said.steps[-1].settings == "Smiling=1")
