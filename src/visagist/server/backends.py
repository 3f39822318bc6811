"""Models as a server runs them: many requests in one pass of the network, and codes kept while a slider moves."""

from __future__ import annotations

import copy
import hashlib
import queue
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from visagist.editing.backend import TorchBackend
from visagist.editing.editor import Editor
from visagist.latent.backend import Setting

REMEMBERED = 64  # faces, whose codes take kilobytes each


@dataclass(frozen=True)
class _Call:
    images: Tensor
    settings: Sequence[Setting | None]
    result: Future[list[Tensor]] = field(default_factory=Future)

    @property
    def form(self) -> tuple[bool, ...]:
        return tuple(setting is None for setting in self.settings)


class _SharedBackend(TorchBackend):
    """A backend over the same networks as another one."""

    def __init__(self, inner: TorchBackend) -> None:
        self.trained_method, self.method, self._device = inner.trained_method, inner.method, inner.device


class BatchingBackend(_SharedBackend):
    """Edits that threads ask for within `window` seconds pass the network together, at most about `size` faces at a time."""

    def __init__(self, inner: TorchBackend, window: float, size: int) -> None:
        super().__init__(inner)
        self.window, self.size = window, size
        self.batches = self.faces = 0
        self._calls: queue.SimpleQueue[_Call] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=f"visagist-batches-{inner.name}", daemon=True).start()

    def edit(self, images: Tensor, settings: Sequence[Setting | None]) -> list[Tensor]:
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
            with torch.inference_mode():
                images = torch.cat([call.images for call in calls]).contiguous(memory_format=torch.channels_last)
                results = super().edit(images, _joined([call.settings for call in calls]))
        except Exception as error:
            for call in calls:
                call.result.set_exception(error)
            return
        self.batches, self.faces = self.batches + 1, self.faces + len(images)
        sizes = [len(call.images) for call in calls]
        for call, *parts in zip(calls, *(result.split(sizes) for result in results)):
            call.result.set_result(parts)


def _joined(settings: Sequence[Sequence[Setting | None]]) -> list[Setting | None]:
    """The settings of several calls of one form, row after row."""
    whole: list[Setting | None] = []
    for column in zip(*settings):
        given = [setting for setting in column if setting is not None]
        whole.append((torch.cat([t for t, _ in given]), torch.cat([a for _, a in given])) if given else None)
    return whole


class RememberingBackend(_SharedBackend):
    """Edits of a face that was edited before begin at its code; its reconstruction is kept too."""

    def __init__(self, inner: TorchBackend) -> None:
        super().__init__(inner)
        self._known: OrderedDict[bytes, tuple[Any, Tensor | None]] = OrderedDict()
        self._lock = threading.Lock()

    def edit(self, images: Tensor, settings: Sequence[Setting | None]) -> list[Tensor]:
        key = hashlib.sha256(images.cpu().contiguous().numpy().tobytes()).digest()
        with self._lock:
            prepared, rebuilt = self._known.pop(key, (None, None))
        prepared = self.method.prepare(images) if prepared is None else prepared
        if rebuilt is None and any(setting is None for setting in settings):
            rebuilt = self.method.reconstruct_prepared(prepared)
        with self._lock:
            self._known[key] = prepared, rebuilt
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
        edits: list[Tensor] = []
        for setting in settings:
            if setting is not None:
                edits.append(self.method.edit_prepared(prepared, *setting))
            elif rebuilt is not None:
                edits.append(rebuilt)
        return edits


def batching(editor: Editor, window: float, size: int) -> Editor:
    """The editor, whose edits share passes of its network with those of other threads."""
    inner = editor.backend
    return _over(editor, BatchingBackend(inner, window, size)) if type(inner) is TorchBackend else editor


def remembering(editor: Editor) -> Editor:
    """The editor, which keeps the codes of the faces that it edited last."""
    inner = editor.backend
    return _over(editor, RememberingBackend(inner)) if type(inner) is TorchBackend else editor


def _over(editor: Editor, backend: TorchBackend) -> Editor:
    other = copy.copy(editor)
    other.backend = backend
    return other
