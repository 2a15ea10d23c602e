"""The Gramian is that of the batch's policy gradients: against an enumerated world, and linear."""

from dataclasses import replace
from typing import NamedTuple

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop import gramian as module
from covlaw.llm.loop.gramian import policy_gramian
from covlaw.llm.loop.loss_pass import accumulate
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model.parameters import gradients, trainable
from covlaw.llm.sampling.engine import Completions
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.groups import group_by_prompt
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.advantages import centred
from covlaw.toys.transformer.float64_model import Float64, ModelShape
from covlaw.toys.transformer.worlds import TransformerWorld, transformer_world


class Shrunk(NamedTuple):
    """A Gramian left as it is."""

    gram: Tensor


CONFIG = TrainConfig(aggregation="sequence_sum", grad_clip=0.0)
AGGREGATIONS = ["sequence_sum", "sequence_mean", "token_mean"]
# float32 gradients: sums of ~100 tokens' terms whose signs partly cancel
ROUNDING = 100 * 2.0**-23 * 10


@pytest.fixture(scope="module")
def toy() -> TransformerWorld:
    shape = ModelShape(vocabulary=4, hidden=8)
    return transformer_world(shape, 3, torch.tensor([[0, 1], [2, 0]]), seed=1)


def rows_of(toy: TransformerWorld, drawn: Tensor) -> Completions:
    """Enumerated completions as a batch of the trainer's; `drawn` are rows of the world."""
    own = toy.tree.completions.repeat(len(toy.prompts), 1)[drawn]
    prompt = toy.world.prompt[drawn]
    mask = own >= 0
    return Completions(
        toy.prompts[prompt],
        torch.ones_like(toy.prompts[prompt], dtype=torch.bool),
        own.clamp(min=0),
        mask,
        torch.zeros(mask.shape),
        prompt,
        [""] * len(drawn),
    )


def exact_gramian(toy: TransformerWorld, drawn: Tensor, rewards: Tensor) -> Tensor:
    """⟨g_j, g_k⟩ of the rows' empirical policy by the world's own Jacobian (N, D)."""
    scores, prompt = toy.world.scores()[drawn], toy.world.prompt[drawn]
    advantage = rewards.clone()
    for x in prompt.unique():
        advantage[prompt == x] -= rewards[prompt == x].mean(0)
    gradient = advantage.T @ scores / len(drawn)
    return gradient @ gradient.T


@pytest.mark.parametrize("micro_batch", [1000, 7])
def test_it_is_the_exact_gramian_of_an_enumerated_transformer(
    toy: TransformerWorld, micro_batch: int
) -> None:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(len(toy.world.prompt), (60,), generator=generator).sort().values
    rewards = torch.randn(60, 3, generator=generator).double()
    rewards[:, 2] *= 1e6
    config = replace(CONFIG, micro_batch=micro_batch)
    with Float64(), sdpa_kernel(SDPBackend.MATH):
        found = policy_gramian(toy.model.module, rows_of(toy, drawn), rewards, config)
    expected = exact_gramian(toy, drawn, rewards)
    length = (toy.world.scores()[drawn].abs().sum(0).norm() * rewards.abs().amax(0)) / len(drawn)
    # both sides differentiate a log-prob of `depth` roundings, add 60 rows and D products
    operations = 4 * (toy.world.depth + len(drawn) + toy.world.theta.shape[0])
    allowed = rounding(torch.outer(length, length), operations)
    assert ((found - expected).abs() <= allowed).all()
    assert (allowed.diagonal() < 1e-8 * expected.diagonal()).all()  # the comparison can fail


@pytest.fixture
def batch(draw) -> tuple[Completions, Tensor]:
    completions = draw(n=12)
    generator = torch.Generator().manual_seed(5)
    return completions, torch.rand(len(completions.text), 3, generator=generator).double()


def flat_gradient(model, completions, advantage, config) -> Tensor:
    model.zero_grad(set_to_none=True)
    accumulate(model, TrainingBatch(completions, advantage), config)
    found = gradients(model)
    model.zero_grad(set_to_none=True)
    return torch.cat([found[name].reshape(-1).double() for name in sorted(found)])


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_the_gradient_of_the_combined_advantage_is_the_combined_gradient(
    policy, batch, aggregation: str
) -> None:
    """So one more backward pass carries out whatever the weights."""
    model, (completions, rewards) = policy[0], batch
    config = replace(CONFIG, aggregation=aggregation, micro_batch=5)
    gram = policy_gramian(model, completions, rewards, config)
    weights = torch.tensor([0.2, 0.3, 0.5]).double()
    groups = group_by_prompt(completions.prompt)
    each = centred(rewards, groups)
    combined = flat_gradient(model, completions, each @ weights, config)
    size = gram.diagonal().sqrt()
    assert abs(float(combined @ combined - weights @ gram @ weights)) < ROUNDING * float(
        (weights @ size).square()
    )
    for j in range(3):
        own = flat_gradient(model, completions, each[:, j], config)
        error = abs(float(own @ combined - (gram @ weights)[j]))
        assert error < ROUNDING * float(size[j] * (weights @ size))


