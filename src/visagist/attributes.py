"""The 40 attributes of CelebA, which of them exclude each other, derived attributes, and the sets that papers name.

Source: Liu, Luo, Wang and Tang (2015), "Deep Learning Face Attributes in the Wild"; the order is that of
`list_attr_celeba.txt`. Labels are annotators' guesses from one photograph; `Male` and `Young` above all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from visagist.errors import VisagistError, nearest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CELEBA_ATTRIBUTES: tuple[str, ...] = (
    "5_o_Clock_Shadow", "Arched_Eyebrows", "Attractive", "Bags_Under_Eyes", "Bald", "Bangs", "Big_Lips", "Big_Nose",
    "Black_Hair", "Blond_Hair", "Blurry", "Brown_Hair", "Bushy_Eyebrows", "Chubby", "Double_Chin", "Eyeglasses",
    "Goatee", "Gray_Hair", "Heavy_Makeup", "High_Cheekbones", "Male", "Mouth_Slightly_Open", "Mustache", "Narrow_Eyes",
    "No_Beard", "Oval_Face", "Pale_Skin", "Pointy_Nose", "Receding_Hairline", "Rosy_Cheeks", "Sideburns", "Smiling",
    "Straight_Hair", "Wavy_Hair", "Wearing_Earrings", "Wearing_Hat", "Wearing_Lipstick", "Wearing_Necklace",
    "Wearing_Necktie", "Young",
)  # fmt: skip

THRESHOLD = 0.5  # of a probability, from which on an attribute counts as present

EXCLUSIVE_GROUPS: tuple[tuple[str, ...], ...] = (
    ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
    ("Bald", "Bangs"),
    ("Straight_Hair", "Wavy_Hair"),
    ("No_Beard", "Goatee"),
    ("No_Beard", "Mustache"),
)


@dataclass(frozen=True)
class DerivedAttribute:
    """An attribute that a face has where at least one of its parts says so.

    parts     attributes, each with the label, 1 or 0, that says so
    required  parts without which the rule would mean something else; the others refine it where they are known
    """

    parts: tuple[tuple[str, int], ...]
    required: tuple[str, ...]


# No_Beard denies goatee and mustache as well, so that alone it is the whole rule where labels keep to their meaning. The
# other two catch annotators (and judges) who contradict themselves.
DERIVED: dict[str, DerivedAttribute] = {
    "Facial_Hair": DerivedAttribute(parts=(("No_Beard", 0), ("Goatee", 1), ("Mustache", 1)), required=("No_Beard",)),
}

# The data sets of Maggipinto, Terzi and Susto (IntroVAC), section 4.1.
ATTRIBUTE_SETS: dict[str, tuple[str, ...]] = {
    "Eye": ("Eyeglasses",),
    "Facial": ("Facial_Hair",),
    "EyeFacial": ("Eyeglasses", "Facial_Hair"),
}

Box = tuple[float, float, float, float]

# Where in an aligned face (fractions of the 148×148 crop: left, top, right, bottom) an attribute shows.
REGIONS: dict[str, Box] = {
    "Smiling": (0.15, 0.52, 0.85, 0.97),
    "Mouth_Slightly_Open": (0.25, 0.60, 0.75, 0.97),
    "Eyeglasses": (0.05, 0.28, 0.95, 0.65),
    "No_Beard": (0.10, 0.50, 0.90, 1.00),
    "Facial_Hair": (0.10, 0.50, 0.90, 1.00),
    "Bangs": (0.05, 0.00, 0.95, 0.45),
    "Wearing_Hat": (0.00, 0.00, 1.00, 0.45),
    "Blond_Hair": (0.00, 0.00, 1.00, 1.00),
    "Young": (0.00, 0.00, 1.00, 1.00),
}
WHOLE_FACE: Box = (0.00, 0.00, 1.00, 1.00)

# What CelebA says of the form of hair; none of its attributes says how long hair is.
FORM_OF_HAIR = ("Bald", "Bangs", "Receding_Hairline", "Straight_Hair", "Wavy_Hair")

# Where long hair falls in an aligned face: left and right of jaw and neck. Women and beardless men among CelebA's training
# faces differ here in the mean, men with and without a beard hardly (docs/correlations.md).
NECK_SIDES: tuple[Box, ...] = ((0.0, 0.5, 0.1875, 1.0), (0.8125, 0.5, 1.0, 1.0))

# Labels that say much the same as the attribute: what goes together with it is also asked without them.
OVERLAPPING: dict[str, tuple[str, ...]] = {
    "Smiling": ("High_Cheekbones", "Mouth_Slightly_Open"),
    "Mouth_Slightly_Open": ("Smiling", "High_Cheekbones"),
    "No_Beard": ("5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"),
    "Facial_Hair": ("5_o_Clock_Shadow", "Sideburns"),
    "Blond_Hair": ("Black_Hair", "Brown_Hair", "Gray_Hair"),
    "Male": ("Heavy_Makeup", "Wearing_Lipstick", "No_Beard", "5_o_Clock_Shadow", "Goatee", "Mustache", "Sideburns"),
}


# Readings that may change with an attribute: they say the same, or go with it by nature.
CHANGES_WITH: tuple[frozenset[str], ...] = tuple(
    frozenset(names)
    for names in (
        ("No_Beard", "Mustache", "Goatee", "5_o_Clock_Shadow", "Sideburns"),
        ("Smiling", "Mouth_Slightly_Open", "High_Cheekbones"),
        ("Black_Hair", "Blond_Hair", "Brown_Hair", "Gray_Hair"),
        ("Heavy_Makeup", "Wearing_Lipstick", "Attractive", "Rosy_Cheeks", "Arched_Eyebrows"),
        ("Young", "Gray_Hair", "Attractive", "Bags_Under_Eyes", "Receding_Hairline"),
        ("Bangs", "Wearing_Hat", "Bald", "Receding_Hairline", "Straight_Hair", "Wavy_Hair"),
        ("Eyeglasses", "Bags_Under_Eyes", "Narrow_Eyes", "Bushy_Eyebrows", "Arched_Eyebrows"),
        ("Pale_Skin", "Rosy_Cheeks"),
        ("Male", "Heavy_Makeup", "Wearing_Lipstick", "No_Beard", "5_o_Clock_Shadow", "Attractive", "Arched_Eyebrows"),
    )
)


# Plain words for attributes: each the attribute and 1, or -1 where the word says its absence. The first that a model knows
# counts.
_WORDS: dict[str, tuple[tuple[str, int], ...]] = {
    "smile happy laugh grin": (("Smiling", 1),),
    "serious sad": (("Smiling", -1),),
    "glasses spectacles specs": (("Eyeglasses", 1),),
    "beard": (("No_Beard", -1), ("Facial_Hair", 1)),
    "shaved clean_shaven shaven": (("No_Beard", 1), ("Facial_Hair", -1)),
    "moustache": (("Mustache", 1),),
    "stubble": (("5_o_Clock_Shadow", 1),),
    "old older aged elderly": (("Young", -1),),
    "younger youth": (("Young", 1),),
    "fringe": (("Bangs", 1),),
    "blond blonde blonde_hair": (("Blond_Hair", 1),),
    "dark_hair": (("Black_Hair", 1),),
    "brunette": (("Brown_Hair", 1),),
    "grey_hair white_hair grey gray": (("Gray_Hair", 1),),
    "makeup make_up": (("Heavy_Makeup", 1),),
    "lipstick": (("Wearing_Lipstick", 1),),
    "hat cap": (("Wearing_Hat", 1),),
    "mouth_open open_mouth": (("Mouth_Slightly_Open", 1),),
    "man masculine": (("Male", 1),),
    "woman female feminine": (("Male", -1),),
    "cheekbones": (("High_Cheekbones", 1),),
    "earrings": (("Wearing_Earrings", 1),),
    "necklace": (("Wearing_Necklace", 1),),
    "tie necktie": (("Wearing_Necktie", 1),),
    "curly curly_hair": (("Wavy_Hair", 1),),
    "pale": (("Pale_Skin", 1),),
}
ALIASES = {word: meant for words, meant in _WORDS.items() for word in words.split()}


def find_attribute(word: str, known: Sequence[str]) -> tuple[str, int] | None:
    """The known attribute that a word means, in any case and with blanks or hyphens, and 1, or -1 for its absence."""
    if word in known:
        return word, 1
    plain = _plain(word)
    same = next((name for name in known if _plain(name) == plain), None)
    if same is not None:
        return same, 1
    return next((meant for meant in ALIASES.get(plain, ()) if meant[0] in known), None)


def aliases_of(attribute: str) -> list[str]:
    """The plain words for an attribute, those for its absence with a minus before them."""
    return [("" if sign > 0 else "-") + word for word, meant in ALIASES.items() for name, sign in meant if name == attribute]


def resolve_strengths(strengths: Mapping[str, float], known: Sequence[str], where: str) -> dict[str, float]:
    """Strengths by the attributes that plain words mean: `old=1` is `Young=-1`.

    VisagistError for a word that means none of `known`, with the nearest names and words, and for one attribute named twice.
    """
    resolved: dict[str, float] = {}
    for word, strength in strengths.items():
        meant = find_attribute(word, known)
        if meant is None:
            words = [alias for alias, all_meant in ALIASES.items() if any(name in known for name, _ in all_meant)]
            raise VisagistError(f"no attribute {word!r} in {where}: {nearest(word, [*known, *words])}")
        if meant[0] in resolved:
            raise VisagistError(f"{meant[0]} is named twice, by {_words_for(meant[0], strengths, known)}: name it once")
        resolved[meant[0]] = strength * meant[1] if isinstance(strength, (int, float)) else strength
    return resolved


def _words_for(attribute: str, words: Iterable[str], known: Sequence[str]) -> str:
    return " and ".join(word for word in words if (find_attribute(word, known) or ("",))[0] == attribute)


def _plain(word: str) -> str:
    return word.strip().lower().replace(" ", "_").replace("-", "_")


def check_attributes(requested: Sequence[str], available: Iterable[str], where: str = "the data") -> tuple[str, ...]:
    """Return `wanted` as a tuple, or raise VisagistError that offers the nearest names in `available`."""
    known = list(available)
    for name in requested:
        if name not in known:
            raise VisagistError(f"no attribute {name!r} in {where}: {nearest(name, known)}")
    if len(set(requested)) != len(requested):
        raise VisagistError(f"an attribute is named twice: {', '.join(requested)}; name each once")
    return tuple(requested)


def with_derived(names: Sequence[str]) -> tuple[str, ...]:
    """These names, then the derived attributes that follow from them."""
    derived = [name for name, rule in DERIVED.items() if name not in names and set(rule.required) <= set(names)]
    return (*names, *derived)


def check_available(requested: Sequence[str], names: Sequence[str], where: str = "the data") -> tuple[str, ...]:
    """As `check_attributes`, but what can be derived from `names` is there too."""
    for name in requested:
        if name in DERIVED and name not in with_derived(names):
            missing = ", ".join(part for part in DERIVED[name].required if part not in names)
            raise VisagistError(
                f"no attribute {name!r} in {where}, nor what it is derived from: it is {describe_rule(name)}; "
                f"give faces that are labelled with {missing}"
            )
    return check_attributes(requested, with_derived(names), where)


def describe_rule(derived: str, names: Sequence[str] | None = None) -> str:
    """The rule of a derived attribute in words, as it applies where only `names` are known."""
    parts = DERIVED[derived].parts
    words = [("" if says else "not ") + part for part, says in parts if names is None or part in names]
    unknown = [part for part, _ in parts if names is not None and part not in names]
    return ", or ".join(words) + (f" ({', '.join(unknown)} not known)" if unknown else "")


def rules_in_use(requested: Iterable[str], names: Sequence[str]) -> dict[str, str]:
    """Those of `wanted` that have to be derived from `names`, each with its rule in words."""
    return {name: describe_rule(name, names) for name in requested if name not in names and name in with_derived(names)}


def attribute_column(table: NDArray[Any], names: Sequence[str], attribute: str) -> NDArray[Any]:
    """Column [N] of an attribute out of a table [N, A] of labels 0 and 1 or of probabilities, derived where need be.

    A derived attribute is the largest of its parts: "or" on labels, and of probabilities p, or 1 - p where 0 says so, the
    one number that passes any threshold exactly where a part does. A product as for independent parts would count the
    same beard thrice.
    """
    if attribute in names:
        return table[:, names.index(attribute)]
    known = [(part, says) for part, says in DERIVED[attribute].parts if part in names]
    columns = [table[:, names.index(part)] for part, _ in known]
    import numpy as np  # here, as names of attributes are checked before anything large is imported

    return np.maximum.reduce([column if says else 1 - column for column, (_, says) in zip(columns, known)])


def attribute_columns(table: NDArray[Any], names: Sequence[str], requested: Sequence[str]) -> NDArray[Any]:
    """Columns [N, W] of several attributes, each as `attribute_column` gives it."""
    import numpy as np

    columns = np.empty((len(table), len(requested)), table.dtype)
    for column, name in enumerate(requested):
        columns[:, column] = attribute_column(table, names, name)
    return columns


def reads_as(scores: NDArray[Any], target: NDArray[Any] | bool) -> NDArray[np.bool_]:
    """Whether scores [N] are read as the class `target`, of all or of each: present from `THRESHOLD` on, absent below.

    After an edit toward `target` this is its success.
    """
    return (scores >= THRESHOLD) == target


def changes_with(attribute: str) -> frozenset[str]:
    """The attributes that may be read differently after an edit of this one."""
    return frozenset({attribute}).union(*(names for names in CHANGES_WITH if attribute in names))


def related_attributes(attribute: str) -> frozenset[str]:
    """The attribute, its parts, and the derived attributes it is part of: they change with it by definition."""
    parts = {part for part, _ in DERIVED[attribute].parts} if attribute in DERIVED else set()
    wholes = {name for name, rule in DERIVED.items() if attribute in dict(rule.parts)}
    return frozenset({attribute} | parts | wholes)


def equivalent_attribute(attribute: str, known: Sequence[str]) -> tuple[str, int] | None:
    """The known attribute with the same meaning, and 1, or with the opposite meaning, and -1; None where there is none.

    It is the attribute itself, else one derived from it alone (`Facial_Hair` for `No_Beard`: -1), or the reverse.
    """
    if attribute in known:
        return attribute, 1
    for derived, rule in DERIVED.items():
        for part in rule.required if len(rule.required) == 1 else ():
            pair = {derived: part, part: derived}
            if attribute in pair and pair[attribute] in known:
                return pair[attribute], 1 if dict(rule.parts)[part] else -1
    return None


def check_set(name: str) -> tuple[str, ...]:
    """The attributes of a named set; VisagistError with the nearest names if there is none."""
    if name not in ATTRIBUTE_SETS:
        raise VisagistError(f"no attribute set {name!r}: {nearest(name, ATTRIBUTE_SETS)}")
    return ATTRIBUTE_SETS[name]


def refuse_conflicting(strengths: Mapping[str, float]) -> None:
    """Raise VisagistError where two attributes are asked for that no face shows together."""
    for first, second in conflicts({name: strength > 0 for name, strength in strengths.items()}):
        raise VisagistError(
            f"{first} and {second} exclude each other, and both are to be given: "
            "give one, and take the other away or leave it"
        )


def conflicts(settings: dict[str, bool]) -> list[tuple[str, str]]:
    """Pairs of attributes that are both asked to be present although a face cannot show both."""
    present = [name for name, value in settings.items() if value]
    return [
        (a, b)
        for i, a in enumerate(present)
        for b in present[i + 1 :]
        if any(a in group and b in group for group in EXCLUSIVE_GROUPS)
    ]
