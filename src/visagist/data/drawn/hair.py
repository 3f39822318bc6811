"""Hair, fringe, brows, beard and hats of a drawn face."""

from __future__ import annotations

import math
from itertools import pairwise

import skia

from visagist.data.drawn.brush import BLACK, WHITE, Brush, Colour, DrawnFace, mix, pick_colour

GREY: Colour = (206, 206, 208)
BEARDS: tuple[Colour, ...] = ((22, 18, 20), (44, 30, 26), (72, 42, 28), (98, 52, 30))


def hair_width(face: DrawnFace) -> float:
    return face.half_width + 0.03 + 0.055 * face.identity.hair_volume


def crown(face: DrawnFace) -> float:
    return 0.06 - 0.06 * face.identity.hair_volume


def draw_hair_behind(brush: Brush, face: DrawnFace) -> None:
    """What falls behind the head: short behind the ears, or down to below the frame, straight or wavy."""
    identity, width, top, half = face.identity, hair_width(face), crown(face), face.half_width
    length = max(0.0, identity.hair_length - 0.3) / 0.7
    end, wave = 0.56 + 0.6 * length, 0.04 * identity.hair_wave * min(1.0, 3 * length)
    edge = width + 0.06 * length if length else half - 0.02
    path = skia.Path()
    path.moveTo(0, top)
    path.cubicTo(0.7 * width, top, width, 0.15, width, 0.4)
    path.cubicTo(width - wave, 0.28 + 0.3 * end, edge + 2 * wave, 0.16 + 0.6 * end, edge, end)
    path.cubicTo(edge - 0.01, end + 0.06, 0.7 * half, end + 0.07, 0.55 * half, end - 0.03)
    path.lineTo(-0.55 * half, end - 0.03)
    path.cubicTo(-0.7 * half, end + 0.07, -edge + 0.01, end + 0.06, -edge, end)
    path.cubicTo(-edge - 2 * wave, 0.16 + 0.6 * end, -width + wave, 0.28 + 0.3 * end, -width, 0.4)
    path.cubicTo(-width, 0.15, -0.7 * width, top, 0, top)
    brush.fill_linear(path, (0, 0.2), (0, 1.05), mix(face.hair, BLACK, 0.2), mix(face.hair, BLACK, 0.5))
    if not length:
        return
    for side in (-1, 1):
        for share, shade in ((0.82, WHITE), (0.92, BLACK)):
            x, far = side * share * width, side * share * edge
            bend = ("cubic", x - side * wave, 0.28 + 0.3 * end, far + 2 * side * wave, 0.16 + 0.6 * end, far, end)
            brush.stroke(brush.path((x, 0.42), bend, close=False), mix(face.hair, shade, 0.28), 0.014, 0.5, 0.004)


def draw_front_hair(brush: Brush, face: DrawnFace) -> None:
    """The hair on top, down to the hairline and before the ears, with greying temples where the face is not young."""
    identity, width, top, half = face.identity, hair_width(face), crown(face), face.half_width
    line, part = identity.hairline, face.at(identity.parting, 0)[0]
    path = skia.Path()
    path.moveTo(-width, 0.47)
    path.cubicTo(-width - 0.005, 0.15, -0.7 * width, top, 0, top)
    path.cubicTo(0.7 * width, top, width + 0.005, 0.15, width, 0.47)
    path.quadTo(half + 0.01, 0.53, 0.95 * half, 0.49)
    path.cubicTo(0.96 * half, 0.4, 0.86 * half, 0.36, 0.8 * half, 0.31)
    path.quadTo(0.5 * (part + 0.8 * half), line - 0.01, part, line)
    path.quadTo(0.5 * (part - 0.8 * half), line - 0.01, -0.8 * half, 0.31)
    path.cubicTo(-0.86 * half, 0.36, -0.96 * half, 0.4, -0.95 * half, 0.49)
    path.quadTo(-half - 0.01, 0.53, -width, 0.47)
    light = identity.light
    brush.fill_linear(
        path, (-0.25 * light, top), (0.25 * light, 0.5), mix(face.hair, WHITE, 0.16), mix(face.hair, BLACK, 0.24)
    )
    brush.glow(-0.12 * light, top + 0.08, 0.2, 0.05, WHITE, 0.16)
    for side in (-1, 1):
        for share, shade in ((0.3, WHITE), (0.6, BLACK), (0.95, WHITE)):
            x = part + share * (side * 0.94 * width - part)
            low = 0.4 if share > 0.9 else line - 0.02 + 0.07 * share * share
            bend = ("cubic", part + 0.4 * (x - part), top + 0.05, x, 0.14, x, low)
            brush.stroke(brush.path((part, top + 0.03), bend, close=False), mix(face.hair, shade, 0.28), 0.011, 0.5, 0.003)
        if not face.has("Young"):
            draw_temple(brush, face, side)


