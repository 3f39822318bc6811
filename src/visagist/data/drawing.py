"""The layers of a drawn face, back to front, each with the attributes that it depends on.

The unit is the image's side; x = 0 is the face's axis, y runs from 0 at the top to 1. A pixel can change with an
attribute only where a layer that names the attribute draws: `draw_region` is that extent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import skia
from numpy.typing import NDArray

from visagist.data.drawn_face import BLACK, WHITE, Brush, Face, Identity, mix
from visagist.data.drawn_hair import draw_bangs, draw_beard, draw_brows, draw_front_hair, draw_hair_behind, draw_hat

DRAWING_VERSION = 1


class Layer(NamedTuple):
    """One thing to draw and the attributes that may change it."""

    draw: Callable[[Brush, Face], None]
    attributes: tuple[str, ...] = ()


def draw_background(brush: Brush, face: Face) -> None:
    """A soft gradient with two blurred shapes, drawn beyond the frame so that no tilt uncovers a corner."""
    one, two = face.backdrop
    brush.linear(brush.oval_path(0, 0.5, 1.3, 1.3), (-0.5, 0), (0.5 * face.backdrop_slant, 1), one, two)
    identity = face.identity
    for x, y, radius, shade in (
        (identity.blob_x, identity.blob_y, 0.24, WHITE),
        (-identity.blob_x, 1 - identity.blob_y, 0.3, BLACK),
    ):
        brush.radial((x, y), radius, shade, 0.22)


def draw_shoulders(brush: Brush, face: Face) -> None:
    """Neck in shadow, and clothes."""
    half, skin = face.half_width, mix(face.skin, face.shadow, 0.45)
    neck = brush.path((-0.62 * half, 0.72), ("line", -0.66 * half, 1.2), ("line", 0.66 * half, 1.2),
                      ("line", 0.62 * half, 0.72))  # fmt: skip
    brush.linear(neck, (0, 0.86), (0, 1.06), face.shadow, skin)
    cloth = brush.path((-0.75, 1.3), ("cubic", -0.6, 1.0, -0.3, 1.0, -0.72 * half, 0.94),
                       ("quad", 0, 1.08, 0.72 * half, 0.94), ("cubic", 0.3, 1.0, 0.6, 1.0, 0.75, 1.3))  # fmt: skip
    brush.linear(cloth, (0, 0.93), (0, 1.1), mix(face.cloth, WHITE, 0.12), mix(face.cloth, BLACK, 0.25))


def draw_ears(brush: Brush, face: Face) -> None:
    """Ears, the far one narrower."""
    for side in (-1, 1):
        width = 0.035 * (1 - 0.5 * side * face.yaw)
        brush.oval(side * (face.half_width + 0.008), 0.505, width, 0.072, mix(face.skin, face.shadow, 0.25))
        brush.oval(side * (face.half_width + 0.012), 0.505, 0.5 * width, 0.042, face.shadow, 0.6)


def draw_skin(brush: Brush, face: Face) -> None:
    """The head, lit from one side, with blush, the hollows of the eyes and the shade of nose and lips."""
    head, light = brush.head(face), face.identity.light
    brush.linear(head, (-0.34 * light, 0.2), (0.34 * light, 0.85), mix(face.skin, WHITE, 0.16),
                 mix(face.skin, face.shadow, 0.5))  # fmt: skip
    brush.clip(head)
    brush.stroke(head, face.shadow, 0.07, 0.45, blur=0.022)
    brush.radial((-0.1 * light, 0.3), 0.22, WHITE, 0.16)
    for side in (-1, 1):
        x, y = face.at(side * 0.19, 0.63)
        brush.radial((x, y), 0.11, face.blush, 0.34)
        x, y = face.at(side * face.eye_gap, face.eye_y - 0.012)
        brush.radial((x, y), 0.105, face.shadow, 0.5)
    x, y = face.at(0, face.mouth_y + 0.065)
    brush.oval(x, y, 0.06, 0.014, face.shadow, 0.4, blur=0.012)
    x, y = face.at(0, face.chin - 0.07)
    brush.radial((x, y), 0.07, WHITE, 0.1)
    brush.restore()


def draw_wrinkles(brush: Brush, face: Face) -> None:
    """Lines of the forehead, crow's feet, bags under the eyes, folds beside nose and mouth; nothing on a young face."""
    if face.has("Young"):
        return
    line, strength = mix(face.shadow, (70, 30, 20), 0.4), face.identity.age
    brush.clip(brush.head(face))
    for y, half in ((0.27, 0.13), (0.315, 0.15), (0.355, 0.13)):
        (x0, y0), (xm, ym), (x1, y1) = face.at(-half, y + 0.008), face.at(0, y - 0.01), face.at(half, y + 0.008)
        brush.stroke(brush.path((x0, y0), ("quad", xm, ym, x1, y1), close=False), line, 0.012, 0.75 * strength, 0.003)
    for side in (-1, 1):
        draw_side_wrinkles(brush, face, side, line, strength)
    brush.restore()


