"""Speed and memory of the estimators, each as a ratio to a peer timed in the same run.

CPU time, best of several interleaved rounds, so that a busy machine hurts both sides alike.
`make bench` prints the ratios.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from timing import cpu_seconds
from torch import Tensor

from covlaw.theory.estimators.covariance import exact_change, within_prompt_covariance
from covlaw.theory.losses import effective_weight
from covlaw.theory.losses._token_loss import CHUNK

pytestmark = pytest.mark.benchmark

COMPLETIONS, TOKENS, OBJECTIVES, GROUP = 131_072, 256, 3, 16


def batch(completions: int = COMPLETIONS) -> tuple[Tensor, ...]:
    """`(advantage, log_ratio, mask, rewards, prompt)`, groups of 16 in random order."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, TOKENS + 1, (completions, 1), generator=generator)
    return (
        torch.randn(completions, generator=generator),
        torch.randn(completions, TOKENS, generator=generator).mul_(0.2),
        torch.arange(TOKENS)[None] < lengths,
        torch.rand(completions, OBJECTIVES, generator=generator),
        torch.randperm(completions, generator=generator) // GROUP,
    )


def one_pass(log_ratio: Tensor) -> None:
    """The peer: read every token and exponentiate it once, in chunks that stay in cache."""
    for chunk in log_ratio.split(CHUNK // TOKENS):
        chunk.double().exp_().sum()


def statistics(batch: tuple[Tensor, ...]) -> Tensor:
    """The clipped covariance of every objective, from token-level log-ratios."""
    advantage, log_ratio, mask, rewards, prompt = batch
    weight = effective_weight(advantage, log_ratio, mask)
    return within_prompt_covariance(rewards, weight, prompt).estimate


def extra_memory(call: Callable[[], object]) -> float:
    """Peak resident memory during `call` above what was resident before it, in MiB."""

    def status(field: str) -> float:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(x.split()[1]) for x in lines if x.startswith(field)) / 1024

    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts anew
    before = status("VmRSS:")
    call()
    return status("VmHWM:") - before


def test_covariance_statistics_cost_a_few_passes_over_the_tokens() -> None:
    data = batch()
    ours, peer = cpu_seconds(lambda: statistics(data), lambda: one_pass(data[1]))
    print(f"covariance statistics: {ours:.3f} s = {ours / peer:.1f} single passes")
    # measured: 3 in chunks, 25 with float64 copies of the whole batch; the bound lies between
    assert ours / peer <= 8


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="reads Linux's /proc")
def test_memory_does_not_grow_with_the_tokens() -> None:
    statistics(batch(4 * GROUP))  # buffers and code pages that stay
    data = batch()
    extra, whole = (extra_memory(f) for f in (lambda: statistics(data), lambda: data[1].double()))
    print(f"extra memory: {extra:.0f} MiB; one float64 copy of the tokens: {whole:.0f} MiB")
    # a handful of float64 chunks, and a few dozen vectors of one number a completion
    allowed = (8 * CHUNK * 8 + 48 * COMPLETIONS * 8) / 2**20
    assert extra <= allowed < whole


def test_cost_is_linear_in_completions() -> None:
    """No loop over prompts or completions: eight times the rows cost about eight times as much."""
    small, large = batch(COMPLETIONS // 8), batch()
    fast, slow = cpu_seconds(lambda: statistics(small), lambda: statistics(large))
    print(f"8x completions: {slow / fast:.1f}x the time")
    assert slow / fast <= 16  # sorting the prompt ids adds a logarithm; a factor 2 is left for it


def test_exact_change_costs_less_than_sorting_its_prompts_a_few_times() -> None:
    _, log_ratio, _, rewards, prompt = batch()
    ours, sort = cpu_seconds(
        lambda: exact_change(rewards, log_ratio[:, 0], prompt), lambda: torch.unique(prompt)
    )
    print(f"exact change: {ours:.4f} s = {ours / sort:.1f} sorts of the prompt ids")
    assert ours / sort <= 8
