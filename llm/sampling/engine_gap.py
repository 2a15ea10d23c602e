"""The engine's log-probs against the trainer's: does it sample from the policy being trained?"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.log_prob import chunks
from covlaw.llm.sampling.engine import Completions
from covlaw.llm.sampling.engines import engine_options, truncation_of
from covlaw.llm.sampling.truncation import Truncation, kept
from covlaw.theory._numerics.errors import CovlawError

TOKENS = 1e6
"""Tokens that a batch may have; the largest of so many rounding errors decides the limit."""

PIECE = 2**24
"""Log-probs of all tokens held at once, where truncation needs them."""

UNIT_ROUNDOFF = {"float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}


class Gap(NamedTuple):
    """Between two log-probs of the drawn tokens of a batch, in nats."""

    rms: float
    """Root mean square over tokens: what judges."""
    largest: float
    """Of few tokens: honest bfloat16 reaches nats where a logit is large."""


def rounding_rms(config: TrainConfig, model: Any) -> float:
    """Greatest root mean square, in nats, that rounding explains: √2 · ln N · √(2L(u² + K u₃₂²)/3).

    As `rounding_gap`, for a typical token and not for the largest of N errors. Its logit counts as
    ln N, of which it has much less: the limit is several times what honest runs show.
    """
    return rounding_gap(config, model) / math.sqrt(2 * math.log(TOKENS))


def rounding_gap(config: TrainConfig, model: Any) -> float:
    """Largest difference, in nats, that rounding explains between two computations of a log-prob.

    √(2 ln N) · √2 · ln N · √(2L(u² + K u₃₂²)/3): the residual stream is rounded twice in each of
    L layers, with variance u²/3 relative to its size, u the coarser unit roundoff of the two; what
    is added to it are float32 sums of up to K products. Logits err by that share of their size.
    Among N tokens drawn none is likely to lie more than ln N below the likeliest, and the largest
    of N errors is √(2 ln N) deviations; √2 for two computations.
    """
    dtypes = {config.dtype}
    if config.engine == "vllm":
        dtypes.add(engine_options(config).dtype)
    elif config.engine == "transformers":
        dtypes.add(config.sampling_dtype)
    unit = max(UNIT_ROUNDOFF[dtype] for dtype in dtypes)
    layers = int(getattr(model.config, "num_hidden_layers", 1))
    terms = max(p.shape[-1] for p in model.parameters() if p.ndim == 2)
    relative = math.sqrt(2 * layers * (unit**2 + terms * UNIT_ROUNDOFF["float32"] ** 2) / 3)
    size = math.log(TOKENS)
    return math.sqrt(2 * size) * math.sqrt(2) * size * relative


def require_same_policy(model: Any, batch: TrainingBatch, config: TrainConfig) -> Gap:
    """Return the gap of a batch, at π_old; stop a run whose engine samples from other weights.

    The root mean square decides. The largest difference stands beside it: among many tokens it is
    that of the one whose logits are largest, and bfloat16 was seen to reach 1.9 nats there while
    the root mean square was .04.

    An engine that samples from the trainer's own module has none of its own: there the gap is
    recorded, and judged only against an `engine_gap_limit` that was set.

    Raises:
        CovlawError: if the root mean square is above its limit.
    """
    assert batch.behaviour_log_prob is not None  # noqa: S101  # the model is π_old, and was read
    gap = log_prob_gap(batch.behaviour_log_prob, batch.completions, model, config)
    corrected = config.engine_correction != "off"
    own_weights = (config.engine != "transformers" and not corrected) or config.engine_gap_limit > 0
    limit = config.engine_gap_limit or rounding_rms(config, model)
    if own_weights and not gap.rms <= limit:
        raise CovlawError(
            f"log-probs of engine {config.engine!r} differ from the trainer's by {gap.rms:.3g} "
            f"nats (root mean square over tokens; the largest by {gap.largest:.3g}), with a limit "
            f"of {limit:.3g}: it does not sample from the policy being trained. "
            f"Likely causes: {_causes(model)}. What was recorded stays; if the difference is "
            'rounding after all, raise engine_gap_limit, or set engine_correction = "tis"'
        )
    return gap


def _causes(model: Any) -> str:
    if getattr(model.config, "tie_word_embeddings", False):
        head = "the output head, which is tied to the embedding and may have kept its old weights"
    else:
        head = "tied embeddings whose head kept its old weights (this model's are not tied)"
    return f"a weight sync that did not arrive, or {head}"


def log_prob_gap(log_prob: Tensor, part: Completions, model: Any, config: TrainConfig) -> Gap:
    """|difference| between the trainer's and the engine's log-probs of the drawn tokens.

    Args:
        log_prob: (N, T) the trainer's, of the whole distribution.
        part: The completions, with the engine's.
        model: The policy that they were drawn from.
        config: Of the run.

    Under truncation two computations may keep different tokens at the edge, which moves the
    renormalised log-probs by much more than rounding. There the gap is the distance from the
    interval that all cuts within rounding span.
    """
    truncation = truncation_of(config)
    if not truncation.on:
        return _gap([torch.where(part.mask, (log_prob - part.log_prob).abs(), 0.0)], part)
    slack = rounding_gap(config, model)
    rows = max(PIECE // (part.tokens.shape[1] * model.config.vocab_size), 1)
    found = []
    for piece in chunks(part, rows):
        low, high = _interval(model, piece, config.temperature, truncation, slack)
        outside = torch.maximum(low - piece.log_prob, piece.log_prob - high).clamp(min=0)
        found.append(torch.where(piece.mask, outside, 0.0))
    return _gap(found, part)


def _gap(apart: list[Tensor], part: Completions) -> Gap:
    """Of differences ≥ 0 that are 0 on padding."""
    squares = sum(float(piece.double().square().sum()) for piece in apart)
    largest = max(float(piece.max()) for piece in apart)
    return Gap(math.sqrt(squares / max(int(part.mask.sum()), 1)), largest)


@torch.no_grad()
def _interval(
    model: Any, piece: Completions, temperature: float, truncation: Truncation, slack: float
) -> tuple[Tensor, Tensor]:
    """Least and greatest truncated log-prob of each drawn token; (0, −inf) where none keeps it."""
    log_prob = all_log_prob(model, piece, temperature)
    generous, tight = (kept(log_prob, truncation, s) for s in (slack, -slack))
    drawn, held = (t.gather(2, piece.tokens[..., None])[..., 0] for t in (log_prob, generous))
    most, least = (log_prob.masked_fill(~m, -math.inf).logsumexp(-1) for m in (generous, tight))
    return torch.where(held, drawn - most, 0.0), torch.where(held, drawn - least, -math.inf)


def all_log_prob(model: Any, piece: Completions, temperature: float) -> Tensor:
    """(N, T, V) log-probs of every token in place of each completion token."""
    mask = torch.cat([piece.prompt_mask, piece.mask], 1)
    logits = model(
        input_ids=torch.cat([piece.prompt_tokens, piece.tokens], 1),
        attention_mask=mask.long(),
        position_ids=(mask.cumsum(1) - 1).clamp(min=0),
        use_cache=False,
        logits_to_keep=piece.tokens.shape[1] + 1,
    ).logits[:, :-1]
    return torch.log_softmax(logits.float() / temperature, -1)
