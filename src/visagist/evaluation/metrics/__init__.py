"""One family of metrics a module. `FAMILIES` is the order of `metrics.json`, `METRICS` that of the lines of a page.

Steps of `each` attribute that follow each other are done attribute by attribute, so that its edits are made once.
"""

from __future__ import annotations

from visagist.evaluation.context import Family
from visagist.evaluation.metrics import (
    classification,
    consistency,
    cost,
    counterfactual,
    decoder_recovery,
    direction_edits,
    distribution,
    edit_curves,
    edits,
    identity,
    leakage,
    panel,
    reconstruction,
    sampling,
)
from visagist.evaluation.results import Metric

FAMILIES = (
    Family("reconstruction", reconstruction.measure_reconstruction, reconstruction.METRICS),
    Family("classification", classification.measure_judge),
    Family("classification", classification.measure_classification),
    Family("identity", identity.measure_identity),
    Family("identity", identity.measure_faces),
    Family("realism", distribution.measure_realism),
    Family("realism", reconstruction.measure_perceptual),
    Family("composition", consistency.measure_null_edits, needs="edit", missing="edit.*"),
    Family("panel", panel.measure_panel, panel.METRICS, each=True, needs="edit"),
    Family("edits", edits.measure_edits, edits.METRICS, each=True, needs="edit"),
    Family("edits", edits.measure_at_class, each=True, needs="edit"),
    Family("edits", consistency.measure_calibration, each=True, needs="edit"),
    Family("second judge", panel.measure_second, panel.SECOND_METRICS, each=True, needs="edit"),
    Family("composition", consistency.measure_undo, consistency.METRICS, each=True, needs="edit"),
    Family("identity", identity.measure_identity_of_edits, identity.METRICS, each=True, needs="edit"),
    Family("identity", identity.measure_faces_of_edits, each=True, needs="edit"),
    Family("realism", distribution.measure_realism_of_edits, distribution.METRICS, each=True, needs="edit"),
    Family(
        "counterfactual", counterfactual.measure_counterfactual, counterfactual.METRICS, needs="edit",
        missing="counterfactual.*",
    ),
    Family("leakage", leakage.measure_leakage, (*leakage.METRICS, *classification.METRICS), each=True),
    Family("recovery", decoder_recovery.measure_recovery, decoder_recovery.METRICS),
    Family("entanglement", leakage.measure_entanglement, leakage.ENTANGLEMENT_METRICS),
    Family("sampling", sampling.measure_acceptance, sampling.METRICS, each=True),
    Family("sharpness", reconstruction.measure_sharpness),
    Family("inception", distribution.measure_inception),
    Family("cost", cost.measure_cost, cost.METRICS),
)  # fmt: skip
METRICS: tuple[Metric, ...] = (
    *(metric for family in FAMILIES for metric in family.metrics), *edit_curves.METRICS, *direction_edits.METRICS,
)  # fmt: skip
