"""Mean rewards with standard errors clustered by prompt."""

from torch import Tensor


def reward_means(rewards: Tensor, prompts: int) -> dict[str, list[float]]:
    """Mean and standard error of each objective, for a record.

    The error is std(prompt means)/√P: completions of one prompt are not independent draws of the
    task. Where an objective has no opinion (NaN) a prompt's mean is that of its others, and P
    counts the prompts that have one; the error is NaN below two.

    Args:
        rewards: (N, M), prompt-major, as many completions of each prompt.
        prompts: P.
    """
    parts = rewards.reshape(prompts, -1, rewards.shape[1])
    if bool(rewards.isnan().any()):
        columns = [column[~column.isnan()] for column in parts.nanmean(1).unbind(1)]
        return {
            "reward_mean": [float(column.mean()) for column in columns],
            "reward_se": [_error(column) for column in columns],
        }
    by_prompt = parts.mean(1)
    return {
        "reward_mean": rewards.mean(0).tolist(),
        "reward_se": (by_prompt.std(0) / prompts**0.5).tolist(),
    }


def _error(column: Tensor) -> float:
    return float(column.std() / len(column) ** 0.5) if len(column) > 1 else float("nan")
