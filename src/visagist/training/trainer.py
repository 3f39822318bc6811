"""The training loop: update, validate, save, resume. It knows `Trainable` and no method."""

from __future__ import annotations

import dataclasses
import math
import signal
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from torch import Tensor
from torch.profiler import record_function

from visagist.checkpoints import checkpoint
from visagist.checkpoints.run_folder import LOCK, check_run_folder, recover_run
from visagist.checkpoints.states import (
    TrainingProgress,
    check_progress,
    not_finite,
    pack_state,
    read_state,
    remedy_for,
    restore_state,
)
from visagist.data.faces import Faces
from visagist.data.membership import membership_sketch
from visagist.environment import code_of_training, machine_class
from visagist.errors import VisagistError
from visagist.methods.base import Batch, Trainable
from visagist.networks.convolutional import batch_norms
from visagist.processes import handle_signals
from visagist.progress import Progress
from visagist.training.batch_norm import global_batch_norm, running_statistics
from visagist.training.batches import Batches, resident_device
from visagist.training.config import TrainingConfig, learning_rate_factor
from visagist.training.distributed import World, is_restart, join_world, leave_world
from visagist.training.ema import Average, preserve_state
from visagist.training.log import RunLog
from visagist.training.precision import autocast, resolve_precision
from visagist.training.resume import check_continues
from visagist.training.trackers import open_tracker
from visagist.training.updater import AFTER_NON_FINITE, NonFiniteLoss, Updater
from visagist.training.validation import recompute_statistics, validation_images, validation_means
from visagist.version import __version__

LOG_EVERY_STEPS = 50
ALARM = 14  # SIGALRM, which not every system has
DATA = "visagist data"  # range for a profiler
# After a failure another machine may learn late that the last holder of the lock has ended.
LOCK_SECONDS_AFTER_FAILURE = 60


def step_seed(seed: int, step: int, rank: int) -> int:
    """The random seed of one step: noise is a function of the step, so a resumed run needs no generator state."""
    return ((seed * 1_000_003 + step) * 4_099 + rank) % 2**63


class Interrupted(SystemExit):
    """A run was asked to stop by a signal, saved itself, and exits with 128 + the signal's number."""


class OutOfTime(Interrupted):
    """A run reached the deadline it was given, and saved itself."""


