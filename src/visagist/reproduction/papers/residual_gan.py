"""Figures 4 to 9 and Table 2 of Shen and Liu (2017, arXiv:1612.05363): edits of six attributes, on faces of another source
too, the ablations, beards for women, landmarks without glasses, and faces that are turned to a side.

The figures have no numbers. Beside the pictures stand the judge's readings of edits both ways, how much of the change lies
in the attribute's region, and how much else is read differently.
"""

from __future__ import annotations

from dataclasses import replace

from visagist.attributes import FORM_OF_HAIR
from visagist.evaluation.landmark_gain import PUBLISHED
from visagist.recipes.residual_gan import PAPER, SIX, WHOLE_FACE
from visagist.reproduction.papers.introvac import FACIAL
from visagist.reproduction.spec import Column, Correlated, Gain, Poses, Reproduction, Row, Sheet

NO_NUMBERS = "the paper's figure has no numbers: what the judge reads is ours alone"
FACES = "faces are the official test split's, not 1 000 of each class drawn at random"
BASELINE = "VAE/GAN edits along attribute vectors, z + alpha v, of 2 000 training faces of each class or fewer"
SMALL = "residual-gan/eyeglasses-64"


def measured(attribute: str) -> dict[str, float | None]:
    """Success both ways, other attributes read differently, locality of local ones: measured here, not published."""
    keys = ("success_0", "from_0.success_1", "err") + (() if attribute in WHOLE_FACE else ("locality",))
    return {f"edit.{attribute}.{key}": None for key in keys}


FIGURE_4_ROWS = tuple(
    Row(
        recipe.attributes[0].replace("_", " "),
        recipe.name,
        measured(recipe.attributes[0]),
        SMALL,
        {name: getattr(recipe.config, name) for name in ("pixel_weight", "perceptual_weight")},
    )
    for recipe in SIX
)
VAE_GAN = Row("VAE/GAN", "vae-gan/celeba-128", {"reconstruction.mse": None}, "vae-gan/narrow-64")
BY_VECTORS = replace(
    VAE_GAN,
    published={**VAE_GAN.published, **{key: None for recipe in SIX for key in measured(recipe.attributes[0])}},
    vectors=tuple(recipe.attributes[0] for recipe in SIX),
)
FIGURE_6_ROWS = (
    Row("ours", "residual-gan/eyeglasses-128", measured("Eyeglasses"), SMALL),
    Row(
        "without residuals",
        "residual-gan/eyeglasses-128-no-residual",
        measured("Eyeglasses"),
        "residual-gan/eyeglasses-64-no-residual",
    ),
    Row(
        "without dual learning",
        "residual-gan/eyeglasses-128-no-dual",
        measured("Eyeglasses"),
        "residual-gan/eyeglasses-64-no-dual",
    ),
)
GLASSES, NO_BEARD = FIGURE_4_ROWS[0], next(row for row in FIGURE_4_ROWS if row.label == "No Beard")
FIGURE_7_ROWS = (
    replace(NO_BEARD, label="Residual images"),
    VAE_GAN,
    FACIAL,
)


TRUTH = "landmarks.truth.ert68"
TABLE_2 = Gain(
    "ours",
    "Eyeglasses",
    {
        **{f"{TRUTH}.{key}": value for key, value in PUBLISHED.items() if key != "rest_gain"},
        # What stands in where the faces come without landmarks.
        **{f"landmarks.{name}.ert68.eye_gain": None for name in ("beside-ert5", "photo-ert5", "drawn", "drawn-truth")},
    },
    {
        f"{TRUTH}.{faces}.{part}_error": "it is the detector's error on photographs, whatever the model"
        for faces in ("without", "with")
        for part in ("eye", "rest")
    },
)


def both_ways(row: Row, attribute: str, beside: tuple[str, ...] = ()) -> tuple[Sheet, Sheet]:
    """Faces without it and with it, each edited to the other, the residual, and the edit by rows `beside`."""
    name = attribute.replace("_", " ")
    titles = {1: f"{name} added", 0: f"{name} taken away"}
    made = {
        value: Sheet(
            title,
            {attribute: 1 - value},
            (
                Column("edited", row.label, {attribute: value}),
                Column("residual", row.label, {attribute: value}, shown="residual"),
                *(Column(other, other, {attribute: value}) for other in beside),
            ),
            3,
        )
        for value, title in titles.items()
    }
    return made[1], made[0]


