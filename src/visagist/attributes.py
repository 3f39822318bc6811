"""The 40 attributes of CelebA, which of them exclude each other, and the sets that papers name.

Source: Liu, Luo, Wang and Tang (2015), "Deep Learning Face Attributes in the Wild"; the order is that of
`list_attr_celeba.txt`. Labels are annotators' guesses from one photograph; `Male` and `Young` above all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from visagist.errors import VisagistError, nearest

CELEBA_ATTRIBUTES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)  # fmt: skip

EXCLUSIVE_GROUPS: tuple[tuple[str, ...], ...] = (
    ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    ("Bald", "Bangs"),
    ("Straight_Hair", "Wavy_Hair"),
    ("No_Beard", "Goatee"),
    ("No_Beard", "Mustache"),
)

# Where in an aligned face (fractions of the 148×148 crop: left, top, right, bottom) an attribute shows.
REGIONS: dict[str, tuple[float, float, float, float]] = {
    "Smiling": (0.15, 0.52, 0.85, 0.97),
    "Mouth_Slightly_Open": (0.25, 0.60, 0.75, 0.97),
    "Eyeglasses": (0.05, 0.28, 0.95, 0.65),
    "No_Beard": (0.10, 0.50, 0.90, 1.00),
    "Bangs": (0.05, 0.00, 0.95, 0.45),
    "Wearing_Hat": (0.00, 0.00, 1.00, 0.45),
    "Blond_Hair": (0.00, 0.00, 1.00, 1.00),
    "Young": (0.00, 0.00, 1.00, 1.00),
}


def check_attributes(wanted: Sequence[str], available: Iterable[str], where: str = "the data") -> tuple[str, ...]:
    """Return `wanted` as a tuple, or raise VisagistError that offers the nearest names in `available`."""
    known = list(available)
    for name in wanted:
        if name not in known:
            raise VisagistError(f"no attribute {name!r} in {where}: {nearest(name, known)}")
    if len(set(wanted)) != len(wanted):
        raise VisagistError(f"an attribute is named twice: {', '.join(wanted)}; name each once")
    return tuple(wanted)


def conflicts(settings: dict[str, bool]) -> list[tuple[str, str]]:
    """Pairs of attributes that are both asked to be present although a face cannot show both."""
    present = [name for name, value in settings.items() if value]
    return [
        (a, b)
        for i, a in enumerate(present)
        for b in present[i + 1 :]
        if any(a in group and b in group for group in EXCLUSIVE_GROUPS)
    ]