def draw_temple(brush: Brush, face: DrawnFace, side: int) -> None:
    """Grey strands at one temple, in the strip of hair before the ear."""
    half, width = face.half_width, hair_width(face)
    middle = 0.5 * (0.95 * half + width)
    brush.curve([(side * (middle - 0.02), 0.26), (side * (middle + 0.01), 0.36), (side * middle, 0.475)],
                mix(GREY, face.hair, 0.15), 0.75 * (width - 0.93 * half), 0.62, 0.008)  # fmt: skip
    for share in (0.3, 0.7):
        x = side * (0.93 * half + share * (width - 0.93 * half))
        points = [(x - side * 0.05 * (1 - share), 0.25), (x, 0.36), (x, 0.48 - 0.02 * share)]
        brush.curve(points, GREY, 0.01, 0.7, 0.003)


def draw_bangs(brush: Brush, face: DrawnFace) -> None:
    """A fringe of strands over the forehead, down to the brows."""
    if not face.has("Bangs"):
        return
    identity, half, top = face.identity, 0.86 * face.half_width, crown(face) + 0.05
    tips, low = 7, identity.fringe
    brush.glow(0, low - 0.01, 1.05 * half, 0.045, face.shadow, 0.7)
    path = skia.Path()
    path.moveTo(-half - 0.02, 0.4)
    path.cubicTo(-half - 0.03, 0.25, -0.6 * half, top, 0, top)
    path.cubicTo(0.6 * half, top, half + 0.03, 0.25, half + 0.02, 0.4)
    edges = [half - 2 * half * step / tips for step in range(tips + 1)]
    for step, (x0, x1) in enumerate(pairwise(edges)):
        drop = low + 0.012 * math.cos(3 * step + 9 * identity.parting)
        path.quadTo(x0 - 0.02 * half, drop, 0.5 * (x0 + x1) - 0.02, drop)
        path.quadTo(x1 + 0.3 * (x0 - x1), low - 0.03, x1, low - 0.035)
    brush.fill_linear(path, (0, 0.1), (0, low), mix(face.hair, WHITE, 0.12), mix(face.hair, BLACK, 0.15))
    for step, x in enumerate(edges):
        points = [(0.35 * x, top + 0.04), (0.9 * x, 0.2), (0.97 * x, low - 0.045)]
        brush.curve(points, mix(face.hair, (BLACK, WHITE)[step % 2], 0.32), 0.01, 0.55, 0.003)


def draw_brows(brush: Brush, face: DrawnFace) -> None:
    """Brows a little darker than the hair, greying where the face is not young."""
    identity = face.identity
    colour = mix(face.hair, BLACK, 0.32)
    if not face.has("Young"):
        colour = mix(colour, GREY, 0.6)
    for side in (-1, 1):
        y = face.eye_y - identity.brow_height
        inner, peak, outer = (
            face.at(side * (face.eye_gap - 0.068), y + 0.006),
            face.at(side * (face.eye_gap + 0.01), y - identity.brow_arch),
            face.at(side * (face.eye_gap + 0.075), y + 0.012),
        )
        path = brush.path(inner, ("quad", *peak, *outer), close=False)
        brush.stroke(path, colour, identity.brow_weight, 0.92, 0.002)


def beard_colour(face: DrawnFace) -> Colour:
    """Dark on light skin; on dark skin near black, or grey, so that it stands out."""
    luminance = 0.3 * face.skin[0] + 0.59 * face.skin[1] + 0.11 * face.skin[2]
    if luminance > 145:
        return pick_colour(BEARDS, face.identity.beard_colour)
    return (10, 8, 10) if face.identity.beard_colour < 0.7 else (206, 204, 202)


