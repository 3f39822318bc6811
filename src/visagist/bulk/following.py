"""How far a job is: for a bar while it runs and, written down now and then, for whoever asks from elsewhere."""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from visagist.bulk.addresses import StorageError
from visagist.bulk.job import Attempt, End
from visagist.bulk.ledger import SETTINGS, Ledger, process_name
from visagist.bulk.shards import Shard
from visagist.editing.request import Outcome
from visagist.errors import VisagistError
from visagist.progress import Progress

NOTE_SECONDS = 5.0
LIVE_SECONDS = 60.0  # a run that has said nothing for longer is taken as ended
_NUMBER = (int, float)
_PLAN: dict[str, Any] = {"shards": list}
_NOW: dict[str, Any] = {"pictures": int, "process": str, "time": _NUMBER, "rate": _NUMBER, "ended": bool}


class Follower:
    """Follows the run of a job."""

    def __init__(self, ledger: Ledger, shards: Sequence[Shard], progress: Progress) -> None:
        """`shards` are all of the job, those that are finished among them."""
        self.ledger, self.progress, self.shards = ledger, progress, len(shards)
        names = sorted(shard.name for shard in shards)
        self.run = hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()[:16]
        accounts = [account for account in ledger.over(ledger.account, shards) if account is not None]
        self.finished, self.pictures = len(accounts), sum(account["pictures"] for account in accounts)
        self.under_way = Counter[str]()
        self.started, self.first, self.noted = time.monotonic(), self.pictures, 0.0
        ledger.note("plans", self.run, {"shards": names})
        self._show()

    def report(self, shard: str, pictures: int) -> None:
        """So many pictures of a shard are done."""
        self.under_way[shard] = pictures
        self._show()

    def ended(self, shard: Shard, result: Attempt) -> None:
        """An attempt at a shard has ended."""
        self.under_way.pop(shard.name, None)
        if result.end is End.FINISHED:
            self.finished += 1
            self.pictures += result.account["pictures"]
        self._show()

    def end(self) -> None:
        """The run has ended."""
        self._note(True)

    def _show(self) -> None:
        done = self.pictures + self.under_way.total()
        self.progress.report(done, round(self.shards * self.pictures / self.finished) if self.finished else None)
        if time.monotonic() - self.noted > NOTE_SECONDS:
            self._note(False)

    def _note(self, ended: bool) -> None:
        self.noted = time.monotonic()
        done = self.pictures + self.under_way.total()
        seconds = max(self.noted - self.started, 1e-3)
        account = {
            "pictures": self.under_way.total(), "process": process_name(), "time": time.time(),
            "rate": round((done - self.first) / seconds, 3), "ended": ended,
        }  # fmt: skip
        try:
            self.ledger.note("now", self.run, account)
        except StorageError as error:  # the next note comes soon
            self.progress.message(f"! {error}")


def status_of(ledger: Ledger) -> dict[str, Any]:
    """How far the jobs of a folder of results are, what failed and why. VisagistError where none was begun."""
    if ledger.store.facts(SETTINGS) is None:
        raise VisagistError(f"{ledger.out} holds no results of a bulk job: give the --out of one")
    planned = {name for plan in ledger.noted("plans", _PLAN) for name in plan["shards"]}
    accounts = {account["shard"]: account for account in ledger.finished()}
    failed = ledger.noted("failed", {"shard": str, "reason": str})
    runs = ledger.noted("now", _NOW)
    live = [run for run in runs if not run["ended"] and time.time() - run["time"] < LIVE_SECONDS]
    outcomes = sum((Counter(account["outcomes"]) for account in accounts.values()), Counter[str]())
    left = planned - accounts.keys() - {account["shard"] for account in failed}
    pictures, rate = outcomes.total(), sum(run["rate"] for run in live)
    to_do = round(len(left) * pictures / len(accounts)) if accounts else None
    return {
        "shards": {"all": len(planned | accounts.keys()), "finished": len(accounts), "left": len(left)},
        "failed_shards": [{"shard": account["shard"], "reason": account["reason"]} for account in failed],
        "pictures": {"all": pictures, **{name.value: outcomes[name] for name in Outcome}},
        "shards_with_failures": sorted(
            name for name, account in accounts.items() if any(account["outcomes"].get(o) for o in ("failed", "unreadable"))
        ),
        "failures": [{"shard": name, **failure} for name, account in accounts.items() for failure in _failures(account)],
        "under_way": sum(run["pictures"] for run in live),
        "running": [{name: run[name] for name in ("process", "time", "rate")} for run in live],
        "pictures_per_second": rate if live else None,
        "seconds_left": round(to_do / rate) if live and rate and to_do is not None else None,
    }


def _failures(account: Mapping[str, Any]) -> list[dict[str, str]]:
    """The first pictures of a shard that failed, with the reasons; accounts of earlier versions name none."""
    named = account.get("failures")
    return named if isinstance(named, list) else []
