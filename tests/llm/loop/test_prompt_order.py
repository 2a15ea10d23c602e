"""Prompts come at random, or pass after pass over the data; either way a step alone says which."""

from collections import Counter

import pytest

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.prompt_order import PromptOrder, batches_a_pass, steps_in_all
from covlaw.llm.loop.randomness import numpy_stream
from covlaw.llm.sampling.rollout import choose
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError

PROBLEMS = [Problem(f"prompt {k}", str(k)) for k in range(300)]


def config(**changes: object) -> TrainConfig:
    return TrainConfig(prompts=32, data_order="epochs", steps=0, data_epochs=90, **changes)


def test_ninety_passes_over_300_prompts_are_810_steps() -> None:
    """As in the paper: nine whole batches of 32 a pass, 12 prompts left out of each."""
    assert steps_in_all(config(), 300) == 810
    assert steps_in_all(TrainConfig(steps=7), 300) == 7


def test_a_pass_repeats_no_prompt_and_passes_differ() -> None:
    order, a_pass = PromptOrder(PROBLEMS, config()), batches_a_pass(300, 32)
    passes = [[p for k in range(a_pass) for p in order.batch(e * a_pass + k)] for e in range(90)]
    assert all(len(set(p)) == len(p) == 288 for p in passes)
    assert len({tuple(p) for p in passes}) == 90
    seen = Counter(prompt for p in passes for prompt in p)
    assert set(seen) == set(PROBLEMS)
    # left out with probability 12/300 in each of 90 passes: at most 20 times but for 1e-8 a prompt
    assert min(seen.values()) >= 70


def test_the_order_is_the_seeds() -> None:
    batches = [PromptOrder(PROBLEMS, config(seed=seed)).batch(11) for seed in (0, 0, 1)]
    assert batches[0] == batches[1] != batches[2]


def test_random_batches_are_what_they_were() -> None:
    """Recorded runs drew from this stream."""
    order = PromptOrder(PROBLEMS, TrainConfig(seed=3, prompts=5))
    assert order.batch(8) == choose(PROBLEMS, 5, numpy_stream(3, 8, "prompts"))


def test_too_few_prompts_for_a_batch_are_named() -> None:
    with pytest.raises(CovlawError, match="prompts is 32, but the training split has 31"):
        PromptOrder(PROBLEMS[:31], config())


@pytest.mark.parametrize(("steps", "epochs"), [(0, 0), (5, 5)])
def test_steps_or_passes_but_not_both(steps: int, epochs: int) -> None:
    with pytest.raises(CovlawError, match="set one of them and leave the other 0"):
        TrainConfig(steps=steps, data_epochs=epochs)
