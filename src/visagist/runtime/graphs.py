"""Graphs that `visagist export` wrote, opened and run by onnxruntime."""

from __future__ import annotations

import hashlib
import importlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from visagist.boundary.untrusted import WEIGHT_BYTES, read_regular
from visagist.errors import VisagistError, first_line
from visagist.runtime.arrays import Floats
from visagist.runtime.engine import INSTALL, processor_threads

DAMAGED = "the file is damaged, export the model again"


def load_onnxruntime() -> Any:
    """The module onnxruntime, which then sends nothing anywhere; VisagistError that says how to install it.

    From version 1.32 on it reports its use to its maker, from when it is imported, unless the environment says otherwise.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise VisagistError(f"onnxruntime is not installed: {INSTALL}") from error
    runtime.disable_telemetry_events()
    return runtime


class Graph:
    """One network: `run` takes arrays by the names in `inputs` and returns those in `outputs`, in order.

    VisagistError where the file is not the one with this SHA-256, or is none that onnxruntime can run.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        runtime = load_onnxruntime()
        try:
            if sha256 is not None and hashlib.sha256(read_regular(path, WEIGHT_BYTES)).hexdigest() != sha256:
                raise VisagistError(f"{path} does not match its SHA-256: {DAMAGED}")
            self._session = runtime.InferenceSession(str(path), _options(runtime), providers=["CPUExecutionProvider"])
        except OSError as error:
            raise VisagistError(f"cannot read {path}: {error.strerror or error}; {DAMAGED}") from error
        except VisagistError:
            raise
        except Exception as error:  # onnxruntime's own classes of errors share no base but this
            raise VisagistError(f"onnxruntime cannot run {path}: {first_line(error)}; {DAMAGED}") from error
        self.inputs = tuple(value.name for value in self._session.get_inputs())
        self.outputs = tuple(value.name for value in self._session.get_outputs())

    def run(self, feeds: Mapping[str, Floats]) -> list[Floats]:
        """All outputs for these inputs, of which the network takes those that it has."""
        taken = {name: np.ascontiguousarray(feeds[name], np.float32) for name in self.inputs}
        results: Sequence[Floats] = self._session.run(None, taken)
        return list(results)


def _options(runtime: Any) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = processor_threads(), 1
    options.log_severity_level = 3  # errors alone: what it warns of, such as a folded cast, is nobody's to mend
    # Threads that spin as they wait take the processor from torch and from other sessions: an edit took twice as long.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
