"""When something is clear, certain or sacrificed, and the names of what is judged: one place.

Figures, report, study, audits and README use these; what a statement or a toy needs as well is
defined in `theory` and only listed here.
"""

from covlaw.theory.estimators.interference import SACRIFICE
from covlaw.theory.estimators.sign_certificate import CERTAIN

__all__ = [
    "BASELINE",
    "BUDGET_TERMS",
    "CERTAIN",
    "CLEAR",
    "DIAGNOSES",
    "END_SHARE",
    "END_STEPS",
    "HORIZONS",
    "LAWS",
    "OWN_BATCH",
    "POWER",
    "PREDICTIONS",
    "PREDICTION_WORDS",
    "SACRIFICE",
    "SHOWN_PREDICTIONS",
]

CLEAR = 2.0
"""Standard errors beyond which a number stands out of its noise, and half the width of every bar:
two-sided 4.6 % of a normal. `CERTAIN` (3, one-sided .135 %) gives an alarm, tells a fall between
the ends of a run from noise, and stands in for the certificate that an old audit lacks (T21)."""

END_SHARE, END_STEPS = 0.1, 10
"""A run's start and end are means over this share of its steps, and no more than so many."""

POWER = 0.8
"""Share of changes of a size that has to lie beyond 3 errors for that size to count as seen."""

HORIZONS = (5, 20)
"""Steps of the stretches that forecasts are judged on, besides the audited steps themselves."""

LAWS = ("law", "clipped", "clipped_centred")
"""The forecast, an audit's covariances with the signal: in its units, times `scale` changes. Only
they are known before the step; their scale is that of the finished one, and only its sign and the
order of objectives are forecast."""

OWN_BATCH = "own_batch"
"""The exact form on the samples that made the update: optimistic, for comparison."""

DIAGNOSES = ("first_order", "exact_change", OWN_BATCH)
"""What is known only after the step: the first order needs the finished step, the exact form the
new policy. They say what the step does before a reward curve can show it."""

PREDICTIONS = (*LAWS, *DIAGNOSES)
"""Everything that is judged by what happened."""

BASELINE = "measured"
"""The obvious alternative to a diagnosis, at the same number of completions: the plain difference
of the mean rewards of fresh completions of the new and of the old policy."""

PREDICTION_WORDS = {
    "law": "forecast: law",
    "clipped": "forecast: clipped law",
    "clipped_centred": "forecast: clipped law, centred",
    "first_order": "diagnosis: first order",
    "exact_change": "diagnosis: exact form",
    OWN_BATCH: "diagnosis: exact form, own batch",
    BASELINE: "baseline: difference of means",
}
"""What tables call them."""

SHOWN_PREDICTIONS = ("law", "first_order", "exact_change", OWN_BATCH)
"""Those that a terminal has room for; files have them all."""

BUDGET_TERMS = ("f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt")
"""Terms of the law's budget (T9), in the order of the chain."""
