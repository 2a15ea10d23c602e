"""The Gramian of a batch's policy gradients, one an objective, without clipping, KL or entropy."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.distributed.rows import own_pieces
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.advantages import centred
from covlaw.theory.guard import shrunk_gramian

COLUMNS = 2**20
"""Parameters whose gradients are held in float64 at once."""
PAIRS = 4
"""Completions a prompt that make two halves of two."""


def policy_gramian(
    model: Any,
    completions: Completions,
    rewards: Tensor,
    config: TrainConfig,
    *,
    crossed: bool = False,
) -> Tensor:
    """G_jk = ⟨g_j, g_k⟩ at π_old: (M, M) float64 on the rewards' device.

    g_j is the gradient of the run's own loss at ratio 1 (where no range cuts anything), with the
    prompt-centred reward as the advantage. It is linear in the advantage, so that Σ_k λ_k g_k is
    the gradient of the batch with advantage λ·(r − E_x r). A normaliser that divides each prompt
    by its own spread (GRPO) takes the step out of this cone; one scale a batch does not.

    One forward pass and M backward passes; M gradients are held, in the parameters' precision, and
    M more for a crossed one. Their inner products are sums in float64. No `.grad` is touched.

    Crossed (T62): gradients of one half of each prompt's completions times those of the other, so
    that noise adds nothing to the diagonal; symmetrised, shrunk towards the plain Gramian by its
    error and made positive semidefinite (`shrunk_gramian`).

    Args:
        model: The policy that drew the batch.
        completions: N rows.
        rewards: (N, M) float64.
        config: Temperature, loss and micro-batch size.
        crossed: Whether it is the crossed one; of prompts with 4 completions or more.

    Raises:
        CovlawError: if a crossed one is asked of a prompt with fewer than 4 completions.
    """
    if not crossed:
        gradients = _gradients(model, completions, rewards, config)
        return active().agreed(_products(gradients, gradients).to(rewards.device), "Gramian")
    halves = [
        _gradients(model, completions.rows(rows.to(completions.tokens.device)), part, config)
        for rows, part in _halves(completions.prompt.to(rewards.device), rewards)
    ]
    products = _products(*halves)
    mean = [(a + b) / 2 for a, b in zip(*halves, strict=True)]
    found = shrunk_gramian(products, _products(mean, mean)).gram
    return active().agreed(found.to(rewards.device), "Gramian")


def _halves(prompt: Tensor, rewards: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Rows of each half, and their rewards, scaled so that centring takes no more than in all.

    Centring among K rows leaves (K − 1)/K of a gradient on average.
    """
    start = torch.searchsorted(prompt, prompt)  # rows of one prompt are adjacent
    place = torch.arange(len(prompt), device=prompt.device) - start
    size = torch.bincount(prompt)[prompt]
    if int(size.min()) < PAIRS:
        raise CovlawError(
            f"a prompt has {int(size.min())} completions: a crossed Gramian needs two halves of 2 "
            'or more; use completions = 4 or more, or gramian = "plain"'
        )
    first = place < size // 2
    for chosen, own in ((first, size // 2), (~first, size - size // 2)):
        scale = (1 - 1 / size) / (1 - 1 / own)
        yield chosen.nonzero()[:, 0], (rewards * scale[:, None])[chosen]


def _gradients(
    model: Any, completions: Completions, rewards: Tensor, config: TrainConfig
) -> list[Tensor]:
    """A tensor (M, …) a parameter, summed over processes."""
    parameters = list(trainable(model).values())
    count, policy_loss = rewards.shape[1], config.make_loss()
    gradients = [p.new_zeros(count, *p.shape) for p in parameters]
    groups = group_by_prompt(completions.prompt.to(rewards.device))
    advantage = centred(rewards, groups).to(completions.tokens.device)
    for piece in own_pieces(len(advantage), config.micro_batch, advantage.device):
        part, own = completions.rows(piece), advantage[piece]
        log_prob = token_log_prob(model, part, config.temperature)
        share = policy_loss.share(part.mask, completions.mask)
        ratio = log_prob - log_prob.detach()
        for j in range(count):
            loss = share * policy_loss.loss(own[:, j], ratio, part.mask)
            found = torch.autograd.grad(
                loss, parameters, retain_graph=j + 1 < count, materialize_grads=True
            )
            for total, gradient in zip(gradients, found, strict=True):
                total[j] += gradient
    active().sum_in_place(gradients, "gradients of the Gramian")
    return gradients


def _products(first: Sequence[Tensor], second: Sequence[Tensor]) -> Tensor:
    """(M, …) a parameter, twice → (M, M) float64."""
    return torch.stack([_inner(a, b) for a, b in zip(first, second, strict=True)]).sum(0)


def _inner(first: Tensor, second: Tensor) -> Tensor:
    sides = zip(*(g.flatten(1).split(COLUMNS, 1) for g in (first, second)), strict=True)
    return torch.stack([a.double() @ b.double().T for a, b in sides]).sum(0)
