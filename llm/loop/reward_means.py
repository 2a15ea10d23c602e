"""Mean rewards with standard errors clustered by prompt."""

from torch import Tensor


def reward_means(rewards: Tensor, prompts: int) -> dict[str, list[float]]:
    """Mean and standard error of each objective, for a record.

    The error is std(prompt means)/√P: completions of one prompt are not independent draws of the
    task.

    Args:
        rewards: (N, M), prompt-major, as many completions of each prompt.
        prompts: P.
    """
    by_prompt = rewards.reshape(prompts, -1, rewards.shape[1]).mean(1)
    return {
        "reward_mean": rewards.mean(0).tolist(),
        "reward_se": (by_prompt.std(0) / prompts**0.5).tolist(),
    }
