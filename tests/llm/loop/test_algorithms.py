"""An algorithm's name fills what is left open, and never what was set beside it."""

import logging
import tomllib
from dataclasses import replace

import pytest
import tomli_w

from covlaw.llm.config.algorithms import ALGORITHMS, warn_of_traps
from covlaw.llm.config.nested import deep_merged
from covlaw.llm.config.train_config import TrainConfig
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.losses.aggregation import AGGREGATIONS

PUBLISHED = {
    "reinforce++": ("reinforce++", "token_mean"),
    "grpo": ("grpo", "sequence_mean"),
    "dr_grpo": ("dr_grpo", "sequence_sum"),
    "rloo": ("rloo", "sequence_sum"),
}


def chosen(config: TrainConfig) -> tuple[str, str]:
    return config.normaliser, config.aggregation


@pytest.mark.parametrize("name", sorted(PUBLISHED))
def test_a_name_stands_for_what_its_source_does(name: str) -> None:
    assert chosen(TrainConfig(algorithm=name)) == PUBLISHED[name]
    assert ALGORITHMS.keys() == PUBLISHED.keys()
    assert ALGORITHMS[name].normaliser in NORMALISERS
    assert ALGORITHMS[name].aggregation in AGGREGATIONS
    assert any(year in ALGORITHMS[name].source for year in ("2019", "2024", "2025"))


def test_without_a_name_it_is_the_laws_own_loss() -> None:
    assert chosen(TrainConfig()) == ("grpo", "sequence_sum")


def test_each_part_can_be_overridden() -> None:
    config = TrainConfig(algorithm="grpo", aggregation="token_mean")
    assert chosen(config) == ("grpo", "token_mean")
    config = TrainConfig(algorithm="grpo", normaliser="pooled_within")
    assert chosen(config) == ("pooled_within", "sequence_mean")


def test_the_record_names_the_parts_and_rebuilds_the_run() -> None:
    config = TrainConfig(algorithm="rloo", aggregation="token_mean")
    record = tomllib.loads(tomli_w.dumps(config.to_dict()))
    assert record["normaliser"] == "rloo"
    assert TrainConfig.from_dict(record) == config
    assert chosen(replace(config, steps=3)) == chosen(config)


def test_another_name_later_reopens_what_an_earlier_choice_filled() -> None:
    """On a preset, on a preset's base, on a copy; what is set beside the name still wins."""
    preset = TrainConfig.preset("cpu-demo", algorithm="rloo")
    assert chosen(preset) == ("rloo", "sequence_sum")
    beside = TrainConfig.preset("cpu-demo", algorithm="rloo", normaliser="grpo")
    assert chosen(beside) == ("grpo", "sequence_sum")
    assert chosen(TrainConfig(algorithm="grpo").with_options(algorithm="rloo")) == PUBLISHED["rloo"]
    base = {"algorithm": "grpo", "normaliser": "reinforce++", "aggregation": "token_mean"}
    merged = deep_merged(base, {"algorithm": "dr_grpo", "aggregation": "sequence_mean"})
    assert chosen(TrainConfig(**merged)) == ("dr_grpo", "sequence_mean")
    assert chosen(TrainConfig(**deep_merged(base, {"steps": 3}))) == ("reinforce++", "token_mean")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"algorithm": "grop"}, "did you mean grpo"),
        ({"mini_batches": 0}, "mini_batches is 0"),
        ({"mini_batches": 257}, "no more than 256 rows"),
        ({"entropy_coefficient": -0.1}, "entropy_coefficient is -0.1"),
        ({"dtype": "bfloat61"}, "did you mean bfloat16"),
        ({"gradient_checkpointing": "no"}, "gradient_checkpointing is 'no': use true or false"),
    ],
)
def test_settings_outside_their_domain_are_refused(settings, message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        TrainConfig.from_dict(settings)


def test_k1_in_the_loss_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "covlaw"):
        warn_of_traps(TrainConfig(kl_estimator="k1"))  # not used
        warn_of_traps(TrainConfig(kl_estimator="k2", kl_coefficient=0.1))
        assert not caplog.records
        warn_of_traps(TrainConfig(kl_estimator="k1", kl_coefficient=0.1))
    assert "expected gradient is 0" in caplog.text
    assert "use 'k2'" in caplog.text
