"""Tilts at a given KL, and the distance to their frontier: closed forms, and rivals drawn."""

from math import log

import numpy as np
import pytest
import torch
from torch import Tensor

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.tilts.equal_kl import room_at_kl, tilt_to

EXACT = torch.float64


def worlds(seed: int, runs: int = 5, prompts: int = 2, size: int = 6, count: int = 3) -> tuple:
    rng = np.random.default_rng(seed)
    rewards = torch.as_tensor(rng.normal(size=(runs, prompts, size, count)))
    mass = torch.as_tensor(rng.dirichlet(np.ones(size), size=(runs, prompts)))
    return rewards, mass, torch.tensor([0.3, 0.7], dtype=EXACT)[:prompts]


def test_two_completions_in_closed_form() -> None:
    """π₀ = (½, ½), rewards 0 and 1: at probability p KL is log 2 + p log p + (1 − p) log(1 − p)."""
    p = 0.8
    kl = log(2) + p * log(p) + (1 - p) * log(1 - p)
    rewards = torch.tensor([0.0, 1.0], dtype=EXACT)[None, None, :, None]
    mass = torch.full((1, 1, 2), 0.5, dtype=EXACT)
    one = torch.ones(1, dtype=EXACT)
    found = tilt_to(rewards, mass, one, one[None], torch.tensor([kl], dtype=EXACT))
    assert float(found.values) == pytest.approx(p, abs=1e-9)
    assert float(found.strength) == pytest.approx(log(p / (1 - p)), abs=1e-8)
    own = torch.tensor([[0.6]], dtype=EXACT)
    room = room_at_kl(rewards, mass, one, own, found.kl, torch.full((1, 1), 2.0, dtype=EXACT))
    assert float(room.room) == pytest.approx((p - 0.6) / 2, abs=1e-9)


def test_more_kl_than_there_is_ends_at_the_best() -> None:
    rewards, mass, prompt = worlds(0)
    equal = torch.ones(5, 3, dtype=EXACT)
    found = tilt_to(rewards, mass, prompt, equal, torch.full((5,), 50.0, dtype=EXACT))
    best = rewards.sum(-1).argmax(2)
    at = torch.gather(rewards, 2, best[:, :, None, None].expand(-1, -1, 1, 3))[:, :, 0]
    assert torch.allclose(found.values, torch.einsum("p,rpm->rm", prompt, at), atol=1e-6)


def test_a_tilt_is_on_the_frontier_and_another_policy_is_not() -> None:
    rewards, mass, prompt = worlds(1)
    kl = torch.full((5,), 0.4, dtype=EXACT)
    one = torch.ones(5, 3, dtype=EXACT)
    for weights in ([1.0, 1.0, 1.0], [0.7, 0.0, 0.3], [0.05, 0.9, 0.05]):
        along = torch.tensor(weights, dtype=EXACT).expand(5, 3)
        found = tilt_to(rewards, mass, prompt, along, kl)
        assert float(found.kl.sub(kl).abs().max()) < 1e-9
        room = room_at_kl(rewards, mass, prompt, found.values, found.kl, one)
        assert float(room.room.min()) > -1e-9  # T56: never better than the tilt of its own KL
        assert float(room.room.max()) < 1e-4  # the search's grid
        lower = room_at_kl(rewards, mass, prompt, found.values - 0.2, found.kl, one)
        assert lower.room.tolist() == pytest.approx([0.2] * 5, abs=1e-4)


def tilted_anyhow(mass: Tensor, seed: int, strength: float) -> Tensor:
    noise = torch.as_tensor(np.random.default_rng(seed).normal(size=mass.shape))
    return (mass.log() + strength * noise).softmax(2)


def test_no_policy_of_less_kl_beats_the_room_and_one_attains_it() -> None:
    rewards, mass, prompt = worlds(2)
    one = torch.ones(5, 3, dtype=EXACT)

    def of(policy: Tensor) -> tuple[Tensor, Tensor]:
        kl = (policy * (policy / mass).log()).sum(2) @ prompt
        return torch.einsum("p,rpk,rpkm->rm", prompt, policy, rewards), kl

    values, kl = of(tilted_anyhow(mass, 0, 1.0))
    found = room_at_kl(rewards, mass, prompt, values, kl, one)
    assert float(found.room.min()) > 0.05  # these are not on the frontier
    for seed in range(1, 400):
        rival, cost = of(tilted_anyhow(mass, seed, 0.1 * (seed % 10)))
        ahead = (rival - values).amin(1)
        assert bool(((cost > kl) | (ahead <= found.room + 1e-9)).all())
    there = tilt_to(rewards, mass, prompt, found.weights, kl)
    least = torch.where(found.weights > 1e-2, there.values - values, torch.inf).amin(1)
    # where the bound is least, every reward with weight is ahead by the same: the slope is 0
    assert torch.allclose(least, found.room, atol=0.02)


def test_shapes_and_divergences_are_checked() -> None:
    rewards, mass, prompt = worlds(3)
    equal, kl = torch.ones(5, 3, dtype=EXACT), torch.full((5,), 0.1, dtype=EXACT)
    with pytest.raises(CovlawError, match="do not fit"):
        tilt_to(rewards, mass[:, :1], prompt, equal, kl)
    with pytest.raises(CovlawError, match="nats ≥ 0"):
        tilt_to(rewards, mass, prompt, equal, -kl)
