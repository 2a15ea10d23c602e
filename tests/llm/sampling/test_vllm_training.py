"""The loop with the real vLLM: it trains, resumes bit for bit, and stops when a sync is broken."""

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from small_runs import small_run
from torch.nn.functional import linear

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.config import EvalConfig
from covlaw.llm.evaluate.evaluation import evaluate
from covlaw.llm.evaluate.summary import reward_estimates
from covlaw.llm.model.log_prob import token_log_prob
from covlaw.llm.model.policy import load_policy
from covlaw.llm.sampling.engine_gap import rounding_gap
from covlaw.llm.sampling.vllm import sync as vllm_sync
from covlaw.llm.sampling.vllm.engine import VllmEngine
from covlaw.llm.sampling.vllm.options import VllmOptions
from covlaw.llm.train import train
from covlaw.records.runs import STEPS, read_lines
from covlaw.theory._numerics.errors import CovlawError

pytestmark = [
    pytest.mark.vllm,
    pytest.mark.skipif(find_spec("vllm") is None, reason="needs vLLM: make test-vllm"),
]


@pytest.fixture
def config(served_folder: Path, tmp_path: Path) -> TrainConfig:
    return small_run(
        served_folder,
        tmp_path / "run",
        scalarizer="ctwa",
        engine="vllm",
        engine_options={"max_num_seqs": 64},
        steps=3,
        observed=4,
        epochs=2,
        checkpoint_every=1,
    )


@pytest.fixture(params=["served_folder", "tied_folder"])
def any_policy(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param))


def test_a_run_trains_and_a_killed_one_ends_as_it(
    config: TrainConfig, tmp_path: Path, any_policy: str
) -> None:
    config = replace(config, model=any_policy)
    threads, set_num_threads = torch.get_num_threads(), torch.set_num_threads
    unbroken = train(replace(config, out=str(tmp_path / "unbroken")))
    steps = list(read_lines(unbroken / STEPS))
    model = load_policy(any_policy)[0]
    assert all(0 < s["engine_log_prob_gap"] <= rounding_gap(config, model) for s in steps)
    assert [bool(s["audits"]) for s in steps] == [True, False, True]

    def kill(done: int, total: int, record: dict[str, Any]) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, kill)
    run = train(config)
    files = (Path(STEPS), Path("model") / "model.safetensors")
    assert all((run / f).read_bytes() == (unbroken / f).read_bytes() for f in files)
    assert (torch.get_num_threads(), torch.set_num_threads) == (threads, set_num_threads)


def no_sync(*_: Any) -> None:
    """Forget the weights."""


class StaleHead:
    """What packing a tied head once and for all does: the first weights stay in use."""

    first: torch.Tensor | None = None

    def __call__(self, model: Any) -> None:
        if self.first is None:
            self.first = model.lm_head.weight.detach().clone()
        model.lm_head.cpu_linear = lambda x, weight, bias: linear(x, self.first, bias)


@pytest.mark.parametrize(
    ("target", "broken", "cause"),
    [
        (
            "covlaw.llm.sampling.vllm.engine.load_weights",
            no_sync,
            "a weight sync that did not arrive",
        ),
        (
            "covlaw.llm.sampling.vllm.sync._pack_head_again",
            StaleHead(),
            "tied to the embedding and may",
        ),
    ],
)
def test_a_broken_sync_stops_the_run_and_says_why(
    config: TrainConfig,
    tied_folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    broken: Callable[..., None],
    cause: str,
) -> None:
    monkeypatch.setattr(target, broken)
    with pytest.raises(CovlawError, match=rf"not sample from the policy being trained.*{cause}"):
        train(replace(config, model=str(tied_folder), audits=0))
    first = list(read_lines(Path(config.out) / STEPS))
    assert [s["step"] for s in first] == [0]  # the weights were those on disk: nothing to see yet


def test_a_stale_tied_head_is_renewed_by_the_sync(tied_folder: Path) -> None:
    model, tokenizer = load_policy(str(tied_folder))
    options = VllmOptions.complete({"max_model_len": 16}, "cpu")
    engine = VllmEngine(str(tied_folder), tokenizer, options)
    engine.llm.apply_model(StaleHead())
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(1.5)
    vllm_sync.load_weights(engine.llm, model)
    batch = engine.sample(["3 -"], 20, 8, 1.0, torch.Generator().manual_seed(0))
    with torch.no_grad():
        gap = (token_log_prob(model, batch) - batch.log_prob).abs().max()
    # two float32 evaluations of logits of size ~10 through ~100-term sums
    assert gap < 100 * 2.0**-23 * 10


def test_a_second_engine_beside_one_in_use_is_refused(served_folder: Path) -> None:
    tokenizer = load_policy(str(served_folder))[1]
    options = VllmOptions.complete({"max_model_len": 16}, "cpu")
    first = VllmEngine(str(served_folder), tokenizer, options)
    with pytest.raises(CovlawError, match="has a vLLM engine already"):
        VllmEngine(str(served_folder), tokenizer, options)
    del first
    VllmEngine(str(served_folder), tokenizer, options)


def test_a_version_that_cannot_renew_a_tied_head_is_refused() -> None:
    with pytest.raises(CovlawError, match="no way to renew a tied output head"):
        vllm_sync._pack_head_again(object())


def test_a_model_that_vllm_cannot_serve_leaves_no_run(
    config: TrainConfig, policy_folder: Path
) -> None:
    """Its heads are of size 16, which the CPU kernels refuse, but only once they are called."""
    with pytest.raises(CovlawError, match=r"cannot serve.*head_dim=16.*engine_options"):
        train(replace(config, model=str(policy_folder)))
    assert [file.name for file in Path(config.out).iterdir()] == [".lock"]


def test_truncated_runs_record_the_leak(config: TrainConfig) -> None:
    steps = list(read_lines(train(replace(config, top_k=8, top_p=0.9, steps=2)) / STEPS))
    leak = steps[0]["audits"][0]["leak"]
    assert 0 <= leak["mass"] < 1
    assert len(leak["term"]["estimate"]) == 2
    model = load_policy(config.model)[0]
    assert all(s["engine_log_prob_gap"] <= rounding_gap(config, model) for s in steps)


def test_evaluations_sample_with_vllm(served_folder: Path) -> None:
    names = ("own_rewards:digits",)
    settings = EvalConfig(
        model=str(served_folder), rewards=names, completions=64, max_tokens=6, limit=20
    )
    found = [evaluate(replace(settings, engine=name)) for name in ("transformers", "vllm")]
    (own,), (vllm,) = (reward_estimates(scores) for scores in found)
    length, other = (float(scores.lengths.mean()) for scores in found)
    # 20 prompts each: five standard errors of the difference
    assert abs(own.mean - vllm.mean) < 5 * (own.standard_error**2 + vllm.standard_error**2) ** 0.5
    assert 0 < length <= 6
    assert own.mean != vllm.mean
    assert 0 < other <= 6


def test_a_prompt_that_does_not_fit_is_refused(config: TrainConfig) -> None:
    options = {"max_model_len": 8, "max_num_seqs": 8}
    with pytest.raises(CovlawError, match=r"do not fit max_model_len 8: raise engine_options"):
        train(replace(config, engine_options=options))