class Trainer:
    """One run of one model on one set of faces."""

    def __init__(
        self,
        trainable: Trainable,
        faces: Faces,
        config: TrainingConfig,
        out: Path,
        *,
        world: World,
        progress: Progress | None = None,
        tracker: str | None = None,
        deadline: float | None = None,
    ) -> None:
        self.tracker, self.deadline = tracker, math.inf if deadline is None else deadline
        self.trainable, self.faces, self.config, self.out, self.world = trainable, faces, config, out, world
        for key in ("images", "batch_size", "accumulate"):
            if getattr(config, key) < 1:
                raise VisagistError(f"{key} is {getattr(config, key)}: a run needs at least 1")
        if config.batch_size % (world.size * config.accumulate):
            raise VisagistError(
                f"batch_size {config.batch_size} cannot be shared by {world.size} processes and "
                f"{config.accumulate} parts: choose a multiple of {world.size * config.accumulate}"
            )
        self.display = progress if progress is not None and world.first else Progress()
        self.progress = TrainingProgress()
        self.layout = torch.channels_last if config.channels_last else torch.contiguous_format
        trainable.to(world.device).to(memory_format=self.layout)  # type: ignore[call-overload]
        world.share(trainable.state_dict().values())
        self.global_norms = batch_norms(trainable) if world.size > 1 and config.sync_batch_norm else []
        self.updater = Updater(trainable, self._autocast, world.average, check_later=world.device.type != "cpu")
        self.base_rates = {n: [g["lr"] for g in o.param_groups] for n, o in self.updater.optimizers.items()}
        self.average = Average(trainable, config.ema_decay) if config.ema_decay else None
        if trainable.paired and config.batch_size // (world.size * config.accumulate) % 2:
            raise VisagistError(f"{trainable.name} trains on pairs: choose a batch_size that 2 divides in every part")
        rows = faces.indices("train")
        resident = resident_device(config.data_on_device, faces, rows, world.device)
        self.batches = Batches(
            faces, rows, config.seed, config.horizontal_flip, paired=trainable.paired, resident_on=resident
        )
        self.seen = membership_sketch(faces, rows)
        self.signal: int | None = None
        self.changed: tuple[str, ...] = ()  # messages about settings that a resumed run changes
        self._last_row: dict[str, float] = {}
        self._twentieth = 0

    def _autocast(self) -> AbstractContextManager[object]:
        return autocast(self.config.precision, self.world.device)

    def resume(self) -> bool:
        """Continue from `last/` if it is there; a checkpoint of another model or other settings is a VisagistError."""
        folder = self.out / "last"
        self.world.wait()
        exists, missing = self.world.agree(float(folder.exists()), float(not folder.exists()))
        if exists and missing:
            raise VisagistError(f"{folder} is not there for every process: keep --out where all machines see it")
        if missing:
            return False
        before, self.changed = check_continues(folder, self.trainable, self.config)
        facts, tensors = read_state(folder)
        progress = TrainingProgress(**facts["progress"])
        check_progress(folder, progress, before, self.config.batch_size)
        restore_state(self.trainable, self.updater.optimizers, facts, tensors)
        if self.average is not None and facts["shadow_updates"] is not None:
            self._restore_average(folder, before, facts["shadow_updates"])
        self.progress = progress
        self.progress.finished = self.progress.finished and self._spent() >= 1
        return True

    def _restore_average(self, folder: Path, description: Mapping[str, Any], updates: int) -> None:
        assert self.average is not None
        weights = checkpoint.read_weights(folder, description)
        shapes = {key: value.shape for key, value in weights.items()}
        if shapes != {key: value.shape for key, value in self.average.shadow.items()}:
            raise VisagistError(
                f"cannot resume from {folder}: its weights are not those of {self.trainable.name}; {remedy_for(folder)}"
            )
        self.average.load(weights, updates)

    def run(self) -> None:
        """Train until the budget is spent; on SIGINT or SIGTERM save and raise Interrupted."""
        if self.progress.finished:
            return
        try:
            with ExitStack() as stack:
                stack.enter_context(handle_signals(self._store_signal, signal.SIGINT, signal.SIGTERM))
                run_log = None
                if self.world.first:
                    self.out.mkdir(parents=True, exist_ok=True)
                    spent, images = self._spent() >= 1, self.progress.images
                    tracker = open_tracker(self.tracker, self.out, self._settings()) if self.tracker else None
                    run_log = RunLog(self.out, images, validates_again=spent, tracker=tracker)
                    stack.callback(run_log.close)
                self._loop(run_log)
        except OSError as error:
            raise VisagistError(f"cannot write {self.out}: {error}; free some space or choose another --out") from error

    def _settings(self) -> dict[str, Any]:
        """What a tracker is told of the run: method, training, and the settings of the method."""
        own = {f"{self.trainable.name}.{key}": value for key, value in dataclasses.asdict(self.trainable.config).items()}
        model = {"method": self.trainable.name, "attributes": list(self.trainable.attributes)}
        return {**model, **dataclasses.asdict(self.config), **own}

    def _loop(self, run_log: RunLog | None) -> None:
        self.trainable.train()
        self.display.stage("training", float(self.config.images), "images")
        started, before = time.monotonic(), self.progress.seconds
        first, saved = self.progress.images, time.monotonic()
        self._twentieth = int(20 * self._spent())
        while self._spent() < 1:
            self.step()
            p, now = self.progress, time.monotonic()
            p.seconds, stop, unsaved = self.world.agree(before + now - started, self._asked_to_stop(now), now - saved)
            if p.step % LOG_EVERY_STEPS == 0:
                self.updater.check_losses()
            if run_log is not None:
                rate = (p.images - first) / max(p.seconds - before, 1e-9)
                done = self.config.images * min(self._spent(), 1.0)
                self.display.report(done)
                self.display.note(self._note())
                if p.step % LOG_EVERY_STEPS == 0 or p.step == 1:
                    self._last_row = {k: float(v) for k, v in self.trainable.pop_log().items()}
                    run_log.log("train", p.images, {**self._last_row, "images_per_second": rate})
            self._validate_when_due(run_log)
            if p.step == 1 or unsaved >= self.config.checkpoint_seconds or stop:
                self.save("last")
                saved = time.monotonic()
            if stop:
                raise (OutOfTime if stop == ALARM else Interrupted)(128 + int(stop))
        self.progress.finished = True
        self._validate(run_log)
        self.save("last")

    def step(self) -> None:
        """One update on the next batch; `run` is this in a loop that watches and saves."""
        config, p, world = self.config, self.progress, self.world
        torch.manual_seed(step_seed(config.seed, p.step, world.rank))
        factor = learning_rate_factor(config, p.images, self._spent())
        for name, optimizer in self.updater.optimizers.items():
            for group, rate in zip(optimizer.param_groups, self.base_rates[name]):
                group["lr"] = rate * factor
        part = config.batch_size // (world.size * config.accumulate)
        self.trainable.images_seen, self.trainable.batch_images = p.images, config.batch_size
        # A part of a batch has the same faces for any number of processes; each takes its share of every part.
        starts = [p.images + (i * world.size + world.rank) * part for i in range(config.accumulate)]
        parts = [self._take(start, part) for start in starts]
        with global_batch_norm(self.global_norms):
            self.updater.step([Batch(b.images.contiguous(memory_format=self.layout), b.labels) for b in parts], p.step)
        p.step += 1
        p.images += config.batch_size
        if self.average is not None:
            self.average.update(self.trainable)

    def _take(self, start: int, count: int) -> Batch:
        with record_function(DATA):
            return self.batches.take(start, count, self.world.device)

    def _spent(self) -> float:
        """Share of the budget that is spent: of the minutes where they are given, else of the images."""
        if self.config.minutes is not None:
            return self.progress.seconds / (60 * self.config.minutes)
        return self.progress.images / self.config.images

    def _note(self) -> str:
        return "  ".join(f"{key} {value:.3g}" for key, value in list(self._last_row.items())[:6])

    def _validate_when_due(self, run_log: RunLog | None) -> None:
        every, seen = self.config.validate_every_images, self.progress.images
        twentieth, self._twentieth = self._twentieth, int(20 * self._spent())
        due = seen // every != (seen - self.config.batch_size) // every if every else self._twentieth != twentieth
        if due and self._spent() < 1:
            self._validate(run_log)
        keep = self.config.keep_every_images
        if keep and seen // keep != (seen - self.config.batch_size) // keep:
            self.save(f"images-{seen:09d}")

    def _validate(self, run_log: RunLog | None) -> None:
        """Score the averaged model on the first validation faces, draw the sheet, keep the best."""
        if not (self.faces.split == 1).any():
            return
        self.updater.check_losses()
        self._share_statistics()
        self.display.describe("validating")
        trainable, config, p = self.trainable, self.config, self.progress
        with self._final_weights(), torch.no_grad():
            trainable.eval()
            if config.settle_faces:
                with self._autocast():
                    recompute_statistics(trainable, self.faces, config.settle_faces, config.seed, self.world)
            values = validation_means(trainable, self.faces, config.validation_faces, self.world)
            if run_log is not None:
                torch.manual_seed(config.seed)
                run_log.sheet(trainable, validation_images(self.faces, 8, self.world.device), p.images)
            weights = {name: value.clone() for name, value in trainable.state_dict().items()}
        trainable.train()
        if run_log is not None:
            run_log.log("val", p.images, values)
        metric = trainable.best_metric
        if metric is None or values[metric] < (math.inf if p.best is None else p.best):
            p.best = None if metric is None else values[metric]
            self.save("best", weights)
        self.display.describe("training")

    def _share_statistics(self) -> None:
        """Average the batch-norm statistics of processes that track their own."""
        if self.world.size > 1 and not self.config.sync_batch_norm:
            names = running_statistics(self.trainable)
            states = [self.trainable.state_dict(), *([self.average.shadow] if self.average else [])]
            self.world.average([state[name] for state in states for name in names])

    def _final_weights(self) -> AbstractContextManager[None]:
        return self.average.swapped_in(self.trainable) if self.average is not None else preserve_state(self.trainable)

    def save(self, name: str, model: Mapping[str, Tensor] | None = None) -> None:
        """Write the model folder `name` of the run from the first process: these weights, or all that resuming needs."""
        self.updater.check_losses()
        if model is None:
            self._share_statistics()
        if not self.world.first:
            return
        kept: Any = None
        if model is None:
            model = self.average.shadow if self.average is not None else self.trainable.state_dict()
            facts, tensors = pack_state(
                self.trainable, self.updater.optimizers, self.average.updates if self.average else None
            )
            kept = ({**facts, "progress": dataclasses.asdict(self.progress)}, tensors)
        key = not_finite(model) or not_finite(self.trainable.state_dict()) or not_finite(kept[1] if kept else {})
        if key is not None:
            raise NonFiniteLoss(
                f"step {self.progress.step}: {key} is no longer finite, so the last checkpoint is kept: {AFTER_NON_FINITE}"
            )
        description = checkpoint.describe(
            self.trainable,
            crop=self.faces.manifest.get("crop"),
            training={
                **dataclasses.asdict(self.config),
                **dataclasses.asdict(self.progress),
                "computed_in": resolve_precision(self.config.precision, self.world.device),
                "machine": machine_class(self.world.device),
            },
            data=self.faces.manifest,
            seen=self.seen,
            borrowed=self.trainable.borrowed(),
            strength=None,
            visagist=__version__,
            code=code_of_training(),
        )
        checkpoint.save_model(self.out / name, description, model, state=kept)

    def _asked_to_stop(self, now: float) -> float:
        """The number of the signal to stop by, that of the alarm after the deadline; 0 to go on."""
        return float(self.signal or (ALARM if now >= self.deadline else 0))

    def _store_signal(self, number: int) -> None:
        self.signal = number


