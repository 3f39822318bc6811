"""Scalars in a TensorBoard event file, written by the thread that logs them: a failing disk is an OSError there."""

from __future__ import annotations

import itertools
import os
import socket
import time
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

_NUMBERS = itertools.count()


class Board:
    """Writes a new event file into a folder; TensorBoard forgets what earlier files say from step `purge_step` on."""

    def __init__(self, folder: Path, purge_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}.{next(_NUMBERS)}"
        self._file = (folder / name).open("xb")
        self._records = RecordWriter(self._file)
        self._add(Event(file_version="brain.Event:2"))
        self._add(Event(step=purge_step, session_log=SessionLog(status=SessionLog.START)))
        self._file.flush()

    def add_scalars(self, values: dict[str, float], step: int) -> None:
        """Write these values, by tag, of one step to the file."""
        for tag, value in values.items():
            self._add(Event(step=step, summary=scalar(tag, value)))
        self._file.flush()

    def close(self) -> None:
        self._file.close()

    def _add(self, event: Event) -> None:
        event.wall_time = time.time()
        self._records.write(event.SerializeToString())