def draw_side_wrinkles(
    brush: Brush, face: Face, side: int, line: tuple[float, float, float], strength: float
) -> None:
    """Bag, crow's feet, cheek fold and jowl of one side of the face."""
    eye_x, eye_y, width = side * face.eye_gap, face.eye_y, face.eye_width

    def curve(points: tuple[tuple[float, float], ...], thickness: float, opacity: float, blur: float = 0.003) -> None:
        (x0, y0), (xm, ym), (x1, y1) = (face.at(x, y) for x, y in points)
        path = brush.path((x0, y0), ("quad", xm, ym, x1, y1), close=False)
        brush.stroke(path, line, thickness, opacity * strength, blur)

    x, y = face.at(eye_x, eye_y + 0.052)
    brush.oval(x, y, 1.05 * width, 0.026, line, 0.42 * strength, blur=0.01)
    curve(((eye_x - 1.0 * width, eye_y + 0.045), (eye_x, eye_y + 0.1), (eye_x + 1.0 * width, eye_y + 0.045)), 0.011, 0.8)
    for tilt in (-0.03, 0.004, 0.036):
        outer = eye_x + side * (width + 0.018)
        curve(((outer, eye_y + 0.3 * tilt), (outer + side * 0.02, eye_y + 0.6 * tilt),
               (outer + side * 0.042, eye_y + 1.5 * tilt)), 0.008, 0.7)  # fmt: skip
    curve(((side * 0.075, 0.605), (side * 0.155, 0.65), (side * 0.168, 0.765)), 0.015, 0.9)
    curve(((side * 0.135, 0.80), (side * 0.15, 0.84), (side * 0.135, 0.885)), 0.012, 0.7)


def draw_nose(brush: Brush, face: Face) -> None:
    """Bridge shaded on the side away from the light, wings, nostrils and a highlight on the tip."""
    light, wing, base = face.identity.light, face.identity.nose_width, face.nose_y
    away = 1 if light > 0 else -1
    (x0, y0), (xm, ym), (x1, y1) = (
        face.at(away * 0.035, face.eye_y - 0.02, 0.12),
        face.at(away * 0.03, face.eye_y + 0.09, 0.16),
        face.at(away * wing, base - 0.02, 0.17),
    )
    brush.stroke(brush.path((x0, y0), ("quad", xm, ym, x1, y1), close=False), face.shadow, 0.026, 0.5, 0.01)
    tip_x, tip_y = face.at(0, base - 0.03, 0.19)
    brush.radial((tip_x, tip_y), 1.5 * wing, mix(face.skin, WHITE, 0.1), 0.5)
    brush.oval(*face.at(0, base + 0.008, 0.17), 1.1 * wing, 0.014, face.shadow, 0.55, blur=0.008)
    for side in (-1, 1):
        x, y = face.at(side * wing, base - 0.018, 0.16)
        curve = brush.path((x, y - 0.022), ("quad", x + side * 0.022, y + 0.004, x - side * 0.006, y + 0.02), close=False)
        brush.stroke(curve, face.shadow, 0.011, 0.75, 0.002)
        x, y = face.at(side * 0.55 * wing, base, 0.17)
        brush.oval(x, y, 0.3 * wing, 0.009, mix(face.shadow, BLACK, 0.45), 0.8)
    brush.radial((tip_x - 0.012 * light, tip_y - 0.008), 0.028, WHITE, 0.45)
    x, y = face.at(-0.006 * light, face.eye_y + 0.06, 0.15)
    brush.oval(x, y, 0.012, 0.07, WHITE, 0.2, blur=0.01)


