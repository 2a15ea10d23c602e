"""Completions as TRL hands them around, and what the policy says of them: log-probs, gradients."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from covlaw.theory._numerics.errors import CovlawError


class Tokens(NamedTuple):
    """This process's completions, a list of token ids each."""

    prompts: list[list[int]]
    completions: list[list[int]]

    def rows(self, index: list[int]) -> "Tokens":
        """Some of them."""
        return Tokens([self.prompts[i] for i in index], [self.completions[i] for i in index])


def ends(trainer: Any, tokens: Tokens) -> Tensor:
    """(n,) whether each completion ends by itself rather than at the limit."""
    stops = {*trainer.eos_token_ids, trainer._tokenizer.pad_token_id}
    return torch.tensor([bool(ids) and ids[-1] in stops for ids in tokens.completions])


def token_weights(trainer: Any, tokens: Tokens) -> Tensor:
    """(n,) by how much a completion's log-prob counts in the trainer's loss, beside its advantage.

    1/length where the loss is a mean over each completion's tokens (loss_type grpo and sapo, T18),
    else 1; 0 for those cut at the limit under mask_truncated_completions.
    """
    lengths = torch.tensor([max(len(ids), 1) for ids in tokens.completions], dtype=torch.float64)
    by_mean = getattr(trainer, "loss_type", "") in {"grpo", "sapo"}
    found = 1 / lengths if by_mean else torch.ones_like(lengths)
    if trainer.mask_truncated_completions:
        found = found * ends(trainer, tokens)
    return found


def token_log_prob(
    trainer: Any, tokens: Tokens, rows: int, model: Any = None
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """A few rows at a time: which they are, log-probs of their tokens (n, T), and the mask.

    With gradients, if they are enabled. It is TRL's own pass, so temperature, precision and
    adapters are those of training.
    """
    device, pad = trainer.accelerator.device, trainer._tokenizer.pad_token_id
    for start in range(0, len(tokens.prompts), rows):
        part = slice(start, min(start + rows, len(tokens.prompts)))
        left, left_mask = _padded(tokens.prompts[part], pad, "left", device)
        right, mask = _padded(tokens.completions[part], pad, "right", device)
        found = trainer._get_per_token_logps_and_entropies(
            trainer.model if model is None else model,
            torch.cat([left, right], 1),
            torch.cat([left_mask, mask], 1),
            right.shape[1],
        )
        yield part, torch.where(mask.bool(), found[0], 0.0), mask


@torch.no_grad()
def log_prob(trainer: Any, tokens: Tokens, rows: int, model: Any = None) -> Tensor:
    """(n,) log π of each completion, float64."""
    found = torch.zeros(len(tokens.prompts), dtype=torch.float64, device=trainer.accelerator.device)
    with evaluating(trainer):
        for part, values, _ in token_log_prob(trainer, tokens, rows, model):
            found[part] = values.double().sum(1)
    return found


@contextmanager
def reference(trainer: Any) -> Iterator[Any]:
    """The policy that the KL penalty pulls to.

    Raises:
        CovlawError: where the trainer holds none.
    """
    if trainer.ref_model is not None:
        yield trainer.ref_model
        return
    model = trainer.accelerator.unwrap_model(trainer.model)
    if not hasattr(model, "peft_config"):
        raise CovlawError("the trainer holds no reference policy: set beta above 0")
    from trl.models.utils import use_adapter

    with use_adapter(model, adapter_name="ref" if "ref" in model.peft_config else None):
        yield trainer.model


def trained(trainer: Any) -> list[Tensor]:
    """Parameters that training moves, in a fixed order."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    return [p for p in model.parameters() if p.requires_grad]


def reward_gradients(trainer: Any, tokens: Tokens, factors: Tensor, rows: int) -> Tensor:
    """Σ_i factors_ij ∇log π(y_i) over this process's completions: (M, D) float32.

    One forward pass and M backward passes a chunk; no `.grad` is touched, dropout is off, and
    gradient checkpointing with it.

    Args:
        trainer: Of the policy.
        tokens: n completions.
        factors: (n, M).
        rows: Completions at a time.
    """
    parameters = trained(trainer)
    count = factors.shape[1]
    found = torch.zeros(
        count, sum(p.numel() for p in parameters), device=trainer.accelerator.device
    )
    with evaluating(trainer), torch.enable_grad():
        for part, values, _ in token_log_prob(trainer, tokens, rows):
            total = values.sum(1)
            own = factors[part].to(total)
            for j in range(count):
                gradients = torch.autograd.grad(
                    own[:, j] @ total,
                    parameters,
                    retain_graph=j + 1 < count,
                    materialize_grads=True,
                )
                found[j] += torch.cat([g.reshape(-1).float() for g in gradients])
    return found


@contextmanager
def evaluating(trainer: Any) -> Iterator[None]:
    """Without dropout, then as before."""
    model = trainer.model
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _padded(ids: list[list[int]], pad: int, side: str, device: Any) -> tuple[Tensor, Tensor]:
    given = [torch.tensor(row, dtype=torch.int64) for row in ids]
    ones = [torch.ones_like(row) for row in given]
    tokens = pad_sequence(given, batch_first=True, padding_value=pad, padding_side=side)
    mask = pad_sequence(ones, batch_first=True, padding_value=0, padding_side=side)
    if tokens.shape[1] == 0:  # nothing was written at all
        tokens, mask = tokens.new_full((len(ids), 1), pad), mask.new_zeros(len(ids), 1)
    return tokens.to(device), mask.to(device)
