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

from visagist.data.drawn.brush import BLACK, WHITE, Brush, Colour, DrawnFace, Identity, mix
from visagist.data.drawn.hair import draw_bangs, draw_beard, draw_brows, draw_front_hair, draw_hair_behind, draw_hat

DRAWING_VERSION = 1


class Layer(NamedTuple):
    """One thing to draw and the attributes that may change it."""

    draw: Callable[[Brush, DrawnFace], None]
    attributes: tuple[str, ...] = ()


def draw_background(brush: Brush, face: DrawnFace) -> None:
    """A soft gradient with two blurred lights."""
    identity, (first, second) = face.identity, face.backdrop
    brush.cover((-0.5, 0), (0.5 * identity.backdrop_slant, 1), first, second)
    brush.glow(identity.blob_x, identity.blob_y, 0.24, 0.24, WHITE, 0.22)
    brush.glow(-identity.blob_x, 1 - identity.blob_y, 0.3, 0.3, BLACK, 0.22)


def draw_shoulders(brush: Brush, face: DrawnFace) -> None:
    """Neck in the shadow of the chin, and clothes."""
    half = face.half_width
    neck = brush.path((-0.6 * half, 0.72), ("line", -0.68 * half, 1.2), ("line", 0.68 * half, 1.2),
                      ("line", 0.6 * half, 0.72))  # fmt: skip
    brush.fill_linear(neck, (0, 0.88), (0, 1.06), mix(face.shadow, BLACK, 0.22), mix(face.skin, face.shadow, 0.4))
    cloth = brush.path((-0.75, 1.3), ("cubic", -0.6, 1.02, -0.3, 1.0, -0.7 * half, 0.945),
                       ("quad", 0, 1.09, 0.7 * half, 0.945), ("cubic", 0.3, 1.0, 0.6, 1.02, 0.75, 1.3))  # fmt: skip
    brush.fill_linear(cloth, (0, 0.93), (0, 1.1), mix(face.cloth, WHITE, 0.12), mix(face.cloth, BLACK, 0.25))


def draw_ears(brush: Brush, face: DrawnFace) -> None:
    """Ears, the far one narrower."""
    for side in (-1, 1):
        width = 0.035 * (1 - 0.5 * side * face.identity.yaw)
        brush.oval(side * (face.half_width + 0.008), 0.505, width, 0.072, mix(face.skin, face.shadow, 0.25))
        brush.glow(side * (face.half_width + 0.012), 0.505, 0.7 * width, 0.055, face.shadow, 0.8)


def draw_skin(brush: Brush, face: DrawnFace) -> None:
    """The head, lit from one side, with blush, the hollows of the eyes and the shade of nose and lips."""
    light = face.identity.light
    centre = face.at(-0.09 * light, 0.42)
    colours = (mix(face.skin, WHITE, 0.2), mix(face.skin, WHITE, 0.06), mix(face.skin, face.shadow, 0.75))
    brush.fill_radial(brush.head(face), centre, 0.4, 0.62, colours)
    brush.glow(-0.1 * light, 0.29, 0.2, 0.13, WHITE, 0.2)
    for side in (-1, 1):
        brush.glow(*face.at(side * 0.165, 0.635), 0.105, 0.09, face.blush, 0.45)
        brush.glow(*face.at(side * face.eye_gap, face.eye_y - 0.012), 0.105, 0.095, face.shadow, 0.55)
    brush.glow(*face.at(0, face.mouth_y + 0.068), 0.09, 0.024, face.shadow, 0.7)
    brush.glow(*face.at(-0.01 * light, face.chin - 0.07), 0.08, 0.05, WHITE, 0.16)


def draw_wrinkles(brush: Brush, face: DrawnFace) -> None:
    """Lines of the forehead, crow's feet, bags under the eyes, folds beside nose and mouth; nothing on a young face."""
    if face.has("Young"):
        return
    line, strength = mix(face.shadow, (70, 30, 20), 0.4), face.identity.age
    for y, half, slope in ((0.27, 0.115, 0.004), (0.312, 0.14, -0.003), (0.352, 0.12, 0.002)):
        points = ((-half, y + 0.006 - slope), (0, y - 0.012), (half, y + 0.006 + slope))
        brush.curve([face.at(*point) for point in points], line, 0.011, 0.75 * strength, 0.003)
    for side in (-1, 1):
        draw_side_wrinkles(brush, face, side, line, strength)


