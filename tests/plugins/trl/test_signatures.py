"""The private parts of TRL that the plug-in stands on: where a new version is checked first."""

import inspect

import pytest
import trl

VERSION = "1.16"
"""Of TRL, whose methods these are; docs/trl.md and pyproject.toml name it too."""
METHODS = {
    "_generate": ["self", "prompts"],
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_save_checkpoint": ["self", "model", "trial"],
    "_load_optimizer_and_scheduler": ["self", "checkpoint"],
}
LOG_PROBS = ["self", "model", "input_ids", "attention_mask", "logits_to_keep"]


@pytest.mark.parametrize("base", ["GRPOTrainer", "RLOOTrainer"])
def test_private_methods_are_those_of_the_version_named(base) -> None:
    cls = getattr(trl, base)
    hint = f"TRL {trl.__version__} differs from {VERSION}: go through plugins/trl"
    for name, wanted in METHODS.items():
        assert list(inspect.signature(getattr(cls, name)).parameters) == wanted, hint
    found = list(inspect.signature(cls._get_per_token_logps_and_entropies).parameters)
    assert found[:5] == LOG_PROBS, hint
    source = inspect.getsource(cls)
    for name in (
        "reward_weights",
        "_metrics",
        "_logs",
        "_pending_metrics",
        "_pending_extra_logs",
        "num_generations_eval",
        "_step",
        "eos_token_ids",
        "_tokenizer",
        "mask_truncated_completions",
        "num_iterations",
    ):
        assert f"self.{name}" in source, hint
    returned = "prompt_ids, completion_ids, tool_mask, completions,"
    if base == "RLOOTrainer":
        returned = "prompt_ids, completion_ids, completions"
    assert f"return {returned}" in inspect.getsource(cls._generate), hint
    assert "scale_rewards" in source or base == "RLOOTrainer", hint
    assert "self.scale_rewards" not in source or base == "GRPOTrainer", hint
