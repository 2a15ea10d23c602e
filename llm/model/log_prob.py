"""Log-probs of completions: with gradients, along a direction, or plain, a few rows at a time.

Where a run has several processes, those without gradients are computed by each for its own rows
only, and gathered; so every process must ask for them.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

from covlaw.llm.distributed.rows import over_ranks
from covlaw.llm.model.chunked_head import at_least_float32, chosen_values, chunk_of, head_values
from covlaw.llm.model.output_head import output_head
from covlaw.llm.model.parameters import Parameters, trainable
from covlaw.llm.model.row_chunks import by_rows
from covlaw.llm.model.shared_prompts import prompts_are_shared, read_shared
from covlaw.llm.sampling.engine import Completions


class TokenValues(NamedTuple):
    """What one pass of a policy over completions gives, on their tokens; 0 on padding."""

    log_prob: Tensor
    """(N, T) log π of each chosen token, at least float32."""
    entropy: Tensor | None
    """(N, T) entropy in nats of the distribution that each was chosen from, if wanted."""


class Along(NamedTuple):
    """Completions under a policy, and as it moves along a direction; (N,) float64."""

    log_prob: Tensor
    slope: Tensor


def token_values(
    model: Any, batch: Completions, temperature: float = 1.0, entropy: bool = False
) -> TokenValues:
    """Log-probs of completion tokens under `model`, and the entropies from the same pass.

    A batch of more than `CHUNK` logits never holds them all at once (`chunked_head`),
    unless the model's logits are no linear map of its hidden state (`output_head`).
    Smaller ones take the plain path: the two agree but for the last bits.
    """
    halves, shared = output_head(model), prompts_are_shared()
    width = batch.tokens.shape[1]
    if halves is None or batch.tokens.numel() * halves.vocabulary <= chunk_of(batch.tokens):
        if shared:
            logits = read_shared(model, batch, "logits")
        else:
            logits = model(**_inputs(batch), logits_to_keep=width + 1).logits[:, :-1]
        log_prob = torch.log_softmax(at_least_float32(logits) / temperature, -1)
        found = [
            torch.where(batch.mask, v, 0.0) for v in chosen_values(log_prob, batch.tokens, entropy)
        ]
    else:
        if shared:
            hidden = read_shared(halves.body, batch, "last_hidden_state")[batch.mask]
        else:
            hidden = halves.body(**_inputs(batch)).last_hidden_state[:, -1 - width : -1][batch.mask]
        values = head_values(halves.head, hidden, batch.tokens[batch.mask], temperature, entropy)
        found = [v.new_zeros(batch.mask.shape).masked_scatter(batch.mask, v) for v in values]
    return TokenValues(found[0], found[1] if entropy else None)


def token_log_prob(model: Any, batch: Completions, temperature: float = 1.0) -> Tensor:
    """(N, T) log-prob of each completion token under `model`, at least float32; 0 on padding."""
    return token_values(model, batch, temperature).log_prob


def all_token_log_prob(
    model: Any, batch: Completions, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N, T) as `token_log_prob`, `rows` rows at a time, float64, no graph."""
    width = batch.tokens.shape[1]

    def read(part: Completions) -> Tensor:
        log_prob = token_log_prob(model, part, temperature).double()
        return pad(log_prob, (0, width - log_prob.shape[1]))

    with torch.no_grad():
        return over_ranks(lambda own: by_rows(read, own, rows), batch, "log-probs")


