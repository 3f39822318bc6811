"""Child processes of this package's commands, and the signals that end them."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import FrameType

from visagist.boundary.python_path import child_environment, python_command

GRACE_SECONDS = 10.0

Process = subprocess.Popen[bytes]


def start_python(arguments: Sequence[str], *, processes: int, environment: Mapping[str, str] | None = None) -> Process:
    """Start `python ARGUMENTS` as one of `processes` that share the cores of this machine.

    `environment` is added to that of this process, of which OMP_NUM_THREADS is kept.
    """
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    inherited = child_environment({"OMP_NUM_THREADS": threads, **os.environ, **(environment or {})})
    return subprocess.Popen(python_command(*arguments), env=inherited)


@contextmanager
def handle_signals(handler: Callable[[int], None], *numbers: signal.Signals) -> Iterator[None]:
    """Call `handler` with the number of each of these signals within the context.

    Only the main thread may handle signals; in others this does nothing.
    """

    def handle(number: int, frame: FrameType | None) -> None:
        handler(number)

    with ExitStack() as stack:
        for number in numbers:
            try:
                stack.callback(signal.signal, number, signal.signal(number, handle))
            except ValueError:  # not the main thread
                break
        yield
