"""Which prompts a step trains on: a function of the seed and the step, so nothing to save."""

from collections.abc import Sequence

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.randomness import numpy_stream
from covlaw.llm.sampling.rollout import choose
from covlaw.llm.tasks import Problem
from covlaw.theory._numerics.errors import CovlawError


class PromptOrder:
    """Batches of a run's training prompts.

    Args:
        problems: All of them.
        config: `data_order`: "random" draws each batch anew; "epochs" goes through all problems,
            pass after pass, each pass in an order of its own.

    Raises:
        CovlawError: if "epochs" has fewer problems than one batch takes.
    """

    def __init__(self, problems: Sequence[Problem], config: TrainConfig) -> None:
        self.problems, self.config = problems, config
        if config.data_order == "epochs":
            batches_a_pass(len(problems), config.prompts)

    def batch(self, step: int) -> list[Problem]:
        """Return the step's prompts."""
        config = self.config
        if config.data_order == "random":
            rng = numpy_stream(config.seed, step, "prompts")
            return choose(self.problems, config.prompts, rng)
        a_pass = batches_a_pass(len(self.problems), config.prompts)
        epoch, position = divmod(step, a_pass)
        order = numpy_stream(config.seed, epoch, "order").permutation(len(self.problems))
        return [self.problems[i] for i in order[position * config.prompts :][: config.prompts]]


def batches_a_pass(problems: int, prompts: int) -> int:
    """Whole batches in one pass over the data; what fills none is left out of the pass.

    Raises:
        CovlawError: if there is none.
    """
    if problems < prompts:
        raise CovlawError(
            f"prompts is {prompts}, but the training split has {problems}: one pass over it fills "
            "no batch; lower prompts"
        )
    return problems // prompts


def steps_in_all(config: TrainConfig, problems: int) -> int:
    """Steps of a run on so many training prompts: `steps`, or `data_epochs` passes' worth.

    90 passes over 300 prompts, 32 a batch, are 90·⌊300/32⌋ = 810 steps.
    """
    return config.steps or config.data_epochs * batches_a_pass(problems, config.prompts)
