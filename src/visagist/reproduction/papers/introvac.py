"""Table 1 and Figures 4 to 9 of Maggipinto, Terzi and Susto (2020, arXiv:2008.00760).

Their one number is a FID, on the standard Inception weights: it is set beside `fid.*` where those are given. The Fréchet
distance is that of whatever feature network is given, under its own name, and is never set against a FID.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from visagist.recipes.introvac import PAPER
from visagist.reproduction.spec import Column, Reproduction, Row, SampleSheet, Sheet

FRECHET, FID = "realism.*.reconstruction.frechet", "fid.reconstruction"
INTROVAC, VAC = "introvac/eyefacial-64", "vac/eyefacial-64"
NOT_FID = {FRECHET: "the published figure is a FID on Inception features, ours a distance of another network's features"}
FRAME = "the paper does not say how its faces were cropped: CelebA's usual centre crop, without distortion"
NO_NUMBERS = "the paper's figure has no numbers: the share of faces that the judge reads as edited is ours alone"


def added(*attributes: str) -> dict[str, float | None]:
    """Shares of faces without an attribute that have it after the edit: measured here, not published."""
    return {f"edit.{name}.from_0.success_1": None for name in attributes}


STEP = {"edit_rule": "step"}  # the paper's
LOCAL = dict.fromkeys(("edit.Eyeglasses.locality", "edit.Eyeglasses.err"))
EYE = Row("IntroVAC, Eye", "introvac/eye-128", {**added("Eyeglasses"), **LOCAL}, INTROVAC, {**STEP, "edit_delta": 3.0})
FACIAL = Row("IntroVAC, Facial", "introvac/facial-128", added("Facial_Hair"), INTROVAC, STEP)
BOTH = Row("IntroVAC, EyeFacial", "introvac/eyefacial-128", added("Eyeglasses", "Facial_Hair"), INTROVAC, STEP)
TABLE_1_ROWS = (
    Row("VAC", "vac/eyefacial-128", {FRECHET: 63.9, FID: 63.9}, VAC, incomparable=NOT_FID),
    Row("VAC, training of IntroVAC", "vac/eyefacial-128-equal", {FRECHET: None, FID: None}, VAC),
    Row("IntroVAC", "introvac/eyefacial-128", {FRECHET: 25.5, FID: 25.5}, INTROVAC, STEP, NOT_FID),
)
DETAIL = dict.fromkeys(("reconstruction.mse", "sharpness.reconstruction"))
BESIDE = tuple(replace(row, published=DETAIL, incomparable={}) for row in TABLE_1_ROWS[::2])


def triplets(row: Row, title: str, edit: Mapping[str, int], reach: float = 1.0) -> Sheet:
    """Original, reconstruction, attribute added, of faces without it."""
    columns = (Column("reconstruction", row.label), Column("added", row.label, edit, reach))
    return Sheet(title, dict.fromkeys(edit, 0), columns)


REPRODUCTIONS = (
    Reproduction(
        "introvac/table1",
        "How far reconstructions lie from photographs",
        f"{PAPER}, Table 1",
        TABLE_1_ROWS,
        (Sheet("Reconstructions", {}, tuple(Column(row.label, row.label) for row in TABLE_1_ROWS)),),
        (
            FRAME,
            "the paper gives VAC 600 epochs and IntroVAC 150: the row in between has equal training. At the small scale "
            "both VAC rows are one model, trained as long as the IntroVAC",
        ),
    ),
    Reproduction(
        "introvac/figures4-6",
        "Glasses, facial hair, and both, added",
        f"{PAPER}, Figures 4 to 6",
        (EYE, FACIAL, BOTH),
        (
            triplets(EYE, "Figure 4: glasses", {"Eyeglasses": 1}),
            triplets(FACIAL, "Figure 5: facial hair", {"Facial_Hair": 1}),
            triplets(BOTH, "Figure 6: facial hair", {"Facial_Hair": 1}),
            triplets(BOTH, "Figure 6: glasses", {"Eyeglasses": 1}),
            # delta 5 for both at once, of the 4 for one (§4.2)
            triplets(BOTH, "Figure 6: both", {"Eyeglasses": 1, "Facial_Hair": 1}, 5 / 4),
        ),
        (FRAME, NO_NUMBERS),
    ),
    Reproduction(
        "introvac/figure7",
        "Reconstructions by VAC and IntroVAC",
        f"{PAPER}, Figure 7",
        BESIDE,
        (Sheet("Reconstructions", {}, tuple(Column(row.label, row.label) for row in BESIDE)),),
        (FRAME,),
    ),
    Reproduction(
        "introvac/figures8-9",
        "Samples, with attributes asked for and without",
        f"{PAPER}, Figures 8 and 9",
        (EYE, FACIAL),
        (
            SampleSheet("Figure 8: glasses, by Langevin chains", EYE.label, {"Eyeglasses": 1}),
            SampleSheet("Figure 8: facial hair, by Langevin chains", FACIAL.label, {"Facial_Hair": 1}),
            SampleSheet("Figure 9: from the prior", EYE.label),
        ),
        (
            FRAME,
            "the paper does not say which model Figure 9 is drawn from: that of Eye here",
            "at the paper's scale the chains are the paper's, alpha = 2e-4 and 5 000 steps, which end short of the "
            "posterior (the bias is printed); at the small scale they run ten times as long in alpha K",
        ),
    ),
)
