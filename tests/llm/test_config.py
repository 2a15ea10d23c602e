"""Settings are checked before any work, with the culprit and the remedy named."""

import tomllib
from typing import Any

import pytest
import tomli_w

from covlaw.llm.config import TrainConfig
from covlaw.theory.errors import CovlawError

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
    ({"options": {"ctwaa": {"step": 1.0}}}, "did you mean ctwa"),
]


@pytest.mark.parametrize(("settings", "message"), BAD)
def test_bad_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CovlawError, match=message.replace("(", r"\(")):
        TrainConfig.from_dict(settings)


def test_an_unknown_preset_names_near_matches() -> None:
    with pytest.raises(CovlawError, match="did you mean cpu-demo"):
        TrainConfig.preset("cpu_demo")


def test_a_configuration_survives_toml() -> None:
    config = TrainConfig.preset("cpu-demo", scalarizer="ctwa", seed=3)
    again = TrainConfig.from_dict(tomllib.loads(tomli_w.dumps(config.to_dict())))
    assert again == config
