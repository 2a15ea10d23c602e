"""The study's worlds: what their cells promise, and the base policies of the transformers."""

import pytest
import torch

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.rounding import rounding
from covlaw.theory.estimators.covariance import covariance_matrix
from covlaw.toys.prefix_tree import PrefixTree
from covlaw.toys.study.base import KEPT, MIXTURES, Mixture, brought_up, written
from covlaw.toys.study.ensemble import PolicyEnsemble
from covlaw.toys.study.supply import snapshot
from covlaw.toys.study.worlds import PROMPTS, WORLDS, find_world
from covlaw.toys.token_rewards import token_rewards

TREE, TOKENS = PrefixTree(4, 3), torch.tensor(PROMPTS)


def test_worlds_sweep_what_the_study_is_about() -> None:
    swept = {name: set(world.cells[0]) for name, world in WORLDS.items()}
    assert swept["bandit"] == {"conflict", "scale"}
    assert {o.partition("-")[0] for o in WORLDS["transformer"].optimisers} == {"sgd", "adamw"}
    transformers = WORLDS["transformer"].cells
    assert {cell["architecture"] for cell in transformers} == {"qwen2", "llama", "gpt2"}
    assert len({(cell["width"], cell["mixture"]) for cell in transformers}) == 6


@pytest.mark.parametrize("cell", range(len(WORLDS["bandit"].cells)))
def test_a_bandit_has_the_correlations_and_scales_of_its_cell(cell: int) -> None:
    world = WORLDS["bandit"]
    ensemble = world.build(world.cells[cell], (0, 5))
    now = snapshot(ensemble, ensemble.theta)
    conflict, scale = world.cells[cell]["conflict"], world.cells[cell]["scale"]
    for r in range(2):
        prompt = ensemble.tree.world.prompt
        within = covariance_matrix(ensemble.rewards[r], prompt, now.mass[r])
        spread = within.diagonal().sqrt()
        assert float(spread[0] / spread[2]) == pytest.approx(scale)
        off = (within / spread / spread[:, None])[~torch.eye(3, dtype=torch.bool)]
        assert off.tolist() == pytest.approx([-conflict / 2] * 6)


def test_seeds_decide_worlds_and_cells_share_them() -> None:
    world = WORLDS["tabular"]
    first, again = (world.build(world.cells[0], seeds) for seeds in ((3, 4), (4,)))
    assert torch.equal(first.theta[1], again.theta[0])
    assert not torch.equal(first.theta[0], first.theta[1])
    assert torch.equal(world.build(world.cells[1], (4,)).theta, again.theta)


@pytest.mark.parametrize("name", [name for name, mixture in MIXTURES.items() if mixture])
def test_a_mixture_is_a_policy_with_its_styles(name: str) -> None:
    mixture = MIXTURES[name]
    assert isinstance(mixture, Mixture)
    mass = written(mixture, TREE, TOKENS).reshape(len(TOKENS), -1)
    assert mass.sum(1).tolist() == pytest.approx([1.0, 1.0])
    rewards = token_rewards(TREE, TOKENS, 0.0).reshape(len(TOKENS), -1, 3)
    accuracy, conciseness, clarity = (mass[..., None] * rewards).sum(1).mean(0).tolist()
    right = [style.share * (1 - style.wrong) for style in mixture]
    assert accuracy == pytest.approx(sum(right) / sum(s.share for s in mixture))
    assert clarity == pytest.approx(mixture.stepwise.share)
    assert conciseness == pytest.approx(mixture.terse.share * 2 / 3)  # one symbol of three


def base(mixture: str) -> tuple[PolicyEnsemble, torch.Tensor]:
    cell = {"architecture": "gpt2", "width": 8, "mixture": mixture}
    ensemble = WORLDS["transformer"].build(cell, (0, 1))
    return ensemble, snapshot(ensemble, ensemble.theta).mass


def test_bringing_up_moves_the_policy_to_its_mixture_and_keeps_every_completion() -> None:
    _, before = base("untrained")
    ensemble, after = base("terse-right")
    mixture = MIXTURES["terse-right"]
    assert mixture is not None
    target = KEPT * before + (1 - KEPT) * written(mixture, TREE, TOKENS)

    def distance(mass: torch.Tensor) -> torch.Tensor:
        """KL(target ‖ policy), mean over prompts: (R,)."""
        terms = torch.where(target > 0, target * (target / mass).log(), 0.0)
        return ensemble.by_prompt(terms).sum(2).mean(1)

    assert bool((distance(after) < 0.2 * distance(before)).all())
    assert bool((after > 0).all())
    total = ensemble.by_prompt(after).sum(2)
    assert float((total - 1).abs().max()) <= float(rounding(1, 40 * ensemble.depth))


def test_unknown_names_show_their_neighbours() -> None:
    with pytest.raises(CovlawError, match=r"world of the study 'bandits': did you mean bandit"):
        find_world("bandits")
    ensemble, _ = base("untrained")
    with pytest.raises(CovlawError, match=r"mixture 'terse-wrong': did you mean terse-right"):
        brought_up(ensemble, TREE, TOKENS, "terse-wrong")
