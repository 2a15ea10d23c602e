"""The guard's gradients are those of the objectives, whatever is read once or left out."""

from dataclasses import replace

import pytest
import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.guard.gradients import objective_gradients
from covlaw.llm.model.log_prob import directional_log_prob, token_log_prob
from covlaw.llm.model.parameters import trainable
from covlaw.llm.sampling.rollout import SampledRollouts
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.covariance import within_prompt_covariance

CONFIG = TrainConfig()
# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10


@pytest.fixture
def drawn(draw) -> SampledRollouts:
    completions = draw(n=12, tokens=4)
    generator = torch.Generator().manual_seed(3)
    rewards = torch.randn(36, 3, generator=generator, dtype=torch.float64)
    rewards[completions.prompt == 1, 1] = 0.1  # a prompt on which one objective never varies
    return SampledRollouts.of(completions, rewards, ("a", "b", "c"))


def plain_gradient(model, drawn: SampledRollouts, j: int, others: bool = True) -> torch.Tensor:
    """Row by row, prompt by prompt."""
    model.zero_grad(set_to_none=True)
    for i in range(len(drawn.prompt)):
        same = (drawn.prompt == drawn.prompt[i]).nonzero()[:, 0].tolist()
        rest = [k for k in same if k != i or not others]
        baseline = sum(float(drawn.rewards[k, j]) for k in rest) / len(rest)
        weight = (float(drawn.rewards[i, j]) - baseline) / len(same) / 3
        row = drawn.completions.rows(torch.tensor([i]))
        (weight * token_log_prob(model, row).sum()).backward()
    found = torch.cat([p.grad.reshape(-1) for p in trainable(model).values()])
    model.zero_grad(set_to_none=True)
    return found


def test_they_are_leave_one_out_policy_gradients(policy, drawn) -> None:
    found = objective_gradients(policy[0], drawn, CONFIG)
    assert all(p.grad is None for p in policy[0].parameters())
    for j in range(3):
        expected = plain_gradient(policy[0], drawn, j)
        assert float((found[j] - expected).norm()) <= ROUNDING * float(expected.norm())
        biased = plain_gradient(policy[0], drawn, j, others=False)
        assert float((found[j] - biased).norm()) > 100 * ROUNDING * float(expected.norm())


@pytest.mark.parametrize("settings", [{"micro_batch": 5}, {"gradient_checkpointing": True}])
def test_how_passes_are_made_changes_nothing(policy, drawn, settings) -> None:
    whole = objective_gradients(policy[0], drawn, CONFIG)
    parts = objective_gradients(policy[0], drawn, replace(CONFIG, **settings))
    assert float((parts - whole).norm()) <= ROUNDING * float(whole.norm())


def test_in_bfloat16_they_are_near(policy, drawn) -> None:
    whole = objective_gradients(policy[0], drawn, CONFIG)
    low = objective_gradients(policy[0], drawn, replace(CONFIG, dtype="bfloat16"))
    assert low.dtype == torch.float32
    assert 0 < float((low - whole).norm()) <= 0.1 * float(whole.norm())  # 8 bits, 4 tokens a row


def test_along_a_direction_they_are_covariances(policy, drawn) -> None:
    """ĝ_j·v = Cov(r_j, ⟨∇log π, v⟩): a column of the crossed Gramian by one forward-mode pass."""
    model, generator = policy[0], torch.Generator().manual_seed(9)
    along = {
        n: torch.randn(p.shape, generator=generator) * 0.1 for n, p in trainable(model).items()
    }
    # autograd leaves this row's gradient out, forward mode does not
    along["model.embed_tokens.weight"][model.config.pad_token_id] = 0
    flat = torch.cat([v.reshape(-1) for v in along.values()])
    slope = directional_log_prob(model, drawn.completions, along)
    expected = within_prompt_covariance(drawn.rewards, slope, drawn.prompt).estimate
    found = objective_gradients(model, drawn, CONFIG) @ flat
    assert found.tolist() == pytest.approx(expected.tolist(), rel=1e-3, abs=1e-4)


def test_a_gradient_that_is_not_finite_is_named(policy, drawn) -> None:
    with torch.no_grad():
        policy[0].lm_head.weight[3, 3] = float("nan")
    with pytest.raises(CovlawError, match="guard's gradient of a, b, c is not finite"):
        objective_gradients(policy[0], drawn, CONFIG)