def draw_mouth(brush: Brush, face: Face) -> None:
    """Lips: corners well up in a smile and down without; parted over a dark gap, with teeth as the face has them."""
    smiling, parted = face.has("Smiling"), face.has("Mouth_Slightly_Open")
    half = face.identity.mouth_width * (1.32 if smiling else 0.94)
    corner = -0.046 if smiling else 0.012
    dip = 0.022 if smiling else -0.004
    gap = face.identity.mouth_gap if parted else 0.0
    full = face.identity.lip
    left, right = face.at(-half, face.mouth_y + corner, 0.1), face.at(half, face.mouth_y + corner, 0.1)
    middle, top = face.mouth_x, face.mouth_y - 0.3 * gap
    upper, inner_top, inner_low, lower = top + dip - full, top + dip, top + dip + gap, top + dip + gap + 1.25 * full
    lips = brush.path(left, ("cubic", middle - 0.5 * half, 2 * upper - top - 0.3 * dip, middle - 0.012, upper - 0.014,
                             middle, upper + 0.002),
                      ("cubic", middle + 0.012, upper - 0.014, middle + 0.5 * half, 2 * upper - top - 0.3 * dip, *right),
                      ("quad", middle, 2 * lower - face.mouth_y - corner, *left))  # fmt: skip
    brush.linear(lips, (0, upper), (0, lower), mix(face.lips, BLACK, 0.18), mix(face.lips, WHITE, 0.12))
    far = 2 * inner_low - face.mouth_y - corner
    line = brush.path(left, ("quad", middle, 2 * inner_top - face.mouth_y - corner, *right), close=False)
    if parted:
        inside = brush.path(left, ("quad", middle, 2 * inner_top - face.mouth_y - corner, *right),
                            ("quad", middle, far, *left))  # fmt: skip
        brush.fill(inside, (62, 16, 20))
        brush.clip(inside)
        brush.oval(middle, inner_low + 0.004, 0.5 * half, 0.35 * gap, (176, 82, 84), 0.8, blur=0.004)
        brush.stroke(line, (246, 242, 232), 2 * face.identity.teeth * gap, 1)
        brush.restore()
    brush.stroke(line, (70, 22, 24), 0.011, 0.85)
    brush.oval(middle - 0.02 * face.identity.light, 0.5 * (inner_low + lower) + 0.003, 0.3 * half, 0.25 * full, WHITE,
               0.3, blur=0.006)  # fmt: skip
    for side, (x, y) in ((-1, left), (1, right)):
        if smiling:
            dimple = brush.path((x + side * 0.008, y - 0.035), ("quad", x + side * 0.036, y, x + side * 0.01, y + 0.03),
                                close=False)  # fmt: skip
            brush.stroke(dimple, face.shadow, 0.014, 0.8, 0.004)
        else:
            brush.oval(x, y + 0.004, 0.014, 0.009, face.shadow, 0.6, blur=0.005)


def draw_eyes(brush: Brush, face: Face) -> None:
    """Almonds with iris, pupil, glint, lashes and the crease of the lid."""
    for side in (-1, 1):
        x, y = face.at(side * face.eye_gap, face.eye_y)
        width, height = face.eye_width * (1 + 0.12 * side * -face.yaw), face.identity.eye_height
        slant = side * face.identity.eye_slant
        inner, outer = (x - width, y + slant), (x + width, y - slant)
        almond = brush.path(inner, ("cubic", x - 0.5 * width, y - 1.5 * height, x + 0.5 * width, y - 1.5 * height, *outer),
                            ("cubic", x + 0.5 * width, y + 1.2 * height, x - 0.5 * width, y + 1.2 * height, *inner))  # fmt: skip
        lid = brush.path(inner, ("cubic", x - 0.5 * width, y - 1.5 * height, x + 0.5 * width, y - 1.5 * height, *outer),
                         close=False)  # fmt: skip
        brush.fill(almond, (243, 240, 236))
        brush.clip(almond)
        gaze = x + 0.3 * width * face.identity.gaze
        iris = 1.12 * face.identity.eye_height
        brush.oval(gaze, y - 0.1 * height, iris, iris, mix(face.iris, BLACK, 0.45))
        brush.oval(gaze, y, 0.82 * iris, 0.82 * iris, face.iris)
        brush.oval(gaze, y - 0.1 * height, 0.5 * iris, 0.5 * iris, (12, 10, 12))
        brush.stroke(lid, BLACK, 0.024, 0.35, 0.006)
        brush.restore()
        brush.oval(gaze - 0.35 * iris * face.identity.light, y - 0.45 * iris, 0.26 * iris, 0.26 * iris, WHITE, 0.95)
        brush.stroke(lid, (38, 24, 22), 0.013, 0.95)
        crease = brush.path((x - 0.95 * width, y - 0.6 * height), ("quad", x, y - 2.6 * height, x + width, y - 0.7 * height),
                            close=False)  # fmt: skip
        brush.stroke(crease, face.shadow, 0.008, 0.8, 0.002)


