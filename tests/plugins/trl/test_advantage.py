"""The advantage that audits use is what TRL's trainers train on."""

import first_token_world as world
import pytest
import torch
import trl_world

from covlaw.plugins.trl.advantage import EPSILON, rule_of, trl_advantage
from covlaw.theory.scalarizers import Batch, make_scalarizer

GRPO = [
    {"scale_rewards": scaling, "multi_objective_aggregation": order}
    for scaling in ("group", "batch", "none")
    for order in ("sum_then_normalize", "normalize_then_sum")
]
RLOO = [{}, {"normalize_advantages": True}, {"reward_clip_range": (0.3, 0.6)}]


def none_at_times(completion_ids, **_):
    return [None if ids[0] % 3 else float(world.TABLES["wanted"][ids[0]]) for ids in completion_ids]


def nearly_never(completion_ids, **_):
    return [None if ids[0] % 5 else 1.0 for ids in completion_ids]


def watched(cls):
    """The trainer, keeping each batch's rewards and the advantages that it made of them."""

    class Watched(cls):
        def _calculate_rewards(self, *args, **kwargs):
            self.seen = super()._calculate_rewards(*args, **kwargs)
            return self.seen

        def _generate_and_score_completions(self, inputs):
            output = super()._generate_and_score_completions(inputs)
            self.made = output["advantages"].clone()
            return output

    return Watched


@pytest.mark.parametrize("missing", [False, True], ids=["all scored", "with None"])
@pytest.mark.parametrize(
    ("base", "given"),
    [*(("GRPOTrainer", g) for g in GRPO), *(("RLOOTrainer", g) for g in RLOO)],
)
def test_it_is_what_trl_trains_on(tmp_path, base, given, missing) -> None:
    functions = {"reward_funcs": [none_at_times, nearly_never]} if missing else {}
    trainer = trl_world.make(tmp_path, base, watched, max_steps=1, **functions, **given)
    trainer.train()
    found = trl_advantage(
        trainer.seen, trainer.reward_weights, trl_world.GENERATIONS, rule_of(trainer)
    )
    # float32 in TRL: some roundings of a score of order 1, divided by a deviation and by one of 0
    scale = 1 if given.get("scale_rewards", "none") == "none" else 1 / EPSILON
    close = 64 * torch.finfo(torch.float32).eps * max(1.0, scale * 1e-1)
    assert float((found - trainer.made.double()).abs().max()) <= close
    if missing:
        unscored = torch.isnan(trainer.seen).all(1)
        assert unscored.any()
        assert (found[unscored] == 0).all()


def test_the_other_aggregation_is_another_algorithm(tmp_path) -> None:
    """The control: the same rewards under the other order are not what TRL trained on."""
    trainer = trl_world.make(tmp_path, wrap=watched, max_steps=1, scale_rewards="group")
    trainer.train()
    wrong = rule_of(trainer)._replace(by_reward=True)
    found = trl_advantage(trainer.seen, trainer.reward_weights, trl_world.GENERATIONS, wrong)
    assert float((found - trainer.made.double()).abs().max()) > 0.1


def test_trls_normalize_then_sum_is_gdpo_number_for_number(tmp_path) -> None:
    """TRL divides by a std with divisor N − 1 and adds 1e-4 to every std; ours does neither."""
    given = {"scale_rewards": "group", "multi_objective_aggregation": "normalize_then_sum"}
    trainer = trl_world.make(tmp_path, "GRPOTrainer", watched, max_steps=1, **given)
    trainer.train()
    rewards = trainer.seen.double()
    prompt = torch.arange(len(rewards)) // trl_world.GENERATIONS
    names = [f"r{k}" for k in range(rewards.shape[1])]
    weights = trainer.reward_weights.double()
    scalarizer = make_scalarizer("gdpo", names, weights=weights.tolist())
    ours = scalarizer.signal(scalarizer.init(), Batch(rewards, prompt))[1].advantage
    ours = ours * ((len(rewards) - 1) / len(rewards)) ** 0.5
    spread = torch.stack([rewards[prompt == x].std(0) for x in prompt.unique()])
    score = (ours.abs().max() * weights.sum()).clamp(min=1.0)
    # each std is off by a factor 1 + EPSILON/std; constant groups are 0 in both
    slack = 4 * EPSILON * float((1 / spread[spread > 0]).max()) + 1e-5
    assert float((ours - trainer.made.double()).abs().max()) <= slack * float(score)
    assert float(ours.abs().max()) > 0.5
