"""The claims of Creswell et al. (2017, arXiv:1711.05175)."""

from __future__ import annotations

from visagist.recipes.ifcvae_gan import FIGURE_2_ATTRIBUTES, FIGURE_4_ATTRIBUTES
from visagist.recipes.ifcvae_gan import PAPER as PAPER
from visagist.reproduction.claims.claim import AtLeast, Beats, Claim, Figures, Near

MSE, SUM = "reconstruction.mse", "edit.Smiling.success_sum"
TAKEN, KEPT = "edit.Smiling.success_0", "edit.Smiling.success_1"
TABLE_1, TABLE_2, TABLE_3 = "ifcvae-gan/table1", "ifcvae-gan/table2", "ifcvae-gan/table3"
JUDGE = "the paper's judge was not published, and its test faces of Table 1 are few (all its shares are multiples of 1/16)"
IGNORED = (
    "a model that ignores the label has a sum of 1 whatever its losses are, so few images end there too; edits here are at "
    "calibrated strength and judge-64 reads them, where the paper flips the label"
)
SIZES = "the residual networks' sizes were not published"
CLAIMS = (
    Claim(
        "Table 1, §4.1",
        "IFcVAE-GAN edits smiles both ways: MSE .028, 81.3 % without and 100 % with a smile",
        TABLE_1,
        Figures((("ours", MSE), ("ours", TAKEN), ("ours", KEPT))),
        JUDGE,
    ),
    Claim(
        "Table 1, §4.1",
        "without L_aux the model fails completely to edit: both shares add up to about 100 %",
        TABLE_1,
        Near("without L_aux", SUM, 1.0, 0.1),
        IGNORED,
    ),
    Claim("Table 1, §4.1", "L_aux is what makes edits succeed", TABLE_1, Beats(SUM, "ours", ("without L_aux",)), IGNORED),
    Claim(
        "Table 1, §4.1",
        "L_class_hat provides no clear benefit",
        TABLE_1,
        Near("with L_class_hat", SUM, "ours", 0.1),
        "its weight was never published and is taken equal to rho",
    ),
    Claim(
        "Table 1, §4.1",
        "L_class_hat alone does not do it: the shares add up to about 100 %, and no face loses its smile",
        TABLE_1,
        Near("without L_aux, with L_class_hat", SUM, 1.0, 0.1),
        "its weight was never published; released code cuts its gradient to the decoder, here it arrives",
    ),
    Claim(
        "Table 2, §4.3",
        "98 % lose their smile by IFcVAE-GAN, 22 % by the cVAE-GAN of Bao et al.",
        TABLE_2,
        Beats(TAKEN, "ours", ("Bao et al.",)),
        f"{SIZES}; Bao et al. are without their losses of features, as in the paper",
    ),
    Claim(
        "Table 2",
        "both reconstruct equally well (MSE .011)",
        TABLE_2,
        Near("ours", MSE, "Bao et al.", 0.002),
        SIZES,
    ),
    Claim(
        "contribution 4, §4.3",
        "smiles are edited in more than 90 % of the test cases",
        TABLE_2,
        AtLeast("ours", TAKEN, 0.9),
        SIZES,
    ),
    Claim(
        "Table 3",
        "IFcVAE-GAN, residual form: MSE .011, 98 and 100 %, accuracy of its encoder 92 %",
        TABLE_3,
        Figures((("ours", MSE), ("ours", TAKEN), ("ours", KEPT), ("ours", "classification.Smiling.accuracy"))),
        SIZES,
    ),
    Claim(
        "Table 3",
        "without L_aux edits fail in the residual form too (28 and 91 %)",
        TABLE_3,
        Beats(SUM, "ours", ("without L_aux", "without L_aux, with L_class_hat")),
        IGNORED,
    ),
    Claim(
        "§4.3",
        "with rho = 1 the same: MSE .011, 98 and 100 %",
        TABLE_3,
        Figures((("ours, rho = 1 (§4.3)", MSE), ("ours, rho = 1 (§4.3)", TAKEN), ("ours, rho = 1 (§4.3)", KEPT))),
        f"the paper prints this row with rho = .1 and with rho = 1; {SIZES}",
    ),
    Claim(
        "Table 3, appendix",
        "more regularisation reduces the quality of reconstruction (MSE .020 at alpha = .1 against .011)",
        TABLE_3,
        Beats(MSE, "ours", ("alpha = .1",), lower=True),
        SIZES,
    ),
    Claim(
        "Table 3, appendix",
        "L_class_hat has no significant benefit in the residual form either",
        TABLE_3,
        Near("with L_class_hat", SUM, "ours", 0.1),
        "its weight was never published and is taken equal to rho",
    ),
    Claim(
        "§2.5, §4.2",
        "the identity code tells nothing of the attribute: H(y | z) is about H(y)",
        TABLE_3,
        Near("ours", "leakage.Smiling.best.balanced_accuracy", 0.5, 0.05),
        "the paper takes it from its auxiliary network's failure; here fresh probes read the code (docs/factorisation.md)",
    ),
    Claim(
        "Figure 2, §4.2",
        "the encoder classifies ten attributes as well as a state of the art, six of them better",
        "ifcvae-gan/figure2",
        Figures(tuple(("ours", f"classification.{name}.accuracy") for name in FIGURE_2_ATTRIBUTES)),
        "the values are in a picture alone, the attributes are our choice, and the other classifier is not run",
    ),
    Claim(
        "Figure 4, §4.4",
        "other attributes are edited with good reconstructions",
        "ifcvae-gan/figure4",
        Figures(tuple(("ours", f"edit.{name}.success_0") for name in FIGURE_4_ATTRIBUTES)),
        "the figure shows faces and no numbers",
    ),
)
