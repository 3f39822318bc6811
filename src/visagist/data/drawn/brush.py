"""What a drawn face is (its continuous identity, geometry and colours) and the brush that draws it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import skia

Colour = tuple[float, float, float]
BLACK: Colour = (0, 0, 0)
WHITE: Colour = (255, 255, 255)

CENTRE, UNIT_BOX = skia.Point(0, 0), skia.Rect.MakeLTRB(-1, -1, 1, 1)

SKINS: tuple[Colour, ...] = (
    (255, 226, 206), (247, 207, 178), (232, 184, 148), (212, 158, 118), (182, 126, 88), (146, 98, 68), (116, 76, 54),
)  # fmt: skip
DARK_HAIR: tuple[Colour, ...] = ((24, 20, 22), (42, 28, 24), (66, 42, 30), (92, 56, 36), (118, 58, 34))
BLOND_HAIR: tuple[Colour, ...] = ((214, 164, 84), (232, 190, 104), (242, 212, 138), (248, 226, 168))
IRISES: tuple[Colour, ...] = ((58, 36, 24), (96, 62, 34), (110, 112, 56), (84, 132, 116), (88, 140, 186))
FRAMES: tuple[Colour, ...] = ((18, 18, 22), (62, 26, 18), (22, 34, 78), (120, 20, 34), (30, 62, 50))


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`one` with this share of `two`."""
    return (
        first[0] + share * (second[0] - first[0]),
        first[1] + share * (second[1] - first[1]),
        first[2] + share * (second[2] - first[2]),
    )


def pick_colour(palette: tuple[Colour, ...], position: float) -> Colour:
    """The colour at a position in [0, 1] of a palette, interpolated."""
    step = position * (len(palette) - 1)
    low = min(int(step), len(palette) - 2)
    return mix(palette[low], palette[low + 1], step - low)


def colour_of_hue(turn: float, saturation: float, value: float) -> Colour:
    """A colour by hue in [0, 1], saturation in [0, 1] and value in [0, 255]."""
    wheel = [0.5 + 0.5 * math.cos(2 * math.pi * (turn - third / 3)) for third in range(3)]
    red, green, blue = (value * (1 - saturation * (1 - channel)) for channel in wheel)
    return (red, green, blue)


def uniform_factor(low: float, high: float) -> float:
    """A factor that is uniform between two numbers."""
    return field(metadata={"range": (low, high)})  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Identity:
    """Everything of a drawn face that no attribute changes, each factor uniform in its range."""

    # geometry, in sides of the image
    face_width: float = uniform_factor(0.265, 0.315)
    jaw: float = uniform_factor(0.66, 0.9)
    chin: float = uniform_factor(0.89, 0.94)
    chin_width: float = uniform_factor(0.3, 0.62)
    eye_gap: float = uniform_factor(0.128, 0.15)
    eye_y: float = uniform_factor(0.455, 0.475)
    eye_width: float = uniform_factor(0.05, 0.06)
    eye_height: float = uniform_factor(0.022, 0.031)
    eye_slant: float = uniform_factor(-0.006, 0.008)
    gaze: float = uniform_factor(-0.5, 0.5)
    brow_height: float = uniform_factor(0.068, 0.088)
    brow_weight: float = uniform_factor(0.014, 0.026)
    brow_arch: float = uniform_factor(0.005, 0.03)
    nose_y: float = uniform_factor(0.61, 0.65)
    nose_width: float = uniform_factor(0.036, 0.056)
    mouth_y: float = uniform_factor(0.745, 0.775)
    mouth_width: float = uniform_factor(0.094, 0.116)
    lip: float = uniform_factor(0.02, 0.028)
    mouth_gap: float = uniform_factor(0.042, 0.058)
    teeth: float = uniform_factor(0.15, 0.5)
    # colours, as positions in palettes
    skin: float = uniform_factor(0, 1)
    skin_hue: float = uniform_factor(-1, 1)
    iris: float = uniform_factor(0, 1)
    lip_colour: float = uniform_factor(0, 1)
    dark_hair: float = uniform_factor(0, 1)
    blond_hair: float = uniform_factor(0, 1)
    beard_colour: float = uniform_factor(0, 1)
    # hair
    hair_length: float = uniform_factor(0, 1)
    hair_volume: float = uniform_factor(0, 1)
    hair_wave: float = uniform_factor(0, 1)
    hairline: float = uniform_factor(0.195, 0.235)
    parting: float = uniform_factor(-0.16, 0.16)
    fringe: float = uniform_factor(0.365, 0.385)
    beard_length: float = uniform_factor(0.0, 0.04)
    beard_cheek: float = uniform_factor(0.62, 0.7)
    age: float = uniform_factor(0.85, 1)
    # what is worn
    frame_colour: float = uniform_factor(0, 1)
    frame_weight: float = uniform_factor(0.016, 0.024)
    lens_height: float = uniform_factor(0.06, 0.08)
    lens_round: float = uniform_factor(0.35, 1)
    hat_style: float = uniform_factor(0, 1)
    hat_hue: float = uniform_factor(0, 1)
    hat_value: float = uniform_factor(70, 215)
    hat_edge: float = uniform_factor(0.235, 0.265)
    cloth_hue: float = uniform_factor(0, 1)
    cloth_value: float = uniform_factor(50, 220)
    # pose, light, background
    yaw: float = uniform_factor(-1, 1)
    tilt: float = uniform_factor(-6, 6)
    zoom: float = uniform_factor(0.95, 1.06)
    shift_x: float = uniform_factor(-0.025, 0.025)
    shift_y: float = uniform_factor(-0.015, 0.025)
    light: float = uniform_factor(-1, 1)
    lamp_warmth: float = uniform_factor(0, 1)
    shade: float = uniform_factor(0.02, 0.22)
    backdrop_hue: float = uniform_factor(0, 1)
    backdrop_saturation: float = uniform_factor(0.05, 0.4)
    backdrop_value: float = uniform_factor(70, 225)
    backdrop_slant: float = uniform_factor(-1, 1)
    blob_x: float = uniform_factor(-0.45, 0.45)
    blob_y: float = uniform_factor(0.1, 0.6)
    noise: float = uniform_factor(0.5, 3.5)


