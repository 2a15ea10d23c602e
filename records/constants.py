"""When something is clear, certain or sacrificed, and the names of what is judged: one place.

Figures, report, study, audits and README use these; what a statement or a toy needs as well is
defined in `theory` and only listed here.
"""

from covlaw.theory.estimators.interference import SACRIFICE
from covlaw.theory.estimators.sign_certificate import CERTAIN

__all__ = [
    "BUDGET_TERMS",
    "CERTAIN",
    "CLEAR",
    "END_SHARE",
    "END_STEPS",
    "FORECASTS",
    "FORECAST_WORDS",
    "HORIZONS",
    "LAWS",
    "OWN_BATCH",
    "POWER",
    "SACRIFICE",
    "SHOWN_FORECASTS",
]

CLEAR = 2.0
"""Standard errors beyond which a number stands out of its noise, and half the width of every bar:
two-sided 4.6 % of a normal. `CERTAIN` (3: T21, one-sided .135 %) certifies a sign, gives an alarm,
and tells a fall between the ends of a run from noise."""

END_SHARE, END_STEPS = 0.1, 10
"""A run's start and end are means over this share of its steps, and no more than so many."""

POWER = 0.8
"""Share of changes of a size that has to be certified for that size to count as seen."""

HORIZONS = (5, 20)
"""Steps of the stretches that forecasts are judged on, besides the audited steps themselves."""

LAWS = ("law", "clipped", "clipped_centred")
"""An audit's forecasts by a covariance with the signal: in its units, times `scale` changes."""

OWN_BATCH = "own_batch"
"""The exact form on the samples that made the update: optimistic, for comparison."""

FORECASTS = (*LAWS, "first_order", "exact_change", OWN_BATCH)
"""Every forecast that is judged."""

FORECAST_WORDS = {
    "law": "law",
    "clipped": "clipped law",
    "clipped_centred": "clipped law, centred",
    "first_order": "first order",
    "exact_change": "exact form",
    OWN_BATCH: "exact form, own batch",
}
"""What tables call them."""

SHOWN_FORECASTS = ("law", "first_order", "exact_change", OWN_BATCH)
"""Those that a terminal has room for; files have them all."""

BUDGET_TERMS = ("f0", "kernel", "clipping", "sampling", "optimiser", "logit", "tilt")
"""Terms of the law's budget (T9), in the order of the chain."""