def test_a_crossed_one_is_unbiased_where_the_plain_one_adds_the_noise(
    toy: TransformerWorld,
) -> None:
    """Over draws of 4 completions a prompt, before anything is shrunk; the plain one must fail."""
    generator = torch.Generator().manual_seed(11)
    world, mass = toy.world, toy.world.log_prob_at().exp()
    rewards = torch.randn(len(world.prompt), 2, generator=generator).double()
    scores = world.scores()
    prompts = [torch.nonzero(world.prompt == x)[:, 0] for x in world.prompt.unique()]
    advantage = rewards.clone()
    for rows in prompts:
        advantage[rows] -= mass[rows] @ rewards[rows]
    share = mass / len(prompts)
    gradient = (advantage * share[:, None]).T @ scores
    true = (3 / 4) ** 2 * gradient @ gradient.T  # centring among 4 leaves 3/4 of a gradient
    crossed, plain = [], []
    with Float64(), sdpa_kernel(SDPBackend.MATH), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "shrunk_gramian", lambda x, _: Shrunk((x + x.T) / 2))
        for _ in range(100):
            draws = [
                rows[torch.multinomial(mass[rows], 4, replacement=True, generator=generator)]
                for rows in prompts
            ]
            drawn = torch.cat(draws)
            given = (toy.model.module, rows_of(toy, drawn), rewards[drawn], CONFIG)
            crossed.append(policy_gramian(*given, crossed=True))
            plain.append(policy_gramian(*given))
    for found, fair in ((torch.stack(crossed), True), (torch.stack(plain), False)):
        error = found.std(0) / len(found) ** 0.5
        z = ((found.mean(0) - true) / error).diagonal()
        assert (z.abs() < 4).all() if fair else (z > 4).all()


def test_a_crossed_one_is_positive_semidefinite_and_refuses_pairs(policy, batch) -> None:
    model, (completions, rewards) = policy[0], batch
    gram = policy_gramian(model, completions, rewards, CONFIG, crossed=True)
    size = float(gram.diagonal().sum())
    assert float(torch.linalg.eigvalsh(gram).min()) >= -rounding(size, 100)
    few = (completions.prompt[:, None] == completions.prompt).tril().sum(1) <= 3
    rows = few.nonzero()[:, 0]
    with pytest.raises(CovlawError, match=r'has 3 completions.*or gramian = "plain"'):
        policy_gramian(model, completions.rows(rows), rewards[rows], CONFIG, crossed=True)
    with pytest.raises(CovlawError, match="completions is 3: a crossed Gramian needs two halves"):
        TrainConfig(gramian="crossed", completions=3)


def test_it_touches_no_gradient_and_no_parameter(policy, batch) -> None:
    model, (completions, rewards) = policy[0], batch
    before = {n: p.detach().clone() for n, p in trainable(model).items()}
    policy_gramian(model, completions, rewards, CONFIG)
    assert all(p.grad is None and torch.equal(p, before[n]) for n, p in trainable(model).items())


def test_ties_copies_and_constants(policy, batch) -> None:
    """A reward that is constant given the prompt has no gradient; a copy has the same one."""
    model, (completions, rewards) = policy[0], batch
    constant = completions.prompt.double()
    given = torch.stack([rewards[:, 0], rewards[:, 0], constant, 1e9 * rewards[:, 1]], 1)
    gram = policy_gramian(model, completions, given, CONFIG)
    assert torch.equal(gram[0], gram[1])
    assert torch.equal(gram[2], torch.zeros(4).double())
    assert gram[3, 3] > 1e9 * gram[0, 0]
    assert torch.equal(gram, gram.T)
    alone = policy_gramian(model, completions, rewards[:, :1], CONFIG)
    assert alone.shape == (1, 1)


def test_rewards_are_centred_prompt_by_prompt(policy, batch) -> None:
    """A prompt's level is no signal: adding it to a reward changes no gradient beyond rounding."""
    model, (completions, rewards) = policy[0], batch
    shifted = rewards + completions.prompt.double()[:, None]
    plain, moved = (policy_gramian(model, completions, r, CONFIG) for r in (rewards, shifted))
    assert torch.allclose(plain, moved, rtol=ROUNDING, atol=ROUNDING * float(plain.max()))
    scaled = policy_gramian(model, completions, 2 * rewards, CONFIG)
    assert torch.equal(scaled, 4 * plain)


def test_more_objectives_than_tokens(policy, draw) -> None:
    completions = draw(n=12, tokens=1)
    assert completions.tokens.shape[1] == 1
    rewards = torch.rand(36, 3, generator=torch.Generator().manual_seed(5)).double()
    whole = policy_gramian(policy[0], completions, rewards, CONFIG)
    for j in range(3):
        own = policy_gramian(policy[0], completions, rewards[:, j : j + 1], CONFIG)
        assert torch.allclose(own[0, 0], whole[j, j], rtol=ROUNDING)