REPRODUCTIONS = (
    Reproduction(
        "residual-gan/figure4",
        "Six attributes, both ways, with their residuals",
        f"{PAPER}, Figure 4",
        (*FIGURE_4_ROWS, BY_VECTORS),
        tuple(
            sheet
            for row, recipe in zip(FIGURE_4_ROWS, SIX)
            for sheet in both_ways(row, recipe.attributes[0], (BY_VECTORS.label,))
        ),
        (FACES, NO_NUMBERS, BASELINE),
    ),
    Reproduction(
        "residual-gan/figure5",
        "Six attributes, both ways, on faces of another source",
        f"{PAPER}, Figure 5",
        FIGURE_4_ROWS,
        tuple(sheet for row, recipe in zip(FIGURE_4_ROWS, SIX) for sheet in both_ways(row, recipe.attributes[0])),
        (
            "the models are those of Figure 4. The paper's other source is Labeled Faces in the Wild; it is measured where "
            "--other names a copy of it that is labelled, else drawn faces are",
            "drawn faces for --data and photographs for --other ask the other way round",
            NO_NUMBERS,
        ),
        elsewhere=True,
    ),
    Reproduction(
        "residual-gan/figure6",
        "Glasses without residual learning and without dual learning",
        f"{PAPER}, Figure 6",
        FIGURE_6_ROWS,
        tuple(
            Sheet(
                title,
                {"Eyeglasses": 1 - value},
                tuple(Column(row.label, row.label, {"Eyeglasses": value}) for row in FIGURE_6_ROWS),
            )
            for title, value in (("Glasses taken away", 0), ("Glasses added", 1))
        ),
        (FACES, NO_NUMBERS),
    ),
    Reproduction(
        "residual-gan/table2",
        "Landmarks found with glasses taken away",
        f"{PAPER}, Table 2",
        (Row("ours", "residual-gan/eyeglasses-128", {"edit.Eyeglasses.success_0": None}, SMALL),),
        (Sheet("Glasses taken away", {"Eyeglasses": 1}, (Column("edited", "ours", {"Eyeglasses": 0}),)),),
        (
            FACES,
            "the detector is dlib's own model of 68 points, trained on 300-W as the paper's was, but not by the authors",
            "300-W's licence excludes commercial use",
            "gains are differences of the paper's means; without CelebA's landmark file only the stand-ins are measured",
        ),
        gains=(TABLE_2,),
    ),
    Reproduction(
        "residual-gan/figure7",
        "Beards for women: does the hair get shorter?",
        f"{PAPER}, Figure 7 and §6.3",
        FIGURE_7_ROWS,
        (),
        (
            "the paper shows a few faces, and its one number is the correlation of the labels of Male and No_Beard. Here "
            "all models add a beard to the same women at calibrated strength, and two judges read them",
            "CelebA has no label of how long hair is, so no judge reads it: the form of hair stands in for it, and how "
            "much of the change lies beside jaw and neck, where long hair falls (docs/correlations.md)",
            "IntroVAC, which the paper does not know, edits facial hair by its own setting and along directions in its code",
        ),
        correlated=Correlated(
            "Beards for women",
            "No_Beard",
            -1.0,
            {"Male": 0},
            ("Male", "Heavy_Makeup", *FORM_OF_HAIR),
            {FACIAL.label: ("classifier", "mean")},
            {"Male": -0.5222},
        ),
    ),
    Reproduction(
        "residual-gan/figures8-9",
        "Glasses taken away from faces that are turned to a side",
        f"{PAPER}, Figure 9",
        (GLASSES,),
        (Poses("Figure 9: the largest yaw", GLASSES.label, {"Eyeglasses": 1}, {"Eyeglasses": 0}),),
        (
            "the paper chose its failures by eye: here they are the faces of the largest yaw by five landmarks, "
            "whether the edit fails on them or not",
            NO_NUMBERS,
        ),
    ),
)
