"""How often a run is audited where its cost decides."""

from dataclasses import replace

import pytest

from covlaw.llm.audit.schedule import AUTO, MOST, SHARE, audit_count, audit_steps, relative_cost
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan.work import audit_draws, audit_passes, count_work
from covlaw.theory._numerics.errors import CovlawError

CONFIG = TrainConfig(
    prompts=32, completions=16, audit="full", audit_prompts=32, audit_completions=8
)


def test_counts_that_are_set_are_kept() -> None:
    assert audit_count(replace(CONFIG, audits=7), 3) == 7
    assert audit_steps(10, audit_count(replace(CONFIG, audits=0), 10)) == frozenset()


@pytest.mark.parametrize("steps", [200, 400, 800])
@pytest.mark.parametrize("scalarizer", ["linear", "ctwa", "mgda"])
def test_chosen_by_cost_they_stay_within_their_share(steps: int, scalarizer: str) -> None:
    config = replace(CONFIG, scalarizer=scalarizer)
    assert config.audits == AUTO
    count = audit_count(config, steps)
    assert 1 < count <= MOST
    assert count_work(config, steps, count).audit_share <= SHARE
    cost = relative_cost(config)
    assert count * cost <= SHARE * (steps + count * cost)
    one_more = (count + 1) * cost
    assert count == MOST or one_more > SHARE * (steps + one_more)


def test_a_short_run_gets_one_at_its_start_all_the_same() -> None:
    assert audit_steps(8, audit_count(CONFIG, 8)) == {0}


def test_an_audit_costs_more_with_more_in_it() -> None:
    draws, passes = audit_draws(CONFIG), audit_passes(CONFIG)
    assert draws == 2 * 32 * (8 + CONFIG.measured_completions)
    held_out = replace(CONFIG, audit_held_out=5)
    assert audit_draws(held_out) == draws + 2 * 5 * CONFIG.measured_completions
    for more in ({"epochs": 2}, {"kl_coefficient": 0.1}, {"audit_gramian": True}):
        assert audit_passes(replace(CONFIG, **more)) > passes


def test_a_light_audit_is_counted_without_gradients_and_their_sample() -> None:
    light = replace(CONFIG, audit="light")
    assert audit_draws(light) == 32 * (8 + 2 * CONFIG.measured_completions)
    sample = 32 * 8
    assert audit_passes(light) == sample * (1 + 1 + 3)  # read once, and one derivative
    assert audit_passes(replace(light, epochs=2)) == sample * (1 + 2 + 1 + 3)
    anchored = replace(light, kl_coefficient=0.1, kl_place="loss")
    assert audit_passes(anchored) == audit_passes(light) + 2 * sample


def test_other_negative_counts_are_refused() -> None:
    with pytest.raises(CovlawError, match="audits is -2"):
        TrainConfig(audits=-2)