def sequence_log_prob(
    model: Any, batch: Completions, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N,) log-prob of each completion, float64, no graph."""

    def read(part: Completions) -> Tensor:
        return token_log_prob(model, part, temperature).double().sum(1)

    with torch.no_grad():
        return over_ranks(lambda own: by_rows(read, own, rows), batch, "log-probs")


def directional_log_prob(
    model: Any, batch: Completions, direction: Parameters, temperature: float = 1.0, rows: int = 256
) -> Tensor:
    """(N,) ⟨∇log π(y|x), v⟩ for every completion: one forward-mode pass, float64."""
    return along_direction(model, batch, direction, temperature, rows).slope


def along_direction(
    model: Any, batch: Completions, direction: Parameters, temperature: float = 1.0, rows: int = 256
) -> Along:
    """Log-probs of completions and their derivatives ⟨∇log π(y|x), v⟩ from one forward-mode pass.

    Needs the math attention kernel: the fused ones have no forward-mode derivative.
    """
    output_head(model)  # asked before the parameters are replaced
    bound = _Bound(model, temperature)
    primal = {f"model.{name}": p.detach() for name, p in trainable(model).items()}
    tangent = {f"model.{name}": direction[name] for name in trainable(model)}

    def along(part: Completions) -> Tensor:
        out: Any = jvp(lambda p: functional_call(bound, p, (part,)), (primal,), (tangent,))
        return torch.stack(out, 1)

    with plain_attention(), torch.no_grad():
        both = over_ranks(lambda own: by_rows(along, own, rows), batch, "directional derivatives")
    return Along(*both.unbind(1))


def plain_attention() -> AbstractContextManager[Any]:
    """Inside, attention is computed as in `along_direction`.

    What is subtracted from log-probs of that pass is read so too: then roundings are alike.
    """
    return sdpa_kernel(SDPBackend.MATH)


class _Bound(nn.Module):
    """Log-probs of whole completions as a module, so that its parameters can be replaced."""

    def __init__(self, model: nn.Module, temperature: float) -> None:
        super().__init__()
        self.model, self.temperature = model, temperature

    def forward(self, batch: Completions) -> Tensor:
        return token_log_prob(self.model, batch, self.temperature).double().sum(1)


def _inputs(batch: Completions) -> dict[str, Any]:
    mask = torch.cat([batch.prompt_mask, batch.mask], 1)
    return {
        "input_ids": torch.cat([batch.prompt_tokens, batch.tokens], 1),
        "attention_mask": mask.long(),
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
        "use_cache": False,
    }


def chunks(batch: Completions, rows: int) -> Iterator[Completions]:
    """Split a batch into runs of at most `rows` rows, each trimmed to its longest completion."""
    index = torch.arange(len(batch.text), device=batch.tokens.device)
    for part in index.split(rows):
        yield batch.rows(part)


def distinct(batch: Completions) -> tuple[Completions, Tensor]:
    """Drop repeated completions of a prompt: the distinct rows, and each row's place in them.

    A small or converged policy repeats itself; equal rows have equal log-probs.
    """
    keys = torch.cat([batch.prompt[:, None], torch.where(batch.mask, batch.tokens, -1)], 1)
    _, place = torch.unique(keys, dim=0, return_inverse=True)
    first = torch.full((int(place.max()) + 1,), len(batch.text), dtype=torch.int64)
    first = first.scatter_reduce(0, place.cpu(), torch.arange(len(batch.text)), "amin")
    return batch.rows(first.to(batch.tokens.device)), place


def context_kl(
    model: Any, reference: Any, batch: Completions, temperature: float, rows: int
) -> Tensor:
    """KL(π(·|h_t) ‖ π_ref(·|h_t)) in nats at each token's context: (N, T), 0 on padding, no graph.

    Whole distributions of at most `CHUNK` logits at a time, and no fewer than one row's.
    """
    width = batch.tokens.shape[1]

    def distribution(policy: Any, part: Completions) -> Tensor:
        kept = part.tokens.shape[1] + 1
        logits = policy(**_inputs(part), logits_to_keep=kept).logits[:, :-1]
        return torch.log_softmax(at_least_float32(logits) / temperature, -1)

    def read(part: Completions) -> Tensor:
        own, other = distribution(model, part), distribution(reference, part)
        kl = torch.where(part.mask, (own.exp() * (own - other)).sum(-1).double(), 0.0)
        return pad(kl, (0, width - kl.shape[1]))

    row = width * int(model.config.vocab_size)
    few = max(1, min(rows, chunk_of(batch.tokens) // row))
    with torch.no_grad():
        return over_ranks(lambda own: by_rows(read, own, few), batch, "KLs at contexts")
