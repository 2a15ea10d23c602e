"""How many tokens a run samples and passes through its model, at most."""

from typing import NamedTuple

from covlaw.llm.config.filter_checks import OFF
from covlaw.llm.config.train_config import TrainConfig

FORWARD, BACKWARD, DERIVATIVE = 1, 2, 3
"""Cost of a pass over one token, in forward passes: a gradient costs two more than the forward
pass (Kaplan et al. 2020, arXiv:2001.08361, section 2.1). So would a derivative along a direction,
but for the plain attention that it needs: up to three (`tests/benchmarks/test_audit_cost.py`)."""


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
    guard_share: float = 0.0
    """Of a step's work, sampling included, the guard's where it acts; audits apart."""


def count_work(config: TrainConfig, steps: int, audits: int) -> Work:
    """Count a run's work from its settings."""
    completions, longest = step_draws(config), config.max_tokens
    in_steps = steps * (step_passes(config) + completions * FORWARD)
    in_audits = audits * (audit_passes(config) + audit_draws(config) * FORWARD)
    return Work(
        completions,
        completions * longest,
        steps * completions * longest,
        audit_draws(config) * longest,
        in_audits / (in_steps + in_audits),
        steps // config.evaluate_every + 1 if config.evaluate_every else 0,
        _guard_share(config),
    )


def step_draws(config: TrainConfig) -> int:
    """Completions that a step samples."""
    again = config.dynamic_rounds if config.dynamic_sampling != OFF else 0
    own = config.completions * (1 + again)
    return config.prompts * (own + _observed(config) + _guarding(config))


def step_passes(config: TrainConfig) -> int:
    """Forward passes of one step, in completions: training, KL, observation and the guard."""
    rows, seen = config.prompts * config.completions, config.prompts * _observed(config)
    training = rows * config.epochs * (FORWARD + BACKWARD)
    anchor = rows * FORWARD if config.kl_coefficient else 0
    gramian = "gramian" in config.make_scalarizer().before
    gradients = rows * len(config.rewards) * (FORWARD + BACKWARD) if gramian else 0
    corrected = rows * FORWARD if config.engine_correction != "off" else 0
    return corrected + training + anchor + seen * 2 * FORWARD + gradients + guard_passes(config)


def guard_passes(config: TrainConfig) -> int:
    """Forward passes of the guard where it acts, in completions.

    A gradient an objective of the rows that choose, from one forward pass; these rows are read
    under both policies where the guard waits for a certain fall, or floors need an error; those
    that judge under both and under the corrected one. A completion drawn twice counts once, so it
    is less.
    """
    settings = config.guard_settings
    if settings is None:
        return 0
    reads = 2 if config.guard == "needed" or settings.floors == "certified" else 0
    choosing = reads * FORWARD + FORWARD + len(config.rewards) * BACKWARD
    return config.prompts * (settings.rows * choosing + settings.check * 3 * FORWARD)


def audit_draws(config: TrainConfig) -> int:
    """Completions that an audit samples: two (a light one: one) of π_old, one before and after."""
    prompts, own = config.audit_prompts + config.audit_held_out, 1 if _light(config) else 2
    return (
        own * config.audit_prompts * config.audit_completions
        + 2 * prompts * config.measured_completions
    )


def audit_passes(config: TrainConfig) -> int:
    """Forward passes of one audit, in completions.

    The test sample and the batch are read under the new policy and at each inner step; derivatives
    are taken along the expected, the clipped and the batch's gradient and the step, of the batch
    along the step alone, and the old policy's log-probs come with them; expected gradients are
    those of each inner step. Penalties add a gradient an inner step and a derivative. A light audit
    has the test sample and the step alone, and reads inner steps where there are several. Both read
    what the run's settings add.
    """
    sample = config.audit_prompts * config.audit_completions
    inner, along = config.epochs * config.mini_batches, FORWARD + DERIVATIVE
    beside = sample * _beside(config) * FORWARD
    if _light(config):
        return sample * ((1 + (inner if inner > 1 else 0)) * FORWARD + along) + beside
    reads, gradient = (1 + inner) * FORWARD, inner * (FORWARD + BACKWARD)
    own = config.prompts * config.completions * (reads + along)
    penalised = config.kl_coefficient or config.entropy_coefficient
    penalties = sample * (FORWARD + gradient + along) if penalised else 0
    gramian = len(config.rewards) * (FORWARD + BACKWARD) if config.audit_gramian else 0
    fields = (3 if inner == 1 else 4) * along
    return sample * (reads + fields + gradient + gramian) + own + penalties + beside


def _beside(config: TrainConfig) -> int:
    """Times that a KL, a correction and a cut of the engine make an audit read its sample."""
    cut = config.top_k > 0 or config.top_p < 1
    return 2 * bool(config.kl_coefficient) + (config.engine_correction != "off") + 3 * cut


def _light(config: TrainConfig) -> bool:
    return config.audit == "light"


def _guard_share(config: TrainConfig) -> float:
    whole = step_passes(config) + step_draws(config) * FORWARD
    own = guard_passes(config) + config.prompts * _guarding(config) * FORWARD
    return own / whole


def _guarding(config: TrainConfig) -> int:
    settings = config.guard_settings
    return settings.rows + settings.check if settings else 0


def _observed(config: TrainConfig) -> int:
    return config.observed if config.make_scalarizer().after else 0
