"""The private parts of verl that the plug-in stands on: where a new version is checked first."""

import inspect
from pathlib import Path

import pytest
import transfer_queue as tq
import verl
from verl.trainer.ppo import core_algos
from verl.trainer.ppo.v1 import PPOTrainerSync
from verl.utils.checkpoint.checkpoint_manager import find_latest_ckpt_path
from verl.workers.utils.padding import response_from_nested

VERSION = "0.9.1"
"""Of verl, whose methods these are; docs/verl.md and requirements/verl-lock.txt name it too."""
HINT = f"verl {verl.__version__} differs from {VERSION}: go through plugins/verl"
METHODS = {
    "__init__": ["self", "config"],
    "_compute_advantage": ["self", "batch", "metrics"],
    "_update_actor": ["self", "batch", "metrics"],
    "_save_checkpoint": ["self"],
    "_log_rollout_data": ["self", "batch", "timing_raw", "rollout_data_dir"],
    "_dump_generations": [
        *("self", "inputs", "outputs", "gts", "scores", "reward_extra_infos_dict", "dump_path")
    ],
}
FUNCTIONS = {
    tq.kv_batch_get: ["keys", "partition_id", "select_fields"],
    tq.KVBatchMeta.select_keys: ["self", "keys_to_select"],
    find_latest_ckpt_path: ["path"],
    response_from_nested: ["tensor", "response_mask"],
}


@pytest.mark.parametrize("name", METHODS)
def test_private_methods_are_those_of_the_version_named(name: str) -> None:
    found = inspect.signature(getattr(PPOTrainerSync, name)).parameters
    assert list(found) == METHODS[name], HINT


def test_functions_take_what_they_are_given() -> None:
    for function, wanted in FUNCTIONS.items():
        found = list(inspect.signature(function).parameters)
        assert found[: len(wanted)] == wanted, f"{function.__name__}: {HINT}"
    assert "gdpo" in core_algos.ADV_ESTIMATOR_REGISTRY, HINT


def test_what_is_written_is_what_verl_reads() -> None:
    advantage = inspect.getsource(PPOTrainerSync._compute_advantage)
    for part in ('"rm_scores"', "algorithm.adv_estimator", '"advantages"', "batch_keys=batch.keys"):
        assert part in advantage, HINT
    dumped = inspect.getsource(PPOTrainerSync._log_rollout_data)
    assert 'reward_extra_infos_dict = {"uid"' in dumped, HINT
    assert "reward_extra_infos_dict=reward_extra_infos_dict" in dumped, HINT


def test_the_docs_name_the_version() -> None:
    root = Path(__file__).parents[3]
    assert f"verl {VERSION}" in (root / "docs/verl.md").read_text(encoding="utf-8")
    lock = (root / "requirements/verl-lock.txt").read_text(encoding="utf-8")
    assert f"\nverl=={VERSION}\n" in lock
