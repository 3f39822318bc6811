"""Torch modules as ONNX graphs whose weights lie in a safetensors file beside them.

A graph refers to `model.safetensors` by offsets, as ONNX's external data. So several graphs share one file of weights, the
one that torch reads, and a graph has some ten kilobytes. Halves are cast to float32 when the graph is opened.
"""

from __future__ import annotations

import io
import json
import logging
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.exporting.modules import Part

if TYPE_CHECKING:
    import onnx

OPSET = 17
MOST_INLINE = 256  # numbers of a constant that may stay in the graph where the weights lie beside it
_IR_VERSION = 10  # the newest that onnxruntime 1.18 reads
_DTYPES: dict[str, type[np.floating]] = {"F16": np.float16, "F32": np.float32}


def require_exporter() -> None:
    """VisagistError where what writes graphs is not installed."""
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise VisagistError("onnx is not installed, which writes graphs: pip install visagist[onnx]") from error


def trace(part: Part) -> onnx.ModelProto:
    """The graph of a part, with its weights in it; the free dimensions of its inputs may have any size.

    Batch norms stay as they are, so that all weights are those of the model.
    """
    require_exporter()
    import onnx

    names = {axis: "batch" if axis == 0 else f"side_{axis}" for axis in part.dynamic}
    free = {name: names for name in part.input_names} | {name: {0: "batch"} for name in part.output_names}
    written = io.BytesIO()
    with _silence(), torch.no_grad():
        torch.onnx.export(
            part.module.eval(), part.inputs, cast(Any, written), dynamo=False, opset_version=OPSET, dynamic_axes=free,
            input_names=list(part.input_names), output_names=list(part.output_names),
            training=torch.onnx.TrainingMode.PRESERVE, do_constant_folding=False,
        )  # fmt: skip
    model = onnx.load_from_string(written.getvalue())
    model.ir_version = min(model.ir_version, _IR_VERSION)
    _strip(model)
    return model


@contextmanager
def _silence() -> Iterator[None]:
    """Leave out that torch's tracing exporter is to be retired, and what it warns of in tracing: graphs are checked."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)


def _strip(model: onnx.ModelProto) -> None:
    """Leave out where in the source each node comes from, and shapes of what lies between."""
    del model.graph.value_info[:]
    model.doc_string = model.graph.doc_string = ""
    for node in model.graph.node:
        node.doc_string = node.name = ""
    for tensor in model.graph.initializer:
        tensor.doc_string = ""


@dataclass(frozen=True)
class Stored:
    """Where a tensor lies in a safetensors file."""

    offset: int
    length: int
    dtype: str


class WeightFile:
    """The tensors of a safetensors file by their values in float32."""

    def __init__(self, path: Path) -> None:
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        self.name = path.name
        self._places: dict[tuple[tuple[int, ...], bytes], Stored] = {}
        for name, entry in json.loads(data[8 : 8 + length]).items():
            if name == "__metadata__" or entry["dtype"] not in _DTYPES:
                continue
            low, high = (8 + length + offset for offset in entry["data_offsets"])
            values = np.frombuffer(data[low:high], _DTYPES[entry["dtype"]]).astype(np.float32)
            self._places[tuple(entry["shape"]), values.tobytes()] = Stored(low, high - low, entry["dtype"])

    def find(self, values: NDArray[np.float32]) -> Stored | None:
        """Where an array with these values lies; None where none does."""
        return self._places.get((values.shape, np.ascontiguousarray(values).tobytes()))


def link(model: onnx.ModelProto, weights: WeightFile) -> onnx.ModelProto:
    """The graph with its weights left where they are in the file.

    Small constants that are not in it stay in the graph.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT:
            continue
        stored = weights.find(numpy_helper.to_array(tensor))
        if stored is None:
            continue
        _point(tensor, weights.name, stored)
        if stored.dtype == "F16":
            name, half = tensor.name, f"{tensor.name}.half"
            tensor.name, tensor.data_type = half, TensorProto.FLOAT16
            casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    return model


def _point(tensor: Any, name: str, stored: Stored) -> None:
    from onnx import TensorProto

    tensor.ClearField("raw_data")
    tensor.ClearField("float_data")
    tensor.data_location = TensorProto.EXTERNAL
    del tensor.external_data[:]
    for key, value in (("location", name), ("offset", stored.offset), ("length", stored.length)):
        tensor.external_data.add(key=key, value=str(value))


def halve(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph with its weights in it as halves, each cast to float32 when it is opened."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != TensorProto.FLOAT or values.size <= MOST_INLINE:
            continue
        name, half = tensor.name, f"{tensor.name}.half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*casts, *nodes])
    return model