RANGES: tuple[tuple[float, float], ...] = tuple(factor.metadata["range"] for factor in fields(Identity))


class DrawnFace:
    """An identity with attributes: where its parts lie after the turn of the head, and what colours they have."""

    def __init__(self, identity: Identity, present: Mapping[str, bool]) -> None:
        self.identity = identity
        self.present = present
        self.half_width, self.chin = identity.face_width, identity.chin
        self.eye_gap, self.eye_y, self.eye_width = identity.eye_gap, identity.eye_y, identity.eye_width
        self.nose_y, self.mouth_y = identity.nose_y, identity.mouth_y
        self.mouth_x = self.at(0, self.mouth_y, 0.12)[0]
        skin = pick_colour(SKINS, identity.skin)
        tint = (250, 170, 120) if identity.skin_hue > 0 else (225, 190, 120)
        self.skin = mix(skin, tint, 0.12 * abs(identity.skin_hue))
        self.shadow = mix(self.skin, (92, 30, 24), 0.48)
        self.blush = mix(self.skin, (226, 72, 70), 0.5)
        self.lips = mix(self.skin, mix((178, 52, 60), (214, 62, 96), identity.lip_colour), 0.62)
        self.iris = pick_colour(IRISES, identity.iris)
        blond, dark = pick_colour(BLOND_HAIR, identity.blond_hair), pick_colour(DARK_HAIR, identity.dark_hair)
        self.hair = blond if self.has("Blond_Hair") else dark
        self.frame = pick_colour(FRAMES, identity.frame_colour)
        self.cloth = colour_of_hue(identity.cloth_hue, 0.4, identity.cloth_value)
        self.hat = colour_of_hue(identity.hat_hue, 0.55, identity.hat_value)
        self.lamp = mix((255, 236, 200), (214, 232, 255), identity.lamp_warmth)
        backdrop = colour_of_hue(identity.backdrop_hue, identity.backdrop_saturation, identity.backdrop_value)
        self.backdrop = (mix(backdrop, WHITE, 0.15), mix(backdrop, BLACK, 0.25))

    def has(self, attribute: str) -> bool:
        return self.present[attribute]

    def at(self, x: float, y: float, depth: float = 0.11) -> tuple[float, float]:
        """Where a point of the front of the head lies after its turn; `depth` is how far it stands out at the axis."""
        angle = 0.24 * self.identity.yaw
        return x * math.cos(angle) + (depth - 1.1 * x * x) * math.sin(angle), y