def _lock_run(lock: FileLock, out: Path, world: World) -> None:
    """Lock the run against a second training; the lock ends with the process that holds it."""
    taken = False
    if world.first:
        try:
            out.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_SECONDS_AFTER_FAILURE if is_restart() else 0)
        except Timeout:
            taken = True
        except OSError as error:
            raise VisagistError(f"cannot write {out}: {error}; free some space or choose another --out") from error
    if any(world.agree(float(taken))):
        raise VisagistError(f"{out} is being trained by another process: wait for it, stop it, or choose another --out")


def train_model(
    trainable: Trainable,
    faces: Faces,
    config: TrainingConfig,
    out: Path,
    *,
    resume: bool = False,
    device: str = "auto",
    progress: Progress | None = None,
    tracker: str | None = None,
    deadline: float | None = None,
) -> Path:
    """Train on the `train` split of `faces` into the run folder `out`; returns `out/best`, or `out/last` without one.

    `resume` continues a run exactly where its last checkpoint left it, or says that there is none and starts. Without
    it, a folder that already holds a run is a VisagistError. A finished run is left as it is. `tracker` is wandb or mlflow.
    At `deadline`, a time of `time.monotonic`, the run is saved and OutOfTime raised.
    """
    check_run_folder(out, resume)
    progress = Progress() if progress is None else progress
    world = join_world(device)
    lock = FileLock(out / LOCK)
    try:
        trainer = Trainer(
            trainable, faces, config, out, world=world, progress=progress, tracker=tracker, deadline=deadline
        )
        _lock_run(lock, out, world)
        if world.first:
            recover_run(out)
        if resume:
            resumed = trainer.resume()
            p = trainer.progress
            state = "is finished" if p.finished else "continues"
            progress.message(
                f"{out}: {state} at {p.images:,} images" if resumed else f"{out}: nothing to resume, starting afresh"
            )
            for change in trainer.changed:
                progress.message(f"{out}: {change}")
        else:
            checkpoint.check_fresh(out)  # another training may have begun one since
        trainer.run()
        world.wait()  # a process that exits while the first still saves may abort
    finally:
        lock.release()
        leave_world(world)
    return checkpoint.best_checkpoint(out)
