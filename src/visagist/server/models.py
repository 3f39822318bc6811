"""The models that a server serves, each loaded once, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from visagist import pretrained
from visagist.editing.editor import Editor
from visagist.editing.modes import MODES
from visagist.errors import VisagistError, nearest
from visagist.latent.backend import method_name
from visagist.server.backends import batching, remembering


@dataclass(frozen=True)
class ServedModel:
    """A model over one set of weights: `editor` shares passes between requests, `live` keeps the codes of the last faces."""

    editor: Editor
    live: Editor


class Models:
    """The served models by name; all shipped ones unless some are named. VisagistError for one that cannot be loaded."""

    def __init__(
        self, names: Sequence[str], *, window: float, size: int, device: str, backend: str | None = None
    ) -> None:
        self._served: dict[str, ServedModel] = {}
        for name in names or pretrained.zoo():
            editor = Editor.from_pretrained(name, device, backend=backend)
            if editor.name in self._served:
                raise VisagistError(f"two models are called {editor.name}: rename the folder of one")
            if not editor.can("edit"):
                raise VisagistError(f"{name} cannot edit, and a server edits: leave it out")
            self._served[editor.name] = ServedModel(batching(editor, window, size), remembering(editor))
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
                "image_size": model.editor.image_size, "can": sorted(model.editor.backend.capabilities),
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