def draw_glasses(brush: Brush, face: Face) -> None:
    """A frame of some weight round clear lenses."""
    if not face.has("Eyeglasses"):
        return
    identity, weight = face.identity, face.identity.frame_weight
    half_width, half_height, y = face.eye_gap - 0.028, identity.lens_height, face.eye_y + 0.012
    for side in (-1, 1):
        x, _ = face.at(side * face.eye_gap, y, 0.12)
        box = skia.Rect.MakeLTRB(x - half_width, y - half_height, x + half_width, y + half_height)
        lens = brush.round_rect(box, identity.lens_round * half_height)
        brush.fill(lens, (225, 238, 248), 0.16)
        brush.clip(lens)
        glare = brush.path((x - 0.5 * half_width, y + half_height), ("line", x + 0.1 * half_width, y - half_height),
                           ("line", x + 0.4 * half_width, y - half_height), ("line", x - 0.2 * half_width, y + half_height))  # fmt: skip
        brush.fill(glare, WHITE, 0.2)
        brush.restore()
        brush.stroke(lens, face.frame, weight, 1)
        temple = brush.path((x + side * half_width, y - 0.3 * half_height),
                            ("line", side * (face.half_width + 0.012), y - 0.03), close=False)  # fmt: skip
        brush.stroke(temple, face.frame, 0.85 * weight, 1)
    (left, _), (right, _) = face.at(-face.eye_gap, y, 0.12), face.at(face.eye_gap, y, 0.12)
    bridge = brush.path((left + half_width, y - 0.012), ("quad", 0.5 * (left + right), y - 0.04, right - half_width, y - 0.012),
                        close=False)  # fmt: skip
    brush.stroke(bridge, face.frame, weight, 1)


def draw_light(brush: Brush, face: Face) -> None:
    """The light's direction and colour over the whole picture."""
    identity = face.identity
    everything = brush.oval_path(0, 0.5, 1.4, 1.4)
    brush.linear(everything, (-0.5 * identity.light, 0.1), (0.5 * identity.light, 0.9), face.lamp, BLACK, 0.1,
                 identity.shade)  # fmt: skip


LAYERS = (
    Layer(draw_background),
    Layer(draw_hair_behind, ("Blond_Hair",)),
    Layer(draw_shoulders),
    Layer(draw_ears),
    Layer(draw_skin),
    Layer(draw_wrinkles, ("Young",)),
    Layer(draw_beard, ("No_Beard",)),
    Layer(draw_nose),
    Layer(draw_mouth, ("Smiling", "Mouth_Slightly_Open")),
    Layer(draw_eyes),
    Layer(draw_brows, ("Blond_Hair", "Young")),
    Layer(draw_front_hair, ("Blond_Hair", "Young")),
    Layer(draw_bangs, ("Bangs", "Blond_Hair")),
    Layer(draw_glasses, ("Eyeglasses",)),
    Layer(draw_hat, ("Wearing_Hat",)),
    Layer(draw_light),
)


def paint(layers: tuple[Layer, ...], face: Face, size: int) -> NDArray[np.uint8]:
    """Premultiplied RGBA [S, S, 4] of these layers on a transparent ground."""
    pixels = np.zeros((size, size, 4), np.uint8)
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    identity = face.identity
    with surface as canvas:
        canvas.scale(size, size)
        canvas.translate(0.5 + identity.shift_x, 0.5 + identity.shift_y)
        canvas.rotate(identity.tilt)
        canvas.scale(identity.zoom, identity.zoom)
        canvas.translate(0, -0.5)
        brush = Brush(canvas)
        for layer in layers:
            layer.draw(brush, face)
    return pixels


def draw_face(identity: Identity, present: Mapping[str, bool], size: int) -> NDArray[np.uint8]:
    """The face without noise, uint8 [S, S, 3]."""
    return np.ascontiguousarray(paint(LAYERS, Face(identity, present), size)[..., :3])


def draw_region(identity: Identity, present: Mapping[str, bool], attribute: str, size: int) -> NDArray[np.bool_]:
    """Where [S, S] the layers that depend on the attribute draw, with it or without it."""
    layers = tuple(layer for layer in LAYERS if attribute in layer.attributes)
    drawn = [paint(layers, Face(identity, {**present, attribute: value}), size) for value in (False, True)]
    return np.logical_or(*(pixels[..., 3] > 0 for pixels in drawn))


def draw_cover(identity: Identity, present: Mapping[str, bool], size: int) -> NDArray[np.bool_]:
    """What [S, S] a hat covers; glasses are clear and cover nothing."""
    return paint((Layer(draw_hat),), Face(identity, present), size)[..., 3] > 127
