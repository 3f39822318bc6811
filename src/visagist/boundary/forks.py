"""Refuse networks in forked processes: a fork has none of the threads of torch or onnxruntime and would wait for ever."""

from __future__ import annotations

import os

from visagist.boundary.loaded import loaded_module
from visagist.errors import VisagistError

_process: int | None = None  # that first used torch here, or in the process that this one was forked from


def check_fork() -> None:
    """VisagistError in a process that was forked from one that had used torch, where it would hang; call it before torch.

    So too where onnxruntime takes torch's place. One thread waits for no other: with `torch.set_num_threads(1)` a forked
    process may go on.
    """
    global _process
    here = os.getpid()
    _process = _process or here
    torch = loaded_module("torch")
    threads = torch.get_num_threads() if torch is not None else os.cpu_count() or 1
    if _process != here and threads > 1:
        raise VisagistError(
            f"process {here} was forked from {_process}, which had used torch, and would hang: start it with "
            "multiprocessing's spawn or forkserver, fork before the first model is opened, or call "
            "torch.set_num_threads(1) in it first"
        )