def draw_side_wrinkles(brush: Brush, face: DrawnFace, side: int, line: Colour, strength: float) -> None:
    """Bag, crow's feet, cheek fold and jowl of one side of the face."""
    eye_x, eye_y, width = side * face.eye_gap, face.eye_y, face.eye_width
    brush.glow(*face.at(eye_x, eye_y + 0.054), 1.3 * width, 0.045, line, 0.6 * strength)
    curves = [
        (((eye_x - width, eye_y + 0.045), (eye_x, eye_y + 0.1), (eye_x + width, eye_y + 0.045)), 0.011, 0.75),
        (((side * 0.075, 0.605), (side * 0.15, 0.64), (side * 0.166, 0.76)), 0.015, 0.9),
        (((side * 0.112, 0.805), (side * 0.128, 0.835), (side * 0.112, 0.865)), 0.012, 0.7),
    ]
    outer = eye_x + side * (width + 0.016)
    for tilt in (-0.03, 0.004, 0.036):
        points = ((outer, eye_y + 0.3 * tilt), (outer + side * 0.02, eye_y + 0.6 * tilt),
                  (outer + side * 0.04, eye_y + 1.5 * tilt))  # fmt: skip
        curves.append((points, 0.008, 0.65))
    for points, thickness, opacity in curves:
        brush.curve([face.at(x, y) for x, y in points], line, thickness, opacity * strength, 0.003)


def nose_tip(face: DrawnFace) -> tuple[float, float]:
    """Where the nose stands out most."""
    return face.at(0, face.nose_y - 0.03, 0.19)


def mouth_corner(face: DrawnFace, side: int) -> tuple[float, float]:
    """The left (−1) or right (1) end of the lips: wide and well up in a smile, level without."""
    return face.at(side * _mouth_half(face), face.mouth_y + (-0.052 if face.has("Smiling") else 0.001), 0.1)


def _mouth_half(face: DrawnFace) -> float:
    return face.identity.mouth_width * (1.34 if face.has("Smiling") else 0.92)


def draw_nose(brush: Brush, face: DrawnFace) -> None:
    """Bridge shaded on the side away from the light, wings, nostrils and a highlight on the tip."""
    light, wing, base = face.identity.light, face.identity.nose_width, face.nose_y
    away = 1 if light > 0 else -1
    bridge = [
        face.at(away * 0.036, face.eye_y - 0.03, 0.12),
        face.at(away * 0.026, face.eye_y + 0.09, 0.16),
        face.at(away * wing, base - 0.02, 0.17),
    ]
    brush.curve(bridge, face.shadow, 0.024, 0.55, 0.008)
    tip_x, tip_y = nose_tip(face)
    brush.glow(tip_x, tip_y, 1.5 * wing, 1.3 * wing, mix(face.skin, WHITE, 0.1), 0.6)
    brush.glow(*face.at(0, base + 0.012, 0.17), 1.5 * wing, 0.026, face.shadow, 0.8)
    for side in (-1, 1):
        x, y = face.at(side * wing, base - 0.018, 0.16)
        edge = [(x, y - 0.022), (x + side * 0.022, y + 0.004), (x - side * 0.006, y + 0.02)]
        brush.curve(edge, face.shadow, 0.011, 0.8)
        x, y = face.at(side * 0.55 * wing, base, 0.17)
        brush.oval(x, y, 0.3 * wing, 0.009, mix(face.shadow, BLACK, 0.45), 0.8)
    brush.glow(tip_x - 0.012 * light, tip_y - 0.008, 0.028, 0.028, WHITE, 0.5)
    brush.glow(*face.at(-0.006 * light, face.eye_y + 0.06, 0.15), 0.018, 0.085, WHITE, 0.28)


