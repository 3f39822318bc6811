"""What was asked for and what came of it, for `summary.json` and for who reads it."""

from __future__ import annotations

import hashlib
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import PIL
import torch

from visagist import judges
from visagist.boundary.schema import json_text
from visagist.bulk.job import EDITED, NO_FACE, OUTCOMES, BulkConfig
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import Shard
from visagist.checkpoints import checkpoint
from visagist.faces.landmarks import LANDMARK_MODEL
from visagist.pretrained import shipped_folder
from visagist.version import __version__

if TYPE_CHECKING:
    from visagist.editing.editor import Editor



def settings_of(editor: Editor, config: BulkConfig, **more: Any) -> dict[str, Any]:
    """All that the output depends on beside its input: two runs with the same make the same of a shard."""
    strength = json_text(editor.description.get("strength"), sort_keys=True).encode()
    named = {"attributes": dict(config.strengths), "mode": config.mode, "face": config.face, "aligned": config.aligned,
             "failures": config.failures, "strip_metadata": config.strip_metadata, "to": config.to, **more}  # fmt: skip
    signer = config.signing and hashlib.sha256(config.signing.certificates.encode()).hexdigest()
    return {
        **named,
        "model": editor.name,
        "weights": {"model": editor.description.get("weights_sha256"), **_shipped()},
        "strength_sha256": hashlib.sha256(strength).hexdigest(),
        "certificates_sha256": signer,
        "visagist": __version__,
    }


def _shipped() -> dict[str, str]:
    """The weights of what finds faces and of what reads them."""
    folders = {name: shipped_folder(name) for name in (judges.CALIBRATING_JUDGE, LANDMARK_MODEL)}
    return {name: str(checkpoint.read_description(folder)["weights_sha256"]) for name, folder in folders.items() if folder}


def summarise(ledger: Ledger, shards: Sequence[Shard], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What became of these shards, by all runs and processes that worked on them."""
    reasons = {shard.name: ledger.failed(shard) for shard in shards}
    told = [one for shard in shards if reasons[shard.name] is None and (one := ledger.told(shard)) is not None]
    outcomes = sum((Counter(one["outcomes"]) for one in told), Counter[str]())
    failed = [{"shard": name, "reason": reason} for name, reason in reasons.items() if reason is not None]
    seconds, worked = (sum(one[name] for one in told) for name in ("seconds", "cpu_seconds"))
    number = outcomes.total()
    return {
        "shards": {"all": len(shards), "finished": len(told), "left": len(shards) - len(told) - len(failed)},
        "failed_shards": failed,
        "pictures": {"all": number, **{name: outcomes[name] for name in OUTCOMES}},
        "faces": sum(one["faces"] for one in told),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(worked, 3),
        "pictures_per_second_of_a_process": round(number / seconds, 3) if seconds else None,
        "pictures_per_second_of_a_core": round(number / worked, 3) if worked else None,
        "processes": _by_process(told),
        "settings": dict(settings),
        "versions": {"visagist": __version__, "torch": torch.__version__, "pillow": PIL.__version__,
                     "python": platform.python_version()},
    }  # fmt: skip


def _by_process(told: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for one in told:
        sums = found.setdefault(one["process"], {"shards": 0, "pictures": 0, "seconds": 0.0})
        for name, value in (("shards", 1), ("pictures", one["pictures"]), ("seconds", one["seconds"])):
            sums[name] = round(sums[name] + value, 3)
    return found


def faults(summary: Mapping[str, Any]) -> tuple[int, int]:
    """How many pictures and shards failed, and how many pictures show no face."""
    pictures = summary["pictures"]
    others = pictures["all"] - pictures[EDITED] - pictures[NO_FACE]
    return others + len(summary["failed_shards"]) + summary["shards"]["left"], pictures[NO_FACE]
