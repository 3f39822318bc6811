"""The claims of Maggipinto, Terzi and Susto (2020, arXiv:2008.00760)."""

from __future__ import annotations

from visagist.recipes.introvac import PAPER as PAPER
from visagist.reproduction.claims.claim import AtLeast, Beats, Claim, Figures, NotMeasured

FRECHET = "realism.*.reconstruction.frechet"
NETWORK = "the FID is of Inception, ours a distance of another network; crop and balance of the sets were not published"
CLAIMS = (
    Claim(
        "Table 1, §4.2",
        "IntroVAC's reconstructions are nearer to photographs than VAC's (FID 25.5 against 63.9)",
        "introvac/table1",
        Beats(FRECHET, "IntroVAC", ("VAC",), lower=True),
        f"{NETWORK}; the paper gives VAC four times the epochs",
    ),
    Claim(
        "Figure 7, §4.2",
        "IntroVAC's reconstructions preserve more details",
        "introvac/figure7",
        Beats("sharpness.reconstruction", "IntroVAC", ("VAC",)),
        "the figure has no numbers; sharpness stands in for detail, and does not say whose detail it is",
    ),
    Claim(
        "Figure 4, §4.2",
        "glasses are added along the classifier's weight",
        "introvac/figures4-6",
        Figures((("IntroVAC, Eye", "edit.Eyeglasses.from_0.success_1"),)),
        "the figure has no numbers",
    ),
    Claim(
        "Figure 4, §4.2",
        "other parts of the image are not affected heavily",
        "introvac/figures4-6",
        Figures((("IntroVAC, Eye", "edit.Eyeglasses.locality"), ("IntroVAC, Eye", "edit.Eyeglasses.err"))),
        "the figure has no numbers",
    ),
    Claim(
        "Figure 5, §4.2",
        "facial hair is added clearly",
        "introvac/figures4-6",
        Figures((("IntroVAC, Facial", "edit.Facial_Hair.from_0.success_1"),)),
        "the figure has no numbers",
    ),
    Claim(
        "Figure 5, §4.2",
        "women assume male traits when facial hair is added",
        "residual-gan/figure7",
        AtLeast("IntroVAC, Facial", "correlations.IntroVAC, Facial.reads.Male.change", 0.0),
        "how male a face is read by a judge stands in for traits",
    ),
    Claim(
        "Figure 6, §4.2",
        "one model adds facial hair, glasses, or both",
        "introvac/figures4-6",
        Figures(
            (
                ("IntroVAC, EyeFacial", "edit.Eyeglasses.from_0.success_1"),
                ("IntroVAC, EyeFacial", "edit.Facial_Hair.from_0.success_1"),
            )
        ),
        "the figure has no numbers; both at once are drawn and not read",
    ),
    Claim(
        "§4.2, §5",
        "the other way along the weight removes an attribute",
        "introvac/figures4-6",
        NotMeasured("no figure shows it; the reports of these rows have both ways"),
        "the paper shows attributes added alone",
    ),
    Claim(
        "Figure 8, §4.3",
        "faces sampled by Langevin chains show the attribute clearly",
        "introvac/figures8-9",
        NotMeasured("samples are drawn; the share of chains that is accepted stands beside them on the page"),
        "the paper does not say how many chains it rejects",
    ),
    Claim(
        "§4.3",
        "5 000 steps of 2e-4 reach the posterior quite rapidly",
        "introvac/figures8-9",
        NotMeasured("it follows from the numbers: alpha K = 1 is 1 − 1/e of the relaxation (docs/sampling.md)"),
        "where chains start decides how much is left",
    ),
)
