"""The settings and the outcome of a bulk job, for `summary.json`."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import PIL

from visagist import judges
from visagist.boundary.schema import json_text
from visagist.bulk.editing import BulkConfig
from visagist.bulk.ledger import Ledger
from visagist.bulk.shards import Shard
from visagist.checkpoints.folders import read_description
from visagist.editing.request import Outcome
from visagist.faces.landmarks import LANDMARK_MODEL
from visagist.pretrained import shipped_folder
from visagist.version import __version__

if TYPE_CHECKING:
    from visagist.editing.editor import Editor



def settings_of(editor: Editor, config: BulkConfig, **more: Any) -> dict[str, Any]:
    """All that the output depends on beside its input: runs with equal settings write equal shards."""
    strength = json_text(editor.description.get("strength"), sort_keys=True).encode()
    request = config.request
    named = {
        "attributes": dict(request.strengths), "mode": request.mode, "face": request.face, "aligned": bool(request.aligned),
        "failures": config.failures, "strip_metadata": request.strip_metadata, "to": config.to,
        **({"force": True} if request.force else {}),
        **({"precision": config.precision} if config.precision != "fp32" else {}), **more,
    }  # fmt: skip
    signer = request.signing and hashlib.sha256(request.signing.certificates.encode()).hexdigest()
    return {
        **named,
        "model": editor.name,
        "weights": {"model": editor.description.get("weights_sha256"), **_shipped()},
        "strength_sha256": hashlib.sha256(strength).hexdigest(),
        "certificates_sha256": signer,
        **({} if editor.runner == "torch" else {"backend": editor.runner}),
        "visagist": __version__,
    }


def _shipped() -> dict[str, str]:
    """The weights of what finds faces and of what reads them."""
    folders = {name: shipped_folder(name) for name in (judges.CALIBRATING_JUDGE, LANDMARK_MODEL)}
    return {name: str(read_description(folder)["weights_sha256"]) for name, folder in folders.items() if folder}


def summarise(ledger: Ledger, shards: Sequence[Shard], settings: Mapping[str, Any]) -> dict[str, Any]:
    """What became of these shards, by all runs and processes that worked on them."""
    reasons = dict(zip((shard.name for shard in shards), ledger.over(ledger.failure, shards), strict=True))
    known = ledger.over(ledger.account, [shard for shard in shards if reasons[shard.name] is None])
    accounts = [account for account in known if account is not None]
    outcomes = sum((Counter(account["outcomes"]) for account in accounts), Counter[str]())
    failed = [{"shard": name, "reason": reason} for name, reason in reasons.items() if reason is not None]
    seconds, cpu_seconds = (sum(account[name] for account in accounts) for name in ("seconds", "cpu_seconds"))
    number = outcomes.total()
    return {
        "shards": {"all": len(shards), "finished": len(accounts), "left": len(shards) - len(accounts) - len(failed)},
        "failed_shards": failed,
        "pictures": {"all": number, **{name.value: outcomes[name] for name in Outcome}},
        "faces": sum(account["faces"] for account in accounts),
        "seconds": round(seconds, 3),
        "cpu_seconds": round(cpu_seconds, 3),
        "pictures_per_second_of_a_process": round(number / seconds, 3) if seconds else None,
        "pictures_per_second_of_a_core": round(number / cpu_seconds, 3) if cpu_seconds else None,
        "processes": _by_process(accounts),
        "settings": dict(settings),
        "versions": {"visagist": __version__, **_network_library(), "pillow": PIL.__version__,
                     "python": platform.python_version()},
    }  # fmt: skip


def _network_library() -> dict[str, str]:
    """What ran the networks, with its version."""
    name = "torch" if "torch" in sys.modules else "onnxruntime"
    return {name: sys.modules[name].__version__ if name in sys.modules else importlib.metadata.version(name)}


def _by_process(accounts: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    sums_by_process: dict[str, dict[str, float]] = {}
    for account in accounts:
        sums = sums_by_process.setdefault(account["process"], {"shards": 0, "pictures": 0, "seconds": 0.0})
        for name, value in (("shards", 1), ("pictures", account["pictures"]), ("seconds", account["seconds"])):
            sums[name] = round(sums[name] + value, 3)
    return sums_by_process


def count_faults(summary: Mapping[str, Any]) -> tuple[int, int]:
    """How many pictures and shards failed, and how many pictures show no face."""
    pictures = summary["pictures"]
    others = pictures["all"] - pictures[Outcome.EDITED] - pictures[Outcome.NO_FACE]
    return others + len(summary["failed_shards"]) + summary["shards"]["left"], pictures[Outcome.NO_FACE]