def draw_mouth(brush: Brush, face: DrawnFace) -> None:
    """Lips: wide with the corners well up in a smile, level without; parted over a dark gap, with the face's teeth."""
    identity, smiling, parted = face.identity, face.has("Smiling"), face.has("Mouth_Slightly_Open")
    half = _mouth_half(face)
    dip = 0.026 if smiling else 0.001
    gap = identity.mouth_gap if parted else 0.0
    left, right = mouth_corner(face, -1), mouth_corner(face, 1)
    middle, end = face.mouth_x, left[1]
    inner_top = face.mouth_y - 0.3 * gap + dip
    inner_low = inner_top + gap
    upper, lower = inner_top - identity.lip, inner_low + 1.25 * identity.lip
    # A quadratic curve passes through its middle if its control point lies twice as far from the ends' line.
    bow = 2 * upper - end - 0.25 * (upper - end)
    lips = brush.path(left, ("cubic", middle - 0.5 * half, bow, middle - 0.02, upper - 0.012, middle, upper),
                      ("cubic", middle + 0.02, upper - 0.012, middle + 0.5 * half, bow, *right),
                      ("quad", middle, 2 * lower - end, *left))  # fmt: skip
    brush.fill_linear(lips, (0, upper), (0, lower), mix(face.lips, BLACK, 0.2), mix(face.lips, WHITE, 0.14))
    line = brush.path(left, ("quad", middle, 2 * inner_top - end, *right), close=False)
    if parted:
        over, under = ("quad", middle, 2 * inner_top - end, *right), ("quad", middle, 2 * inner_low - end, *left)
        inside = brush.path(left, over, under)
        brush.fill(inside, (62, 16, 20))
        brush.clip(inside)
        brush.glow(middle, inner_low, 0.6 * half, 0.5 * gap, (196, 92, 92), 0.9)
        brush.stroke(line, (246, 242, 232), 2 * identity.teeth * gap)
        brush.restore()
    brush.stroke(line, (62, 16, 20), 0.013, 0.9)
    brush.glow(middle - 0.02 * identity.light, 0.5 * (inner_low + lower), 0.4 * half, 0.4 * identity.lip, WHITE, 0.5)
    for side, (x, y) in ((-1, left), (1, right)):
        if smiling:
            dimple = [(x + side * 0.008, y - 0.035), (x + side * 0.034, y), (x + side * 0.008, y + 0.03)]
            brush.curve(dimple, mix(face.shadow, BLACK, 0.15), 0.014, 0.85, 0.004)
        else:
            brush.glow(x, y + 0.002, 0.022, 0.016, face.shadow, 0.8)


def draw_eyes(brush: Brush, face: DrawnFace) -> None:
    """Almonds with iris, pupil, glint, lashes and the crease of the lid."""
    identity = face.identity
    for side in (-1, 1):
        x, y = face.at(side * face.eye_gap, face.eye_y)
        width, height = face.eye_width * (1 - 0.12 * side * identity.yaw), identity.eye_height
        slant = side * identity.eye_slant
        inner, outer = (x - width, y + slant), (x + width, y - slant)
        over = ("cubic", x - 0.5 * width, y - 1.5 * height, x + 0.5 * width, y - 1.5 * height, *outer)
        under = ("cubic", x + 0.5 * width, y + 1.2 * height, x - 0.5 * width, y + 1.2 * height, *inner)
        almond, lid = brush.path(inner, over, under), brush.path(inner, over, close=False)
        brush.fill(almond, (243, 240, 236))
        brush.clip(almond)
        gaze, iris = x + 0.3 * width * identity.gaze, 1.12 * height
        brush.oval(gaze, y - 0.1 * height, iris, iris, mix(face.iris, BLACK, 0.45))
        brush.oval(gaze, y, 0.8 * iris, 0.8 * iris, face.iris)
        brush.oval(gaze, y - 0.1 * height, 0.5 * iris, 0.5 * iris, (12, 10, 12))
        brush.stroke(lid, BLACK, 0.028, 0.3)
        brush.restore()
        brush.oval(gaze - 0.35 * iris * identity.light, y - 0.45 * iris, 0.26 * iris, 0.26 * iris, WHITE, 0.95)
        brush.stroke(brush.path(outer, under, close=False), face.shadow, 0.006, 0.9)
        brush.stroke(lid, (38, 24, 22), 0.013, 0.95)
        crease = [(x - 0.95 * width, y - 0.6 * height), (x, y - 2.6 * height), (x + width, y - 0.7 * height)]
        brush.curve(crease, face.shadow, 0.008, 0.8)