class Brush:
    """Paths, fills, strokes and gradients on a skia canvas, all in units of the image's side."""

    def __init__(self, canvas: skia.Canvas) -> None:
        self.canvas = canvas

    def path(self, start: tuple[float, float], *moves: tuple, close: bool = True) -> skia.Path:
        """A path from `start` by moves ("line", x, y), ("quad", …) and ("cubic", …)."""
        path = skia.Path()
        path.moveTo(*start)
        draw = {"line": path.lineTo, "quad": path.quadTo, "cubic": path.cubicTo}
        for kind, *numbers in moves:
            draw[kind](*numbers)
        if close:
            path.close()
        return path

    def head(self, face: DrawnFace) -> skia.Path:
        """The outline of the head from crown to chin."""
        half, jaw, chin, top = face.half_width, face.half_width * face.identity.jaw, face.chin, 0.1
        point, path = face.identity.chin_width * face.half_width, skia.Path()
        path.moveTo(0, top)
        path.cubicTo(0.64 * half, top, half, 0.24, half, 0.45)
        path.cubicTo(half, 0.58, jaw + 0.02, 0.68, jaw, 0.76)
        path.cubicTo(0.86 * jaw, 0.86, point, chin, 0, chin)
        path.cubicTo(-point, chin, -0.86 * jaw, 0.86, -jaw, 0.76)
        path.cubicTo(-jaw - 0.02, 0.68, -half, 0.58, -half, 0.45)
        path.cubicTo(-half, 0.24, -0.64 * half, top, 0, top)
        path.close()
        return path

    def fill(self, path: skia.Path, colour: Colour, opacity: float = 1, blur: float = 0) -> None:
        self.canvas.drawPath(path, _make_paint(colour, opacity, blur))

    def stroke(self, path: skia.Path, colour: Colour, width: float, opacity: float = 1, blur: float = 0) -> None:
        paint = _make_paint(colour, opacity, blur)
        paint.setStyle(skia.Paint.kStroke_Style)
        paint.setStrokeWidth(width)
        paint.setStrokeCap(skia.Paint.kRound_Cap)
        self.canvas.drawPath(path, paint)

    def oval(self, x: float, y: float, half_width: float, half_height: float, colour: Colour, opacity: float = 1) -> None:
        box = skia.Rect.MakeLTRB(x - half_width, y - half_height, x + half_width, y + half_height)
        self.canvas.drawOval(box, _make_paint(colour, opacity, 0))

    def curve(
        self, points: Sequence[tuple[float, float]], colour: Colour, width: float, opacity: float = 1, blur: float = 0
    ) -> None:
        """Stroke the quadratic curve of three points, the middle one its control point."""
        start, control, end = points
        self.stroke(self.path(start, ("quad", *control, *end), close=False), colour, width, opacity, blur)

    def glow(self, x: float, y: float, half_width: float, half_height: float, colour: Colour, opacity: float) -> None:
        """An oval that fades to nothing at its edge; much cheaper than a blur."""
        paint = _make_shader_paint(
            skia.GradientShader.MakeRadial(CENTRE, 1, [_pack_colour(colour, opacity), _pack_colour(colour, 0)])
        )
        self.canvas.save()
        self.canvas.translate(x, y)
        self.canvas.scale(half_width, half_height)
        self.canvas.drawRect(UNIT_BOX, paint)
        self.canvas.restore()

    def fill_radial(
        self, path: skia.Path, centre: tuple[float, float], half_width: float, half_height: float, colours: Sequence[Colour]
    ) -> None:
        """Fill a path with colours from a centre outwards, the last one on an oval's edge and beyond."""
        matrix = skia.Matrix.Translate(*centre).preScale(half_width, half_height)
        shader = skia.GradientShader.MakeRadial(
            CENTRE, 1, [_pack_colour(colour, 1) for colour in colours], localMatrix=matrix
        )
        self.canvas.drawPath(path, _make_shader_paint(shader))

    def cover(
        self, start: tuple[float, float], end: tuple[float, float], first: Colour, second: Colour,
        first_opacity: float = 1, second_opacity: float = 1,
    ) -> None:  # fmt: skip
        """Cover the whole canvas with a gradient from `one` at `start` to `two` at `end`."""
        colours = [_pack_colour(first, first_opacity), _pack_colour(second, second_opacity)]
        self.canvas.drawPaint(_make_shader_paint(skia.GradientShader.MakeLinear(_points(start, end), colours)))

    def fill_linear(
        self, path: skia.Path, start: tuple[float, float], end: tuple[float, float], first: Colour, second: Colour
    ) -> None:
        """Fill a path with a gradient from `one` at `start` to `two` at `end`."""
        colours = [_pack_colour(first, 1), _pack_colour(second, 1)]
        self.canvas.drawPath(path, _make_shader_paint(skia.GradientShader.MakeLinear(_points(start, end), colours)))

    def clip(self, path: skia.Path) -> None:
        """Draw only inside the path until `restore`; its edge is not smoothed, so cover it with a line."""
        self.canvas.save()
        self.canvas.clipPath(path)

    def restore(self) -> None:
        self.canvas.restore()


def _make_paint(colour: Colour, opacity: float, blur: float) -> skia.Paint:
    paint = skia.Paint()
    paint.setAntiAlias(True)
    paint.setColor(_pack_colour(colour, opacity))
    if blur:
        paint.setMaskFilter(skia.MaskFilter.MakeBlur(skia.kNormal_BlurStyle, blur))
    return paint


def _make_shader_paint(shader: skia.Shader) -> skia.Paint:
    paint = skia.Paint()
    paint.setAntiAlias(True)
    paint.setShader(shader)
    return paint


def _points(start: tuple[float, float], end: tuple[float, float]) -> list[skia.Point]:
    return [skia.Point(*start), skia.Point(*end)]


def _pack_colour(colour: Colour, opacity: float) -> int:
    red, green, blue = colour
    return int(255 * opacity) << 24 | int(red) << 16 | int(green) << 8 | int(blue)
