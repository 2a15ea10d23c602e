"""What a configuration of verl may say of covlaw, and what is refused before a worker starts."""

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from verl.trainer.ppo.v1 import PPOTrainerSync, get_trainer_cls
from verl_toy import NAMES, configured

from covlaw.plugins.verl.settings import read_settings
from covlaw.theory._numerics.errors import CovlawError


def build(folder: Path, *more: str, **ours: Any) -> Any:
    config = configured(folder, *more, **{"rewards": NAMES, **ours})
    return get_trainer_cls("covlaw")(config)


def test_the_trainer_is_registered_beside_verls(tmp_path: Path) -> None:
    assert issubclass(get_trainer_cls("covlaw"), PPOTrainerSync)
    assert get_trainer_cls("sync") is PPOTrainerSync
    trainer = build(tmp_path, scalarizer="ctwa")
    assert trainer.trainer_mode == "sync"  # which verl's queue and checkpoints go by


def test_verl_finds_it_by_its_entry_point() -> None:
    found = [e for e in entry_points(group="verl.plugins") if e.name == "covlaw"]
    if not found:
        pytest.skip("covlaw is on the path, not installed")
    program = "import verl, sys; assert 'covlaw.plugins.verl.trainer' not in sys.modules\n"
    program += "from verl.trainer.ppo.v1 import get_trainer_cls; print(get_trainer_cls('covlaw'))"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True, check=True
    )
    assert "PPOTrainerCovlaw" in done.stdout


def test_rewards_are_gdpos_keys_where_they_are_not_listed(tmp_path: Path) -> None:
    config = configured(tmp_path, "+algorithm.gdpo_reward_keys=[right,brief]")
    assert read_settings(config).rewards == ["right", "brief"]


@pytest.mark.parametrize("name", ["mgda", "upgrad", "nash_mtl", "gradnorm", "gapo", "dynamic"])
def test_scalarizers_that_need_gradients_are_refused_by_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(CovlawError, match=f"'{name}' needs the gradient of every reward"):
        build(tmp_path, scalarizer=name)


@pytest.mark.parametrize(
    ("more", "ours", "words"),
    [
        ((), {"scalarizr": "ctwa"}, "scalarizer"),
        ((), {"rewards": []}, r"list the keys of the dict that your reward function returns"),
        ((), {"scalarizer": "ctva"}, "ctwa"),
        ((), {"scalarizer": "ctwa", "options": {"stp": 1}}, "step"),
        ((), {"every": -1}, "every=-1"),
        ((), {"scalarizer": "ctwa", "observed": 15}, "rollout.n=16 and observed=15"),
        ((), {"scalarizer": "famo", "reward_range": {"rigth": [0, 1]}}, "right"),
        (("actor_rollout_ref.rollout.n=3",), {"scalarizer": "ctwa"}, "raise rollout.n to 4"),
        (("actor_rollout_ref.rollout.top_p=0.9",), {"scalarizer": "ctwa"}, "top_p=0.9"),
        (("actor_rollout_ref.rollout.top_k=20",), {}, r"trainer.v1.covlaw.every=0"),
        ((), {"scalarizer": "pama", "options": {"reference": True}}, "use_kl_loss=True"),
    ],
)
def test_what_cannot_be_followed_is_refused_with_the_remedy(
    tmp_path: Path, more: tuple[str, ...], ours: dict[str, Any], words: str
) -> None:
    with pytest.raises(CovlawError, match=words):
        build(tmp_path, *more, **ours)


def test_a_broken_plug_in_is_a_warning_and_verl_goes_on() -> None:
    program = """
import warnings
from covlaw.plugins.verl._arrival import after_import
after_import("colorsys", "covlaw.no_such_module")
with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    import colorsys
assert colorsys.rgb_to_hsv(1, 0, 0), colorsys
assert "covlaw.no_such_module can't be imported" in str(seen[0].message)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True)  # noqa: S603


def test_the_example_is_a_configuration_of_verl_that_ours_follows() -> None:
    from hydra import compose, initialize_config_dir

    folder = Path(__file__).parents[3] / "examples"
    with initialize_config_dir(str(folder), version_base=None):
        config = compose("verl_config", ["hydra.searchpath=[pkg://verl.trainer.config]"])
    settings = read_settings(config)
    assert (settings.scalarizer, settings.rewards) == ("ctwa", ["right", "brief"])
    trainer = get_trainer_cls(config.trainer.v1.trainer_mode)(config)
    assert trainer.covlaw_observed == 4
    assert config.trainer.rollout_data_dir == "dump"