def draw_glasses(brush: Brush, face: DrawnFace) -> None:
    """A frame of some weight round clear lenses."""
    if not face.has("Eyeglasses"):
        return
    identity, weight = face.identity, face.identity.frame_weight
    half_width, half_height, y = face.eye_gap - 0.028, identity.lens_height, face.eye_y + 0.012
    for side in (-1, 1):
        x, _ = face.at(side * face.eye_gap, y, 0.12)
        box = skia.Rect.MakeLTRB(x - half_width, y - half_height, x + half_width, y + half_height)
        lens = skia.Path.RRect(skia.RRect.MakeRectXY(box, *2 * (identity.lens_round * half_height,)))
        brush.fill(lens, (225, 238, 248), 0.16)
        glare = [(x - 0.5 * half_width, y + 0.6 * half_height), (x, y), (x + 0.25 * half_width, y - 0.7 * half_height)]
        brush.curve(glare, WHITE, 0.02, 0.22)
        brush.stroke(lens, face.frame, weight)
        hinge = (x + side * half_width, y - 0.3 * half_height)
        brush.stroke(brush.path(hinge, ("line", side * (face.half_width + 0.012), y - 0.03), close=False),
                     face.frame, 0.85 * weight)  # fmt: skip
    left = face.at(-face.eye_gap, y, 0.12)[0] + half_width
    right = face.at(face.eye_gap, y, 0.12)[0] - half_width
    brush.curve([(left, y - 0.012), (0.5 * (left + right), y - 0.04), (right, y - 0.012)], face.frame, weight)


def draw_light(brush: Brush, face: DrawnFace) -> None:
    """The light's direction and colour over the whole picture."""
    light = face.identity.light
    brush.cover((-0.5 * light, 0.1), (0.5 * light, 0.9), face.lamp, BLACK, 0.1, face.identity.shade)


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


def paint(layers: tuple[Layer, ...], face: DrawnFace, size: int) -> NDArray[np.uint8]:
    """Premultiplied RGBA [S, S, 4] of these layers on a transparent ground."""
    pixels = np.zeros((size, size, 4), np.uint8)
    surface = skia.Surface(pixels, colorType=skia.kRGBA_8888_ColorType)
    with surface as canvas:
        _place_head(canvas, face.identity, size)
        brush = Brush(canvas)
        for layer in layers:
            layer.draw(brush, face)
    return pixels


def _place_head(canvas: skia.Canvas, identity: Identity, size: int) -> None:
    """Let a canvas take the face's coordinates and turn them into pixels."""
    canvas.scale(size, size)
    canvas.translate(0.5 + identity.shift_x, 0.5 + identity.shift_y)
    canvas.rotate(identity.tilt)
    canvas.scale(identity.zoom, identity.zoom)
    canvas.translate(0, -0.5)


def face_points(identity: Identity, present: Mapping[str, bool], size: int) -> NDArray[np.float32]:
    """Where [5, 2] the middles of left and right eye, the tip of the nose, and the corners of the mouth are drawn.

    Left is the picture's left. In pixels; whole numbers are pixel centres.
    """
    face = DrawnFace(identity, present)
    eyes = [face.at(side * face.eye_gap, face.eye_y) for side in (-1, 1)]
    points = [*eyes, nose_tip(face), mouth_corner(face, -1), mouth_corner(face, 1)]
    canvas = skia.Canvas()
    _place_head(canvas, identity, size)
    placed = canvas.getTotalMatrix().mapPoints([skia.Point(x, y) for x, y in points])
    return np.array([(point.x() - 0.5, point.y() - 0.5) for point in placed], np.float32)


def draw_face(identity: Identity, present: Mapping[str, bool], size: int) -> NDArray[np.uint8]:
    """The face without noise, uint8 [S, S, 3]."""
    return np.ascontiguousarray(paint(LAYERS, DrawnFace(identity, present), size)[..., :3])


def draw_region(identity: Identity, present: Mapping[str, bool], attribute: str, size: int) -> NDArray[np.bool_]:
    """Where [S, S] the layers that depend on the attribute draw, with it or without it."""
    layers = tuple(layer for layer in LAYERS if attribute in layer.attributes)
    extent = np.zeros((size + 2, size + 2), bool)
    for value in (False, True):
        drawn = paint(layers, DrawnFace(identity, {**present, attribute: value}), size)[..., 3] > 0
        # One pixel more: an opacity that rounds to 0 on its own can still move an opaque pixel by one level.
        for down in range(3):
            for right in range(3):
                extent[down : down + size, right : right + size] |= drawn
    return extent[1:-1, 1:-1]


def draw_change(identity: Identity, present: Mapping[str, bool], attribute: str, size: int) -> NDArray[np.bool_]:
    """Where [S, S] a flip of the attribute moves some channel by more than 20 of 255."""
    first, second = (draw_face(identity, {**present, attribute: value}, size).astype(np.int16) for value in (False, True))
    return np.abs(first - second).max(axis=2) > 20
