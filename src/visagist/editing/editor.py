"""The public face of visagist: `Editor.from_pretrained("ifcvae-gan-smiling-64").edit(faces, Smiling=-1)`."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from visagist import pretrained
from visagist.attributes import resolve_strengths
from visagist.boundary.forks import check_fork
from visagist.boundary.untrusted import JSON_BYTES, read_regular
from visagist.checkpoints.folders import read_description
from visagist.editing.backend import describe_backend, load_backend, pick_refiner
from visagist.editing.inputs import Item, Photo, batches_of, map_arrays, settings_of_all, take_apart
from visagist.editing.modes import Mode
from visagist.editing.selection.each_face import edit_each
from visagist.editing.strength import StrengthMap, read_strength
from visagist.errors import VisagistError
from visagist.faces.unaligned import CHECKED, refuse_unaligned
from visagist.latent.backend import Backend, Setting, describe_capabilities, torch_method, trained_method
from visagist.photos.edited_picture import mark_edited
from visagist.photos.provenance import Step, make_edit_step, make_step
from visagist.pixels import check_finite, to_pixels
from visagist.progress import ProgressLike
from visagist.runtime.arrays import Floats, is_tensor, like, to_floats
from visagist.runtime.engine import choose_backend, default_backend

if TYPE_CHECKING:
    from torch import Tensor

    from visagist.editing.photo_edit import EditResult
    from visagist.latent.conditional_sampling import SamplingConfig
    from visagist.latent.generation import Samples
    from visagist.methods.base import Method
    from visagist.refining.onnx_refiner import OnnxRefiner
    from visagist.refining.refiner import Refiner

DEPRECATED = "Editor.{} is deprecated: use Editor.can and Editor.backend, or Editor.backend.{} of a torch method"
Picture = str | Path | bytes | Image.Image  # what comes out as a PIL image
Pixels = TypeVar("Pixels", NDArray[Any], "Tensor", list[Any])  # what comes out as it went in; a list of paths as pictures
Strength = float | Sequence[float] | NDArray[np.floating]  # of all faces, or of each
ArraySetting = tuple[NDArray[np.float32], NDArray[np.float32]]  # classes and amounts, [A] or [N, A]


class Editor:
    """A trained method that edits faces: by itself, or by the attribute vectors stored with it, where there are any.

    Any other `visagist.latent.backend.Backend` serves as the model too.

    Faces are PIL images, paths, uint8 arrays [N, H, W, 3] or [H, W, 3], float tensors [N, 3, H, W] or [3, H, W] in
    [0, 1], or lists of them; what goes in comes out (paths give PIL images). They are aligned; pictures that are not square
    lose their longer ends. The first few of an unusual size are looked at: where one shows a face that lies elsewhere, it is
    refused, unless `aligned=True` says that each is one aligned face. `edit_photo` takes any photograph. Calls from several
    threads are safe, except during `to`.
    """

    def __init__(
        self,
        model: Method | Backend,
        description: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        device: str = "cpu",
        card: str | None = None,
        refiner: Refiner | OnnxRefiner | None = None,
    ) -> None:
        self.refiner = refiner
        self.description, self.backend = describe_backend(model, description)
        self.name = name or model.name
        self.card = card
        self.use_strength(self.description.get("strength"))
        self.to(device)

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, device: str = "auto", *, refiner: str | Path | None = "auto",
        backend: str | None = None,
    ) -> Editor:
        """The model of this zoo name, model or run folder, or `hub:owner/name` (only that uses the network).

        `refiner` paints what its edits change in the mode `photo`: auto is the shipped one that was trained on this
        model's edits, if there is one; None leaves it out. `backend` is torch, onnx (onnxruntime over the graphs that
        `visagist export` wrote, as all shipped models have them), or auto, the quicker of them on the device; without it
        torch, where it is installed. `runner` says which it is.

        Raises VisagistError where there is none (with the nearest zoo names), or it is damaged, or it is a judge.
        """
        name, folder = pretrained.find_model(name_or_folder)
        described = read_description(folder)
        chosen = choose_backend(backend or default_backend(), device, described.get("export") is not None)
        model, description = load_backend(folder, described, chosen)
        card = folder / "README.md"
        text = read_regular(card, JSON_BYTES).decode(errors="replace") if card.exists() else None
        return cls(model, description, name=name, device=device, card=text, refiner=pick_refiner(name, refiner, chosen))

    def __repr__(self) -> str:
        shown = ", ".join(self.attributes[:3]) + (f", … {len(self.attributes)} in all" if len(self.attributes) > 3 else "")
        by = "" if self.runner == "torch" else f", {self.runner}"
        made = f"{self.backend.name}: {shown or 'no attributes'}, {self.image_size} px, {self.device}{by}"
        return f"Editor({self.name!r}, {made})"

    @property
    def runner(self) -> str:
        """What computes: `torch`, or onnxruntime and the precision of its graphs."""
        return self.backend.runner

    @property
    def attributes(self) -> tuple[str, ...]:
        """What the model knows of a face, in the order of its labels."""
        return self.backend.attributes

    @property
    def image_size(self) -> int:
        """Side in pixels of the faces that the model sees and paints."""
        return self.backend.image_size

    @property
    def device(self) -> Any:
        """Where the model is."""
        return self.backend.device

    @property
    def method(self) -> Method:
        """The torch method that edits; deprecated."""
        warnings.warn(DEPRECATED.format("method", "method"), DeprecationWarning, stacklevel=2)
        return torch_method(self, "Editor.method")

    @property
    def trained(self) -> Method:
        """The torch method that was trained; deprecated."""
        warnings.warn(DEPRECATED.format("trained", "trained_method"), DeprecationWarning, stacklevel=2)
        return trained_method(self, "Editor.trained")

    def can(self, capability: str) -> bool:
        """Whether the model has this capability, one of `visagist.methods.base.CAPABILITIES`."""
        return capability in self.backend.capabilities

    @property
    def strength_maps(self) -> Mapping[str, Mapping[str, StrengthMap]]:
        """By attribute and direction, "+1" or "-1": the map from strength to amount, and how it was found."""
        return self._strength_maps

    def use_strength(self, record: Mapping[str, Any] | None) -> None:
        """Take the maps that `calibrate` fitted; None: strength is the method's amount."""
        self._strength_maps = read_strength(record, self.attributes)
        self.description["strength"] = None if record is None else dict(record)

    def to(self, device: str) -> Editor:
        """Move the model to auto, cpu, cuda, cuda:N or mps."""
        self.backend.to(self.backend.pick_device(device))
        if self.refiner is not None:
            self.refiner.to(self.device)
        return self

    def refines(self, strengths: Iterable[str]) -> bool:
        """Whether the model has a refiner, and it knows all of these attributes."""
        return self.refiner is not None and set(strengths) <= set(self.refiner.attributes)

    def size_in(self, mode: str) -> int:
        """Side in pixels of the faces that edits in this mode take."""
        return self.image_size if Mode(mode) is not Mode.PHOTO or self.refiner is None else self.refiner.image_size

    @property
    def recolours(self) -> bool:
        """Whether edits change colours and draw nothing, so that a photograph's texture goes with its colours."""
        return self.backend.recolours

    @overload
    def edit(
        self, faces: Picture, mode: str = ..., batch_size: int = ..., *, aligned: bool = ..., **strengths: float
    ) -> Image.Image: ...
    @overload
    def edit(
        self, faces: Pixels, mode: str = ..., batch_size: int = ..., *, aligned: bool = ..., **strengths: Strength
    ) -> Pixels: ...
    def edit(
        self, faces: Any, mode: str = "render", batch_size: int = 64, *, aligned: bool = False, **strengths: Any
    ) -> Any:
        """Faces edited toward (to +1) or away from (to -1) attributes: `edit(faces, Smiling=-1, Eyeglasses=0.5)`.

        A strength is one number, or one for each face. At 0 a face is its reconstruction; attributes that are not named
        stay as they are. `mode="render"` gives the
        model's pixels at its own size; `"detail"` adds the change of the model's pixels to the photo, at the photo's
        size; `"photo"` has the refiner paint what changes. Raises VisagistError for unknown attributes, strengths outside
        [-1, 1], what is no face, and for `photo` without a refiner that knows the attributes.
        """
        self._require("edit")
        if any(np.ndim(strength) for strength in strengths.values()):
            return edit_each(self, faces, strengths, mode=mode, batch_size=batch_size, aligned=aligned)
        strengths = self._named(strengths)
        setting, step = self.setting(**strengths), make_edit_step(self, strengths, Mode(mode), 1)
        if Mode(mode) is Mode.PHOTO:
            size = self.size_in(mode)
            return self._detailed(faces, batch_size, lambda x: (self._painted(x, strengths)[0], x), step, aligned, size)
        if not Mode(mode).keeps_pixels:
            return self._changed(faces, batch_size, lambda x, _: to_floats(self._edited(x, setting)[0]), step, aligned)
        return self._detailed(faces, batch_size, lambda x: self._edited(x, setting, None), step, aligned)

    def edit_and_reconstruct(self, images: Any, **strengths: float) -> tuple[Any, Any]:
        """Images [B, 3, S, S] in [0, 1] of the model's size, edited and passed through without an edit, both on the CPU.

        Arrays of numpy give arrays, tensors tensors. The model sees each once. VisagistError as `edit`.
        """
        self._require("edit")
        setting = self.setting(**strengths)
        with self.backend.without_gradients():
            edited, rebuilt = map(to_floats, self._edited(self.backend.take(images), setting, None))
        return (like(edited, images.cpu()), like(rebuilt, images.cpu())) if is_tensor(images) else (edited, rebuilt)

    def contribute(self, images: Floats, mode: str, **strengths: float) -> tuple[Floats, list[float]]:
        """What an edit brings to faces [B, 3, S, S] in [0, 1] of `size_in(mode)`, and the model's errors of rebuilding them.

        A change to be added, or in `render` the pixels to be shown, [B, 3, S, S]. VisagistError as `edit`.
        """
        shown = Mode(mode)
        if shown is Mode.PHOTO:
            self._require("edit")
            painted, errors = self._painted(images, strengths)
            return painted - images, errors
        edited, rebuilt = self.edit_and_reconstruct(images, **strengths)
        return shown.contribution(edited, rebuilt), np.square(rebuilt - images).mean((1, 2, 3)).tolist()

    def edit_until(
        self, faces: Any, confidence: float = 0.9, mode: str = "render", batch_size: int = 64, *, aligned: bool = False,
        **directions: float,
    ) -> tuple[Any, dict[str, NDArray[np.float32]]]:
        """Faces edited just until the model reads the attributes from them: `edit_until(faces, 0.9, Eyeglasses=1)`.

        A direction is 1 or -1. Each face moves until its edited image, read by the model's own classifier, shows the
        attribute (or, for -1, its absence) with this probability, at most to the end of the method's range. Returns the
        faces, as `edit` does, and by attribute the amounts [N] in [0, 1] that it took; where 1 stands, the confidence may
        have been out of reach. Raises VisagistError for a model that cannot, and as `edit` does.
        """
        self._require("edit_until")
        if not 0.5 < confidence < 1:
            raise VisagistError(f"confidence is {confidence:g}: give a probability above 0.5 and below 1, such as 0.9")
        directions = self._named(directions)
        for name, direction in directions.items():
            if direction not in (1, -1):
                raise VisagistError(f"{name}={direction!r}: the strength is found, so give only the direction, 1 or -1")
        target, _ = self.setting(**directions)
        limit = np.array([name in directions for name in self.attributes], np.float32)
        amounts = [np.zeros((0, len(self.attributes)), np.float32)]

        def edit(x: Any) -> Any:
            toward, most = self._for_each(x, target, limit)
            images, moved = self.backend.edit_until(x, toward, most, confidence)
            amounts.append(to_floats(moved))
            return images

        step = make_edit_step(self, directions, Mode(mode), 1, f" until {confidence:g}")
        if not Mode(mode).keeps_pixels:
            shown = self._changed(faces, batch_size, lambda x, _: to_floats(edit(x)), step, aligned)
        else:
            shown = self._detailed(faces, batch_size, lambda x: (edit(x), self.backend.reconstruct(x)), step, aligned)
        used = np.concatenate(amounts)
        return shown, {name: np.ascontiguousarray(used[:, self.attributes.index(name)]) for name in directions}

    def edit_photo(
        self, photo: Any, *, mode: str = "detail", face: str | int = "largest", force: bool = False, **strengths: float
    ) -> EditResult:
        """A photograph of any size, its faces edited in place: `edit_photo("group.jpg", face="all", Smiling=1)`.

        A path, a PIL image or a uint8 array [H, W, 3]. `face` is the largest, all, the number of one, from 0 in the
        order of `find_faces`, or a point on one, as "120,80". Faces that are `unfit`, in profile or half covered, are
        edited only by `force`. Outside the masks of these faces every pixel stays as it was. VisagistError where no face
        is found, for attributes that exclude each other, and as `edit`.
        """
        from visagist.editing.photo_edit import edit_photo

        return edit_photo(self, photo, self._named(strengths), mode, face, force=force)

    def setting(self, **strengths: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The classes [A] and the method's amounts [A] that these strengths stand for."""
        if not strengths:
            raise VisagistError(f"name what to edit, such as {next(iter(self.attributes), 'Smiling')}=-1")
        strengths = self._named(strengths)
        target, amount = np.zeros((2, len(self.attributes)), np.float32)
        for name, strength in strengths.items():
            if not (isinstance(strength, (int, float, np.number)) and -1 <= strength <= 1):
                raise VisagistError(f"{name}={strength!r} is no strength: give a number from -1 to 1")
            index = self.attributes.index(name)
            target[index] = strength > 0
            amount[index] = self._strength_maps[name]["+1" if strength > 0 else "-1"].amount(abs(float(strength)))
        return target, amount

    def reconstruct(self, faces: Any, batch_size: int = 64, *, aligned: bool = False) -> Any:
        """Faces passed through the model without an edit, at its own size."""
        self._require_reconstruction()
        step = make_step("edited", self, "reconstruction")
        return self._changed(faces, batch_size, lambda x, _: to_floats(self.backend.reconstruct(x)), step, aligned)

    def classify(self, faces: Any, batch_size: int = 64, *, aligned: bool = False) -> dict[str, NDArray[np.float32]]:
        """Probabilities [N] of each attribute, by the model's own classifier: not an independent judge."""
        self._require("classify")
        scores = self._computed(faces, batch_size, self.backend.classify, (len(self.attributes),), aligned)
        return {name: np.ascontiguousarray(scores[:, i]) for i, name in enumerate(self.attributes)}

    def residual(
        self, faces: Any, batch_size: int = 64, *, aligned: bool = False, **strengths: float
    ) -> NDArray[np.float32]:
        """What an edit adds to the reconstruction, signed [N, S, S, 3]."""
        self._require("edit")
        setting = self.setting(**strengths)

        def change(x: Any) -> Floats:
            edited, rebuilt = self._edited(x, setting, None)
            return to_floats(edited - rebuilt).transpose(0, 2, 3, 1)

        return self._computed(faces, batch_size, change, (self.image_size, self.image_size, 3), aligned)

    def sample(
        self,
        number: int = 16,
        *,
        seed: int = 0,
        settings: SamplingConfig | None = None,
        batch_size: int = 64,
        progress: ProgressLike = None,
        **given: float,
    ) -> Samples:
        """New faces, with the attributes that are named: `sample(64, Eyeglasses=1, Smiling=0)`; without names, any faces.

        Where the model classifies codes, chains find codes that it reads as asked (`settings`); where it decodes labels,
        these are set, and those not named are 0 or 1 at even odds. The faces are a function of the seed, if no other
        thread draws meanwhile. VisagistError where the model can do neither, and where too few faces are accepted.
        """
        check_fork()
        if not (given and self.can("classify_latent")):
            self._require("generate")
        from visagist.latent.conditional_sampling import DEFAULT
        from visagist.latent.generation import generate

        return generate(self, number, given, settings or DEFAULT, seed, batch_size, progress)

    def see(self, faces: Any, *, aligned: bool = False) -> NDArray[np.uint8]:
        """The faces [N, S, S, 3] as the model sees them: cropped and resized."""
        photos = self._load(take_apart(faces, self.crop)[0], 0, aligned)
        seen = [to_pixels(photo.face(self.image_size)) for photo in photos]
        return np.stack(seen) if seen else np.zeros((0, self.image_size, self.image_size, 3), np.uint8)

    def edit_arrays(
        self, images: NDArray[np.uint8], target: ArrayLike, amount: ArrayLike, batch_size: int = 64
    ) -> NDArray[np.uint8]:
        """Images [N, S, S, 3] edited toward classes `target` by the method's own `amount` in [0, 1], each [A] or [N, A]."""
        return self.edits_of_arrays(images, [(target, amount)], batch_size)[0]

    def edits_of_arrays(
        self, images: NDArray[np.uint8], settings: Sequence[tuple[ArrayLike, ArrayLike]], batch_size: int = 64
    ) -> list[NDArray[np.uint8]]:
        """Images [N, S, S, 3] edited at each of several settings, a `target` and an `amount` as `edit_arrays` takes them.

        What the edits of an image share, such as its code, is computed once.
        """
        self._require("edit")
        whole = [settings_of_all(len(images), len(self.attributes), *setting) for setting in settings]

        def edit(x: Any, part: slice) -> Sequence[Any]:
            return self._edited(x, *((target[part], amount[part]) for target, amount in whole))

        return map_arrays(images, self.backend, batch_size, len(whole), edit)

    def reconstruct_arrays(self, images: NDArray[np.uint8], batch_size: int = 64) -> NDArray[np.uint8]:
        """Images [N, S, S, 3] passed through the model without an edit."""
        self._require_reconstruction()
        return map_arrays(images, self.backend, batch_size, 1, lambda x, _: [self.backend.reconstruct(x)])[0]

    def save(self, folder: str | Path, *, half: bool = False) -> Path:
        """Write config.json, model.safetensors (networks that edits need; `half`: in float16) and the card, if any, into a
        folder that holds nothing else; else VisagistError."""
        from visagist.checkpoints import checkpoint

        method = trained_method(self, "saving")
        return checkpoint.save_inference_model(method, self.description, self.card, Path(folder), half)

    def push_to_hub(self, repository: str, *, private: bool = False) -> str:
        """Put the model into the repository `owner/name` of the Hugging Face hub; returns its address."""
        with tempfile.TemporaryDirectory() as folder:
            return pretrained.upload(self.save(Path(folder) / "model"), repository.removeprefix(pretrained.HUB), private)

    @property
    def crop(self) -> str | None:
        """The crop of the faces that trained the model, such as `centre148`, where it says so."""
        crop = self.description.get("crop")
        return crop if isinstance(crop, str) else None

    def _named(self, strengths: Mapping[str, float]) -> dict[str, float]:
        """Strengths by the model's own attributes, which plain words may stand for."""
        return resolve_strengths(strengths, self.attributes, self.name)

    def _require(self, capability: str) -> None:
        check_fork()
        if not self.can(capability):
            able = describe_capabilities(self.backend)
            raise VisagistError(f"{self.name} ({self.backend.name}) cannot {capability}: it can {able}")

    def _require_reconstruction(self) -> None:
        # What edits has something to start from: its reconstruction, or without a code the face itself.
        self._require("edit" if self.can("edit") else "autoencode")

    def _edited(self, x: Any, *settings: ArraySetting | None) -> list[Any]:
        """The batch at each setting of classes and amounts, [A] or [B, A]; None is its reconstruction."""
        return self.backend.edit(x, [None if setting is None else self._for_each(x, *setting) for setting in settings])

    def _for_each(self, x: Any, target: NDArray[np.float32], amount: NDArray[np.float32]) -> Setting:
        """Classes and amounts [A] or [B, A] as [B, A] beside the batch."""
        shape = (len(x), len(self.attributes))
        targets, amounts = (like(np.array(np.broadcast_to(value, shape)), x) for value in (target, amount))
        return targets, amounts

    def _painted(self, images: Any, strengths: Mapping[str, float]) -> tuple[Floats, list[float]]:
        """Faces of the refiner's size, edited in one attribute after the other, and the errors of rebuilding them.

        A face and its mirror image are painted alike: the one that is lighter on the left is mirrored.
        """
        refiner = self.refiner
        if refiner is None or not self.refines(strengths):
            known = ", ".join(refiner.attributes) if refiner is not None else "nothing"
            raise VisagistError(f"{self.name} paints {known} in the mode photo: take the mode detail, or another model")
        from visagist.refining.painting import paint_edits

        def edit(x: Any, name: str, strength: float) -> Sequence[Any]:
            return self._edited(x, self.setting(**{name: strength}), None)

        return paint_edits(refiner, images, strengths, edit, self.image_size, self.device)

    def _detailed(
        self,
        faces: Any,
        batch_size: int,
        edit_and_reconstruct: Callable[[Any], Sequence[Any]],
        step: Step,
        aligned: bool,
        size: int | None = None,
    ) -> Any:
        """Faces in the form and size they came in, with the difference of both pictures added to each."""

        def detailed(x: Any, photos: Sequence[Photo]) -> list[Floats]:
            edited, rebuilt = edit_and_reconstruct(x)
            changes = to_floats(edited) - to_floats(rebuilt)
            return [photo.with_change(change) for photo, change in zip(photos, changes)]

        return self._changed(faces, batch_size, detailed, step, aligned, keep_size=True, size=size)

    def _changed(
        self,
        faces: Any,
        batch_size: int,
        change: Callable[[Any, Sequence[Photo]], Floats | list[Floats]],
        step: Step,
        aligned: bool,
        keep_size: bool = False,
        size: int | None = None,
    ) -> Any:
        """Faces in the form they came in, after `change` of batches [B, 3, S, S] and the photos they are from.

        Pictures say of themselves that `step` changed them.
        """
        items, together = take_apart(faces, self.crop)
        results = []
        for part in batches_of(len(items), batch_size):
            photos = self._load(items[part], part.start, aligned)
            with self.backend.without_gradients():
                images = change(self._batch(photos, size), photos)
            for item, photo, image in zip(items[part], photos, images):
                check_finite(image)
                result = item.restore(image)
                results.append(mark_edited(result, step, photo.xmp) if isinstance(result, Image.Image) else result)
        return together(results, None if keep_size else (self.image_size, self.image_size))

    def _computed(
        self, faces: Any, batch_size: int, compute: Callable[[Any], Any], shape: tuple[int, ...],
        aligned: bool,
    ) -> NDArray[np.float32]:
        """Numbers [N, *shape] that `compute` makes of batches [B, 3, S, S]."""
        items, _ = take_apart(faces, self.crop)
        results = [np.zeros((0, *shape), np.float32)]
        for part in batches_of(len(items), batch_size):
            with self.backend.without_gradients():
                numbers = to_floats(compute(self._batch(self._load(items[part], part.start, aligned))))
            check_finite(numbers, "reading")
            results.append(numbers)
        return np.concatenate(results)

    def _load(self, items: Sequence[Item], start: int, aligned: bool) -> list[Photo]:
        """Load faces, the first being number `start`; the first of all are refused where they are not aligned."""
        photos = [item.load() for item in items]
        for photo in photos[: 0 if aligned else max(CHECKED - start, 0)]:
            refuse_unaligned(photo.upright(), photo.box, self.crop, self.image_size)
        return photos

    def _batch(self, photos: Sequence[Photo], size: int | None = None) -> Any:
        return self.backend.take(np.stack([photo.face(size or self.image_size) for photo in photos]))
