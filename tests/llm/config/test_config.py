"""Settings are checked before any work, with the culprit and the remedy named."""

import inspect
import re
import tomllib
from typing import Any

import pytest
import tomli_w

from covlaw.llm.config.train_config import TrainConfig
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.estimators.advantages import NORMALISERS
from covlaw.theory.scalarizers import SCALARIZERS

REFERENCES = [
    name for name, cls in SCALARIZERS.items() if "reference" in inspect.signature(cls).parameters
]
BAD: list[tuple[dict[str, Any], str]] = [
    ({"scalarizer": "liner"}, "did you mean linear"),
    ({"normaliser": "grop"}, "did you mean grpo"),
    ({"aggregation": "mean"}, "aggregation"),
    ({"steps": 0}, "steps is 0"),
    ({"completions": 1}, "completions is 1"),
    ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ({"temperature": 0.0}, "temperature is 0"),
    ({"clip_low": 1.5}, "clip_low is 1.5"),
    ({"clip_high": -0.1}, "clip_high is -0.1"),
    ({"dual_clip": 0.9}, "dual_clip is 0.9"),
    ({"options": {"linear": {"weights": [1.0, 1.0]}}}, "2 values for 3 objectives"),
    ({"options": {"linear": {"weights": [1.0, -1.0, 1.0]}}}, "'conciseness' is -1.0"),
    ({"options": {"linear": {"weigths": 1.0}}}, "did you mean weights"),
    ({"rewards": ["accuracy", "accuracy"]}, "occur twice"),
    ({"learning_rat": 1e-3}, "did you mean learning_rate"),
    ({"learning_rate": "fast"}, "learning_rate is 'fast': use a number"),
    ({"clip_low": "0.2"}, "clip_low is '0.2': use a number"),
    ({"rewards": "accuracy"}, "rewards is 'accuracy': use a list"),
    ({"model": 3}, "model is 3: use text"),
    ({"task": "aritmetic"}, "did you mean arithmetic"),
    ({"options": 3}, "options is 3"),
    ({"options": {"ctwa": 3}}, "options of scalarizer 'ctwa' are 3"),
    ({"reward_best": []}, "reward_best is []: give one finite number"),
    ({"reward_best": [1.0, 2.0]}, "for all 3 objectives, or one each"),
    ({"reward_best": [float("inf")]}, "reward_best is [inf]"),
    ({"reward_worst": ["low"]}, "reward_worst is ['low']"),
    ({"reward_worst": [0.0, 0.0, 1.0]}, "reward_worst 1.0 is not below reward_best 1.0"),
    ({"options": {"ctwaa": {"step": 1.0}}}, "did you mean ctwa"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CovlawError, match=re.escape(message)):
        TrainConfig.from_dict(settings)


def test_an_unknown_preset_names_near_matches() -> None:
    with pytest.raises(CovlawError, match="did you mean cpu-demo"):
        TrainConfig.preset("cpu_demo")


def test_a_configuration_survives_toml() -> None:
    config = TrainConfig.preset("cpu-demo", scalarizer="ctwa-fast", seed=3)
    again = TrainConfig.from_dict(tomllib.loads(tomli_w.dumps(config.to_dict())))
    assert again == config


def test_a_dotted_name_overrides_one_option_and_leaves_its_neighbours() -> None:
    overrides: dict[str, Any] = {"scalarizer": "ctwa-fast", "options.ctwa-fast.target": 0.2}
    config = TrainConfig.preset("cpu-demo", **overrides)
    ctwa = {"target": 0.2, "step": 5.0, "ema": 0.1, "cap": 3.0}
    assert config.options["ctwa-fast"].items() >= ctwa.items()
    fresh = TrainConfig.preset("cpu-demo", scalarizer="mgda", **{"options.mgda.reference": True})
    assert fresh.as_reference
    assert not config.as_reference
    with pytest.raises(CovlawError, match=r"setting 'steps.more': 'steps' is 45, not a table"):
        TrainConfig.preset("cpu-demo", **{"steps.more": 1})
    with pytest.raises(CovlawError, match="did you mean target"):
        TrainConfig.preset("cpu-demo", scalarizer="ctwa-fast", **{"options.ctwa-fast.targt": 1.0})


def test_settings_that_are_not_the_published_ones_have_a_name_of_their_own() -> None:
    tuned = TrainConfig.preset("cpu-demo", scalarizer="ctwa-fast")
    assert tuned.scalarizer_name == "ctwa-fast"
    assert tuned.make_scalarizer().step == 5.0
    published = TrainConfig.preset("cpu-demo", scalarizer="ctwa", **{"options.ctwa.target": 0.01})
    assert (
        published.make_scalarizer().step == TrainConfig.preset("paper-ctwa").make_scalarizer().step
    )
    with pytest.raises(CovlawError, match="did you mean ctwa"):
        TrainConfig(scalarizer="mine", options={"mine": {"scalarizer": "ctwaa"}})


@pytest.mark.parametrize("normaliser", sorted(NORMALISERS))
@pytest.mark.parametrize("scalarizer", sorted(REFERENCES))
def test_every_signal_and_reference_form_can_be_asked_for(scalarizer: str, normaliser: str) -> None:
    overrides: dict[str, Any] = {f"options.{scalarizer}.reference": True, "normaliser": normaliser}
    config = TrainConfig.preset("cpu-demo", scalarizer=scalarizer, **overrides)
    assert config.as_reference
    assert config.to_dict()["options"][scalarizer]["reference"] is True
    again = TrainConfig.from_dict(tomllib.loads(tomli_w.dumps(config.to_dict())))
    assert again == config
