"""Open questions as live probes: searches that only get better the longer they run."""

from covlaw.theory.probes.fourth_cumulant import FOURTH_CUMULANT
from covlaw.theory.probes.gradient_step import GRADIENT_STEP
from covlaw.theory.probes.one_prompt_flip import ONE_PROMPT_FLIP
from covlaw.theory.probes.probe import Best, Probe, search

PROBES = {probe.id: probe for probe in (ONE_PROMPT_FLIP, FOURTH_CUMULANT, GRADIENT_STEP)}
"""Every open question by name."""

__all__ = ["PROBES", "Best", "Probe", "search"]
