"""The models that a server serves, each loaded once: many requests in one pass, and codes kept while a slider moves."""

from __future__ import annotations

import copy
import hashlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from visagist import pretrained
from visagist.editing.backend import TorchBackend
from visagist.editing.editor import Editor
from visagist.editing.modes import MODES
from visagist.errors import VisagistError, nearest
from visagist.latent.backend import Backend, Setting, method_name
from visagist.latent.onnx_backend import OnnxBackend
from visagist.refining.onnx_refiner import OnnxRefiner
from visagist.runtime.arrays import is_tensor, to_floats
from visagist.runtime.engine import has_torch

REMEMBERED = 64  # faces, whose codes take kilobytes each


@dataclass(frozen=True)
class _Call:
    images: Any
    settings: Sequence[Setting | None]
    result: Future[list[Any]] = field(default_factory=Future)

    @property
    def form(self) -> tuple[bool, ...]:
        return tuple(setting is None for setting in self.settings)


class PreparedBackend(Protocol):
    """A backend whose edits of some images share what `prepare` makes of them."""

    @property
    def name(self) -> str: ...
    def prepare(self, images: Any) -> Any: ...
    def edit_prepared(self, prepared: Any, settings: Sequence[Setting | None]) -> list[Any]: ...
    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]: ...
    def without_gradients(self) -> AbstractContextManager[object]: ...


class _Batches:
    """Edits that threads ask for within `window` seconds pass the network together, at most about `size` faces at a time."""

    def __init__(self, inner: PreparedBackend, window: float, size: int) -> None:
        self.inner, self.window, self.size = inner, window, size
        self.batches = self.faces = 0
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=f"visagist-batches-{inner.name}", daemon=True).start()

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        call = _Call(images, settings)
        self._calls.put(call)
        return call.result.result()

    def _serve(self) -> None:
        while True:
            calls = self._gather(self._calls.get())
            for form in dict.fromkeys(call.form for call in calls):
                self._run([call for call in calls if call.form == form])

    def _gather(self, first: _Call) -> list[_Call]:
        calls, rows, end = [first], len(first.images), time.monotonic() + self.window
        while rows < self.size:
            try:
                calls.append(self._calls.get(timeout=max(end - time.monotonic(), 0)))
            except queue.Empty:
                break
            rows += len(calls[-1].images)
        return calls

    def _run(self, calls: Sequence[_Call]) -> None:
        try:
            with self.inner.without_gradients():
                images = _concatenated([call.images for call in calls])
                results = self.inner.edit(images, _joined([call.settings for call in calls]))
        except Exception as error:
            for call in calls:
                call.result.set_exception(error)
            return
        self.batches, self.faces = self.batches + 1, self.faces + len(images)
        starts = np.cumsum([0, *(len(call.images) for call in calls)])
        for call, start, end in zip(calls, starts, starts[1:]):
            call.result.set_result([result[start:end] for result in results])


def _joined(settings: Sequence[Sequence[Setting | None]]) -> list[Setting | None]:
    """The settings of several calls of one form, row after row."""
    whole: list[Setting | None] = []
    for column in zip(*settings):
        given = [setting for setting in column if setting is not None]
        whole.append((_concatenated([t for t, _ in given]), _concatenated([a for _, a in given])) if given else None)
    return whole


def _concatenated(parts: Sequence[Any]) -> Any:
    """Arrays or tensors row after row; images of torch as its networks read them quickest."""
    if not is_tensor(parts[0]):
        return np.concatenate(parts)
    import torch

    whole = torch.cat(list(parts))
    return whole.contiguous(memory_format=torch.channels_last) if whole.ndim == 4 else whole


class _Memory:
    """Edits of a face that was edited before begin at its code; its reconstruction is kept too."""

    def __init__(self, inner: PreparedBackend) -> None:
        self.inner = inner
        self._known: OrderedDict[bytes, tuple[Any, Any]] = OrderedDict()
        self._lock = threading.Lock()

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        key = hashlib.sha256(to_floats(images).tobytes()).digest()
        with self._lock:
            prepared, rebuilt = self._known.pop(key, (None, None))
        prepared = self.inner.prepare(images) if prepared is None else prepared
        if rebuilt is None and any(setting is None for setting in settings):
            (rebuilt,) = self.inner.edit_prepared(prepared, [None])
        with self._lock:
            self._known[key] = prepared, rebuilt
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        asked = [setting for setting in settings if setting is not None]
        edited = iter(self.inner.edit_prepared(prepared, asked) if asked else [])
        return [rebuilt if setting is None else next(edited) for setting in settings]


class BatchingBackend(TorchBackend):
    """A torch method whose edits pass it together."""

    def __init__(self, inner: TorchBackend, window: float, size: int) -> None:
        self.trained_method, self.method, self._device = inner.trained_method, inner.method, inner.device
        self.shared = _Batches(inner, window, size)

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        return self.shared.edit(images, settings)


class RememberingBackend(TorchBackend):
    """A torch method that keeps the codes of the last faces."""

    def __init__(self, inner: TorchBackend) -> None:
        self.trained_method, self.method, self._device = inner.trained_method, inner.method, inner.device
        self.shared = _Memory(inner)

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        return self.shared.edit(images, settings)


