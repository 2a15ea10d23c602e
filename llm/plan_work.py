"""How many tokens a run samples and passes through its model, at most."""

from typing import NamedTuple

from covlaw.llm.config import TrainConfig

FORWARD, BACKWARD, DERIVATIVE = 1, 2, 2
"""Cost of a pass over one token, in forward passes: a gradient costs two more (Kaplan et al. 2020,
arXiv:2001.08361, section 2.1), and so does a forward-mode derivative along a direction."""


class Work(NamedTuple):
    """Counts at most: every completion as long as it may be."""

    completions: int
    """A step."""
    step_tokens: int
    """Sampled a step."""
    tokens: int
    """Sampled by all steps."""
    audit_tokens: int
    """Sampled by one audit."""
    audit_share: float
    """Of all passes, those of the audits."""
    evaluations: int
    """On the val split, in the run."""


def count_work(config: TrainConfig, steps: int, audits: int) -> Work:
    """Count a run's work from its settings."""
    observed = config.observed if config.make_scalarizer().after else 0
    completions = config.prompts * (config.completions + observed)
    longest = config.max_tokens
    audit_rows = config.audit_prompts * 2 * (config.audit_completions + config.measured_completions)
    in_steps, in_audits = steps * step_passes(config, observed), audits * audit_passes(config)
    return Work(
        completions,
        completions * longest,
        steps * completions * longest,
        audit_rows * longest,
        in_audits / (in_steps + in_audits),
        steps // config.evaluate_every + 1 if config.evaluate_every else 0,
    )


def step_passes(config: TrainConfig, observed: int) -> int:
    """Forward passes of one step, in completions: sampling, training, KL and observation."""
    rows, seen = config.prompts * config.completions, config.prompts * observed
    training = rows * config.epochs * (FORWARD + BACKWARD)
    anchor = rows * FORWARD if config.kl_coefficient else 0
    gramian = "gramian" in config.make_scalarizer().before
    gradients = rows * len(config.rewards) * (FORWARD + BACKWARD) if gramian else 0
    return (rows + seen) * FORWARD + training + anchor + seen * 2 * FORWARD + gradients


def audit_passes(config: TrainConfig) -> int:
    """Forward passes of one audit, in completions.

    Two samples of π_old and one before and after the update are drawn; the test sample and the
    batch itself are read under both policies and differentiated along the update; one gradient.
    """
    prompts, fields = config.audit_prompts, 2 * FORWARD + FORWARD + DERIVATIVE
    drawn = prompts * 2 * (config.audit_completions + config.measured_completions)
    test = prompts * config.audit_completions * (fields + FORWARD + BACKWARD)
    own = config.prompts * config.completions * fields
    return drawn * FORWARD + test + own