def draw_beard(brush: Brush, face: DrawnFace) -> None:
    """A full beard with moustache from the ears round the chin."""
    if face.has("No_Beard"):
        return
    identity, half = face.identity, face.half_width
    jaw, chin, cheek = half * identity.jaw, face.chin + 0.012 + identity.beard_length, identity.beard_cheek
    point, colour = identity.chin_width * half, beard_colour(face)
    (ml, my), (mr, _), (middle, _) = face.at(-0.12, face.mouth_y - 0.045), face.at(0.12, 0), face.at(0, 0, 0.14)
    path = skia.Path()
    path.moveTo(-half, 0.5)
    path.cubicTo(-half - 0.004, 0.6, -jaw - 0.03, 0.68, -jaw - 0.012, 0.77)
    path.cubicTo(-0.9 * jaw, 0.88, -point - 0.02, chin, 0, chin)
    path.cubicTo(point + 0.02, chin, 0.9 * jaw, 0.88, jaw + 0.012, 0.77)
    path.cubicTo(jaw + 0.03, 0.68, half + 0.004, 0.6, half, 0.5)
    path.cubicTo(0.92 * half, 0.6, 0.8 * half, cheek + 0.04, mr + 0.01, my + 0.01)
    path.quadTo(middle + 0.07, face.nose_y + 0.03, middle, face.nose_y + 0.038)
    path.quadTo(middle - 0.07, face.nose_y + 0.03, ml - 0.01, my + 0.01)
    path.cubicTo(-0.8 * half, cheek + 0.04, -0.92 * half, 0.6, -half, 0.5)
    path.close()
    brush.fill(path, colour, 0.92, 0.008)
    for step in range(7):
        x = (step - 3) / 3
        points = [(0.9 * jaw * x, 0.84), (0.8 * jaw * x, 0.86), (0.55 * jaw * x, chin - 0.025 - 0.03 * x * x)]
        brush.curve(points, mix(colour, WHITE, 0.3), 0.007, 0.35)


def draw_hat(brush: Brush, face: DrawnFace) -> None:
    """A woollen hat, a cap or a hat with a brim."""
    if not face.has("Wearing_Hat"):
        return
    width, edge, style = hair_width(face) + 0.018, face.identity.hat_edge, face.identity.hat_style
    brush.glow(0, edge + 0.03, 0.98 * face.half_width, 0.065, BLACK, 0.5)
    dome = brush.path((-width, edge + 0.05), ("cubic", -width - 0.01, -0.12, width + 0.01, -0.12, width, edge + 0.05),
                      ("quad", 0, edge - 0.05, -width, edge + 0.05))  # fmt: skip
    light = face.identity.light
    brush.fill_linear(dome, (-0.3 * light, 0), (0.3 * light, 0.3), mix(face.hat, WHITE, 0.22), mix(face.hat, BLACK, 0.3))
    if style < 0.4:
        band = brush.path((-width - 0.008, edge + 0.06), ("line", -width - 0.008, edge - 0.05),
                          ("quad", 0, edge - 0.15, width + 0.008, edge - 0.05), ("line", width + 0.008, edge + 0.06),
                          ("quad", 0, edge - 0.04, -width - 0.008, edge + 0.06))  # fmt: skip
        brush.fill_linear(
            band, (-0.3 * light, 0), (0.3 * light, 0.3), mix(face.hat, WHITE, 0.35), mix(face.hat, BLACK, 0.12)
        )
        for step in range(-6, 7):
            x = step * width / 6.5
            bend = 0.05 * (x / width) ** 2
            brush.stroke(brush.path((x, edge - 0.095 + bend), ("line", x, edge - 0.005 + bend), close=False),
                         mix(face.hat, BLACK, 0.5), 0.007, 0.5)  # fmt: skip
    elif style < 0.7:
        for x in (-0.5, 0.5):
            brush.curve([(0, -0.02), (x * width, 0.05), (x * width, edge)], mix(face.hat, BLACK, 0.4), 0.007, 0.6)
        visor = brush.path((-0.9 * width, edge + 0.03), ("quad", 0, edge - 0.15, 0.9 * width, edge + 0.03),
                           ("quad", 0.1 * face.identity.yaw, edge + 0.085, -0.9 * width, edge + 0.03))  # fmt: skip
        brush.fill_linear(visor, (0, edge - 0.06), (0, edge + 0.03), mix(face.hat, BLACK, 0.2), mix(face.hat, BLACK, 0.55))
    else:
        brim = brush.path((-width - 0.13, edge + 0.03), ("quad", 0, edge - 0.15, width + 0.13, edge + 0.03),
                          ("quad", 0, edge + 0.035, -width - 0.13, edge + 0.03))  # fmt: skip
        ribbon = brush.path((-width, edge + 0.0), ("quad", 0, edge - 0.17, width, edge), ("line", width, edge - 0.06),
                            ("quad", 0, edge - 0.25, -width, edge - 0.06))  # fmt: skip
        brush.fill(ribbon, mix(face.hat, BLACK, 0.55), 0.9)
        brush.fill_linear(brim, (0, edge - 0.06), (0, edge + 0.03), mix(face.hat, WHITE, 0.15), mix(face.hat, BLACK, 0.35))
