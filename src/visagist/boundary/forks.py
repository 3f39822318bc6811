"""Refuse torch in forked processes: a fork has none of torch's threads and would wait for them for ever."""

from __future__ import annotations

import os

import torch

from visagist.errors import VisagistError

_process: int | None = None  # that first used torch here, or in the process that this one was forked from


def check_fork() -> None:
    """VisagistError in a process that was forked from one that had used torch, where it would hang; call it before torch.

    One thread waits for no other: with `torch.set_num_threads(1)` a forked process may go on.
    """
    global _process
    here = os.getpid()
    _process = _process or here
    if _process != here and torch.get_num_threads() > 1:
        raise VisagistError(
            f"process {here} was forked from {_process}, which had used torch, and would hang: start it with "
            "multiprocessing's spawn or forkserver, fork before the first model is opened, or call "
            "torch.set_num_threads(1) in it first"
        )
