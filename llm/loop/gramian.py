"""The Gramian of a batch's policy gradients, one an objective, without clipping, KL or entropy."""

from typing import Any

import torch
from torch import Tensor

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.distributed.processes import active
from covlaw.llm.distributed.rows import own_pieces
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory.estimators.advantages import centred

COLUMNS = 2**20
"""Parameters whose gradients are held in float64 at once."""


def policy_gramian(
    model: Any, completions: Completions, rewards: Tensor, config: TrainConfig
) -> Tensor:
    """G_jk = ⟨g_j, g_k⟩ at π_old: (M, M) float64 on the rewards' device.

    g_j is the gradient of the run's own loss at ratio 1 (where no range cuts anything), with the
    prompt-centred reward as the advantage. It is linear in the advantage, so that Σ_k λ_k g_k is
    the gradient of the batch with advantage λ·(r − E_x r). A normaliser that divides each prompt
    by its own spread (GRPO) takes the step out of this cone; one scale a batch does not.

    One forward pass and M backward passes; M gradients are held, in the parameters' precision.
    Their inner products are sums in float64. No `.grad` is touched.

    Args:
        model: The policy that drew the batch.
        completions: N rows.
        rewards: (N, M) float64.
        config: Temperature, loss and micro-batch size.
    """
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
    gramian = torch.stack([_inner_products(g) for g in gradients]).sum(0)
    return active().agreed(gramian.to(rewards.device), "Gramian")


def _inner_products(gradients: Tensor) -> Tensor:
    """(M, ...) → (M, M) float64."""
    parts = (part.double() for part in gradients.flatten(1).split(COLUMNS, 1))
    return torch.stack([part @ part.T for part in parts]).sum(0)
