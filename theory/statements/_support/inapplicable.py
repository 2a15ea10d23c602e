"""Why a statement makes no sense on some rung: one wording for all that share the reason."""

from collections.abc import Mapping

NO_TILT_IN_AN_LLM = (
    "an LLM's optimiser does not step along the tilt, and its tilted policy cannot be enumerated"
)
NO_FISHER_IN_AN_LLM = (
    "an LLM's expected policy gradients cannot be enumerated, so there is no exact side"
)
NO_EXACT_COVARIANCE_IN_AN_LLM = "an LLM's exact covariance is not known, so nothing to compare with"

A_LIGHT_AUDIT = "its audits are light: they take no gradients, so there is no budget"

AN_EXPLICIT_BANDIT: Mapping[str, str] = dict.fromkeys(
    ("tabular", "transformer", "llm"), "the counterexample is an explicit bandit"
)

SINGLE_CHOICE_IN_A_BANDIT = "a bandit's completion is a single token: nothing to split"
NO_CONTEXTS_IN_AN_LLM = "an LLM's contexts and their action values cannot be enumerated"

TOKEN_LEVEL: Mapping[str, str] = {"bandit": SINGLE_CHOICE_IN_A_BANDIT, "llm": NO_CONTEXTS_IN_AN_LLM}
