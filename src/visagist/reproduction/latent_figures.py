"""Pictures of a model's code: ways between faces, walks along attribute vectors, a map."""

from __future__ import annotations

import math

import numpy as np

from visagist.attributes import offered
from visagist.data.faces import Faces
from visagist.editing.contact_sheets import row, stacked, table
from visagist.editing.direction_editor import by_vectors
from visagist.editing.editor import Editor
from visagist.editing.walks import shares, walk
from visagist.latent.codes import encode_images
from visagist.latent.interpolation import interpolate_faces
from visagist.latent.tsne_grid import LEAST, lay_out, map_picture
from visagist.reproduction import Layout, Walks, Ways
from visagist.reproduction.figures import Drawn

STEPS = 11
DRAWN_BY_SEED = "test faces drawn by the seed, not chosen"


def draw_latent(picture: Ways | Walks | Layout, editor: Editor, faces: Faces, seed: int) -> Drawn:
    """The picture, of a model that autoencodes, on test faces."""
    if isinstance(picture, Ways):
        return _ways(picture, editor, faces, seed)
    return _walks(picture, editor, faces, seed) if isinstance(picture, Walks) else _layout(picture, editor, faces, seed)


def _ways(picture: Ways, editor: Editor, faces: Faces, seed: int) -> Drawn:
    rows = faces.drawn("test", 2 * picture.pairs, seed)
    images, alphas = faces.images[rows], [f"{share:.2g}" for share in shares(STEPS)]
    lines = []
    for first, second in zip(images[::2], images[1::2]):
        (way,) = interpolate_faces(editor, np.stack([first, second]), STEPS)
        lines.append(row([("photo", first), *zip(alphas, way), ("photo", second)]))
    if not lines:
        return Drawn(picture.title, None, "not run: needs two test faces")
    return Drawn(picture.title, stacked(lines), f"(1 − α) z of the left + α z of the right; {DRAWN_BY_SEED}")


def _walks(picture: Walks, editor: Editor, faces: Faces, seed: int) -> Drawn:
    train, test = faces.indices("train"), faces.indices("test")
    there, drawn, names, words = offered(faces.names), [], [], []
    for name in picture.attributes:
        labels = faces.column(name) if name in there else None
        if labels is None or len(set(labels[train].tolist())) < 2 or not (labels[test] == 0).any():
            words.append(f"{name} is left out: no faces labelled so on both sides")
            continue
        walker = by_vectors(editor, faces, (name,), picture.number, seed)
        (vector,) = walker.description["vectors"]
        start = np.random.default_rng(seed).permutation(test[labels[test] == 0])[0]
        drawn.append(walk(walker, faces.images[start], (name,), STEPS)[0])
        names.append(f"{name.replace('_', ' ')}\n{vector['n_with']} with, {vector['n_without']} without")
    if not drawn:
        return Drawn(picture.title, None, f"not run: needs faces labelled {', '.join(picture.attributes)}")
    words = [f"z + α v, α from 0 to 1; training faces of each class at the left; {DRAWN_BY_SEED}", *words]
    return Drawn(picture.title, table(np.stack(drawn), names, [f"{share:.2g}" for share in shares(STEPS)]), "; ".join(words))


def _layout(picture: Layout, editor: Editor, faces: Faces, seed: int) -> Drawn:
    side = min(math.isqrt(picture.number), math.isqrt(len(faces.indices("test"))))
    if side**2 < LEAST:
        return Drawn(picture.title, None, f"not run: needs at least {LEAST} test faces")
    images = np.ascontiguousarray(faces.images[faces.drawn("test", side**2, seed)])
    layout = lay_out(encode_images(editor, images).z.numpy(), seed)
    words = (
        f"{side} × {side} {DRAWN_BY_SEED}; t-SNE, then an assignment to cells; trustworthiness of the grid "
        f"{layout.trust['grid']:.3f}, of the same cells by lot {layout.trust['by_lot']:.3f}"
    )
    return Drawn(picture.title, map_picture(images, layout), words)
