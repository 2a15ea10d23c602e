"""How many completions a reward has no opinion on, of which it is left out."""

from torch import Tensor

from covlaw.theory._numerics.groups import group_by_prompt


def counted(rewards: Tensor, prompt: Tensor, names: tuple[str, ...]) -> dict[str, dict[str, int]]:
    """Completions and whole prompts without an opinion, of each objective that has any."""
    silent, groups = rewards.isnan(), group_by_prompt(prompt)
    found = {}
    for name, column in zip(names, silent.unbind(1), strict=True):
        if bool(column.any()):
            whole = groups.sum(column.double()) == groups.counts
            found[name] = {"completions": int(column.sum()), "prompts": int(whole.sum())}
    return found
