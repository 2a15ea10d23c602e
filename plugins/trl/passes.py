"""Passes over a batch that lies on several processes: log-probs, Gramian, ratios to a reference."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from covlaw.plugins.trl.attached import gathered, summed
from covlaw.plugins.trl.drawing import Drawn
from covlaw.plugins.trl.tokens import (
    Tokens,
    evaluating,
    log_prob,
    reference,
    reward_gradients,
    token_log_prob,
    token_weights,
)
from covlaw.theory.guard.products import gramian_of


def rows_of(trainer: Any) -> int:
    """Completions at a time in a pass: as many as training has."""
    return int(trainer.args.per_device_train_batch_size)


def new_log_prob(trainer: Any, drawn: Drawn) -> Tensor:
    """(N,) log π of what was drawn, under the policy as it is now."""
    found = log_prob(trainer, drawn.tokens, rows_of(trainer))
    return gathered(trainer, found) if drawn.kept is None else spread(trainer, found, drawn.kept)


def spread(trainer: Any, own: Tensor, kept: Tensor) -> Tensor:
    """Values of the kept rows of all processes, in order, from each process's own.

    A prompt's completions may lie on several processes, so that they keep different numbers.
    """
    size = len(kept) // trainer.accelerator.num_processes
    start = trainer.accelerator.process_index * size
    device = trainer.accelerator.device
    room = torch.zeros(size, *own.shape[1:], dtype=own.dtype, device=device)
    room[kept[start : start + size].to(device)] = own.to(device)
    return gathered(trainer, room)[kept]


def gramian_at(trainer: Any, tokens: Tokens, factors: Tensor) -> Tensor:
    """(M, M) float64 Gramian of the rewards' policy gradients on a batch, over all processes.

    Args:
        trainer: Of the policy, at π_old.
        tokens: This process's completions.
        factors: (N, M) centred rewards of all processes, 0 for rows that don't count.
    """
    size = len(tokens.prompts)
    start = trainer.accelerator.process_index * size
    own = factors[start : start + size] * token_weights(trainer, tokens)[:, None]
    found = summed(trainer, reward_gradients(trainer, tokens, own, rows_of(trainer)))
    return gramian_of(found, found).cpu()


@torch.no_grad()
def by_token(trainer: Any, tokens: Tokens, ratio: bool) -> tuple[Tensor, Tensor | None]:
    """Mask and, if asked for, log π/π_ref of every token of all processes: (N, T) each."""
    with evaluating(trainer):
        ours, mask = _wide(trainer, tokens, None)
        if not ratio:
            return mask.bool(), None
        with reference(trainer) as model:
            theirs, _ = _wide(trainer, tokens, model)
    return mask.bool(), ours - theirs


def _wide(trainer: Any, tokens: Tokens, model: Any) -> tuple[Tensor, Tensor]:
    longest = max(map(len, tokens.completions), default=1)
    width = int(gathered(trainer, torch.tensor([longest])).max())
    parts = list(token_log_prob(trainer, tokens, rows_of(trainer), model))
    values = [pad(v.double(), (0, width - v.shape[1])) for _, v, _ in parts]
    masks = [pad(m, (0, width - m.shape[1])) for *_, m in parts]
    return gathered(trainer, torch.cat(values)), gathered(trainer, torch.cat(masks))