class SharedGraphs(OnnxBackend):
    """Graphs that requests share: their edits pass together, or begin at codes that are kept."""

    def __init__(self, inner: OnnxBackend, shared: _Batches | _Memory) -> None:
        vars(self).update(vars(inner))
        self.shared = shared

    def edit(self, images: Any, settings: Sequence[Setting | None]) -> list[Any]:
        return self.shared.edit(images, settings)


def batching(editor: Editor, window: float, size: int) -> Editor:
    """The editor, whose edits share passes of its network with those of other threads."""
    inner = editor.backend
    if type(inner) is TorchBackend:
        return _over(editor, BatchingBackend(inner, window, size))
    return _over(editor, SharedGraphs(inner, _Batches(inner, window, size))) if type(inner) is OnnxBackend else editor


def remembering(editor: Editor) -> Editor:
    """The editor, which keeps the codes of the faces that it edited last."""
    inner = editor.backend
    if type(inner) is TorchBackend:
        return _over(editor, RememberingBackend(inner))
    return _over(editor, SharedGraphs(inner, _Memory(inner))) if type(inner) is OnnxBackend else editor


def _over(editor: Editor, backend: Backend) -> Editor:
    other = copy.copy(editor)
    other.backend = backend
    return other


class ServedModel:
    """A model over one set of weights: `editor` shares passes between requests, `live` keeps the codes of the last faces.

    Graphs paint no new faces: where torch is installed, it loads the model beside them when somebody first wants some.
    """

    def __init__(self, source: str, loaded: Editor, window: float, size: int, device: str) -> None:
        self.editor, self.live = batching(loaded, window, size), remembering(loaded)
        self._source, self._device, self._loading = source, device, threading.Lock()
        self._generator = loaded if loaded.can("generate") or "generate" not in _capabilities(loaded) else None

    @property
    def capabilities(self) -> frozenset[str]:
        """What it can do, by whichever library."""
        return _capabilities(self.editor)

    @property
    def generator(self) -> Editor:
        """The model as it paints new faces."""
        with self._loading:
            if self._generator is None:
                self._generator = Editor.from_pretrained(self._source, self._device, refiner=None, backend="torch")
            return self._generator


def _capabilities(editor: Editor) -> frozenset[str]:
    """What a model can do by its graphs, and where torch is installed by that."""
    backend = editor.backend
    if isinstance(backend, OnnxBackend) and has_torch():
        return backend.capabilities | frozenset(backend.graphs.export.capabilities)
    return backend.capabilities


class Models:
    """The served models by name; all shipped ones unless some are named. VisagistError for one that cannot be loaded."""

    def __init__(
        self, names: Sequence[str], *, window: float, size: int, device: str, backend: str = "auto"
    ) -> None:
        self._served: dict[str, ServedModel] = {}
        for name in names or pretrained.zoo():
            editor = Editor.from_pretrained(name, device, backend=backend)
            if editor.name in self._served:
                raise VisagistError(f"two models are called {editor.name}: rename the folder of one")
            if not editor.can("edit"):
                raise VisagistError(f"{name} cannot edit, and a server edits: leave it out")
            for part in (editor.backend, editor.refiner):
                if isinstance(part, (OnnxBackend, OnnxRefiner)):
                    part.graphs.open_all()
            self._served[editor.name] = ServedModel(name, editor, window, size, device)
        self._best = {name: model for name, model in pretrained.defaults().items() if model in self._served}

    def __getitem__(self, name: str) -> ServedModel:
        if name not in self._served:
            raise VisagistError(f"no model {name!r} is served: {nearest(name, self._served)}")
        return self._served[name]

    @property
    def sides(self) -> frozenset[int]:
        """The sides in pixels of the faces that the models see."""
        return frozenset(model.editor.image_size for model in self._served.values())

    def choose(self, name: str | None, attributes: Sequence[str]) -> ServedModel:
        """The model of this name or, without one, the best of those served that edits these attributes."""
        if name is not None:
            return self[name]
        favourites = [self._best[attribute] for attribute in attributes if attribute in self._best]
        for candidate in dict.fromkeys([*favourites, *self._served]):
            if set(attributes) <= set(self._served[candidate].editor.attributes):
                return self._served[candidate]
        known = sorted({attribute for model in self._served.values() for attribute in model.editor.attributes})
        unknown = next((attribute for attribute in attributes if attribute not in known), None)
        if unknown is not None:
            raise VisagistError(f"no served model edits {unknown!r}: {nearest(unknown, known)}")
        raise VisagistError(f"no served model edits {', '.join(attributes)} at once: edit one after the other")

    def describe(self) -> dict[str, Any]:
        """What a client is told of the models, and which of them edits an attribute best."""
        shipped = set(pretrained.zoo())
        models = [
            {
                "name": name, "method": method_name(model.editor), "attributes": list(model.editor.attributes),
                "image_size": model.editor.image_size, "can": sorted(model.capabilities),
                "shipped": name in shipped, "refines": [a for a in model.editor.attributes if model.editor.refines([a])],
                "falls_short": sorted(
                    attribute + sign
                    for attribute, by_sign in model.editor.strength_maps.items()
                    for sign, strength_map in ((direction[0], m) for direction, m in by_sign.items())
                    if strength_map.reached is False
                ),
            }
            for name, model in self._served.items()
        ]  # fmt: skip
        best = dict(self._best)
        for name, model in self._served.items():
            for attribute in model.editor.attributes:
                best.setdefault(attribute, name)
        return {"models": models, "best": best, "modes": [{"name": m.value, "keeps_pixels": m.keeps_pixels} for m in MODES]}
