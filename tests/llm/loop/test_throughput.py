"""FLOPs against a counter that watches the operations, and timings that leave the warm-up out."""

import time

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop import throughput
from covlaw.llm.loop.throughput import NO_END, Pass, time_passes, timed
from covlaw.llm.model.flops import PEAKS, device_name, pass_cost, peak_of
from covlaw.llm.model.random_model import SHAPES, full_rows, random_model
from covlaw.llm.sampling.decode import decode, prefill

TINY = TrainConfig.preset(
    "gpu-throughput", device="cpu", prompts=2, completions=3, max_prompt_tokens=5, max_tokens=7
)
ROWS, PROMPT, COMPLETION = 6, 5, 7


@pytest.fixture(scope="module")
def model():
    return random_model(SHAPES["tiny"])


def test_linear_layers_cost_what_a_watching_counter_sees(model) -> None:
    cost = pass_cost(model, ROWS, PROMPT, COMPLETION)
    tokens = torch.zeros(ROWS, PROMPT + COMPLETION, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        model(input_ids=tokens, use_cache=False, logits_to_keep=COMPLETION).logits.sum().backward()
    seen = {str(k).split(".")[1]: v for k, v in counter.get_flop_counts()["Global"].items()}
    products = sum(v for name, v in seen.items() if name in ("mm", "addmm"))
    assert products == 3 * (cost.body + cost.head)


def test_attention_costs_two_products_with_all_tokens_before(model) -> None:
    shape, length = SHAPES["tiny"], PROMPT + COMPLETION
    by_hand = sum(2 * 2 * shape.width * seen for seen in range(1, length + 1))
    cost = pass_cost(model, ROWS, PROMPT, COMPLETION)
    assert cost.attention == ROWS * shape.layers * by_hand


def test_the_validation_shape_is_the_published_models() -> None:
    shape = SHAPES["qwen2.5-1.5b"]
    parameters = sum(p.numel() for p in random_model(shape, "meta").parameters())
    assert round(parameters / 1e9, 2) == 1.54  # its model card
    assert (shape.layers, shape.heads, shape.kv_heads) == (28, 12, 2)


@pytest.mark.parametrize(
    ("name", "entry"),
    [
        ("NVIDIA H200", "H200"),
        ("NVIDIA H200 NVL", "H200 NVL"),
        ("NVIDIA H100 80GB HBM3", "H100"),
        ("NVIDIA H100 PCIe", "H100 PCIe"),
        ("NVIDIA A100-SXM4-80GB", "A100"),
        ("NVIDIA GeForce RTX 4090", "RTX 4090"),
        ("NVIDIA A10G", None),
        ("cpu", None),
    ],
)
def test_peaks_go_by_the_words_of_a_devices_name(name: str, entry: str | None) -> None:
    assert peak_of(name) == (PEAKS[entry] if entry else None)


def test_the_warm_up_is_not_timed() -> None:
    calls: list[float] = []

    def work() -> None:
        calls.append(time.perf_counter())
        time.sleep(0.2 if len(calls) == 1 else 0.01)

    found = timed(Pass("sleep", work, tokens=30, flops=None), "cpu", repeats=3)
    assert len(calls) == 4
    assert all(0.01 <= seconds < 0.1 for seconds in found.seconds)
    assert found.tokens_per_second == 30 / sorted(found.seconds)[1]


def test_utilisation_is_flops_over_the_peak_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    task = Pass("sleep", lambda: time.sleep(0.01), tokens=1, flops=10**9)
    assert timed(task, "cpu", 1).utilisation is None, "a CPU is not in the table"
    monkeypatch.setitem(PEAKS, "cpu", 1e12)
    found = timed(task, "cpu", 1)
    assert found.utilisation == 10**9 / (found.seconds[0] * 1e12)
    assert timed(task._replace(flops=None), "cpu", 1).utilisation is None


def test_every_row_is_drawn_to_its_full_length(model) -> None:
    batch = full_rows(model, TINY)
    prompts = batch.prompt_tokens[:: TINY.completions], batch.prompt_mask[:: TINY.completions]
    with torch.no_grad():
        start = prefill(model, *prompts, TINY.completions)
        drawn, log_prob = decode(model, start, NO_END, COMPLETION, 1.0, None)
    assert drawn.shape == (ROWS, COMPLETION)
    assert bool((drawn >= 0).all())
    assert bool((log_prob < 0).all())


def test_passes_of_a_tiny_model_are_timed() -> None:
    wanted = throughput.NAMES[:4]
    found = {timing.name: timing for timing in time_passes(SHAPES["tiny"], TINY, wanted)}
    assert tuple(found) == wanted
    assert found["sampling"].tokens == ROWS * COMPLETION
    assert found["update"].tokens == found["log_probs"].tokens == ROWS * (PROMPT + COMPLETION)
    assert found["update"].flops == 3 * (found["log_probs"].flops or 0) > 0
    assert all(t.tokens_per_second > 0 and t.peak_bytes is None for t in found.values())


def test_a_devices_name_is_its_hardware() -> None:
    assert device_name("cpu") == "cpu"
