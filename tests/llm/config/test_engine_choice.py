"""Choosing an engine: what is missing, broken or unfit is said before any work is spent."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.evaluate.evaluation import EvalConfig
from covlaw.llm.sampling.engine import TransformersEngine
from covlaw.llm.sampling.engines import make_engine, require_engine
from covlaw.llm.sampling.truncation import Truncation
from covlaw.llm.sampling.vllm import start as vllm_start
from covlaw.llm.sampling.vllm.options import VllmOptions
from covlaw.llm.train import train
from covlaw.theory._numerics.errors import CovlawError

VLLM = TrainConfig(engine="vllm")


def found(_: str) -> object:
    return object()


@pytest.fixture(autouse=True)
def environment_as_before() -> Iterator[None]:
    """Starting vLLM sets variables of the process, torch's compiler among them."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


def test_a_missing_vllm_is_said_before_there_is_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vllm_start, "find_spec", lambda _: None)
    out = tmp_path / "run"
    with pytest.raises(CovlawError, match=r"not installed here.*covlaw\[vllm\].*make test-vllm"):
        train(replace(VLLM, out=str(out)))
    assert not out.exists()


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (
            RuntimeError("operator torchvision::nms does not exist\nmore"),
            r"nms does not exist\): .*pip uninstall -y torchvision",
        ),
        (ImportError("cannot import name 'x' from 'triton'"), "pip uninstall -y triton"),
        (ImportError("libcudart.so.13: cannot open shared object"), "built for CUDA"),
        (ModuleNotFoundError("No module named 'msgspec'"), "versions of requirements/vllm-cpu"),
        (OSError(), r"\(OSError\): see docs/vllm.md"),
    ],
)
def test_an_import_that_fails_comes_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, error: Exception, remedy: str
) -> None:
    def fail(_: str) -> Any:
        raise error

    monkeypatch.setattr(vllm_start, "find_spec", found)
    monkeypatch.setattr(vllm_start, "importlib", SimpleNamespace(import_module=fail))
    with pytest.raises(CovlawError, match=remedy):
        require_engine(VLLM)


def fake_vllm(device_type: str) -> Any:
    platform = SimpleNamespace(device_type=device_type)
    return SimpleNamespace(platforms=SimpleNamespace(current_platform=platform))


@pytest.mark.parametrize(
    ("built_for", "device", "message"),
    [
        ("cpu", "cuda", "installed vLLM samples on cpu"),
        ("cuda", "cpu", "installed vLLM samples on cuda"),
        ("", "cpu", "samples on no device"),
        ("cuda", "cuda:1", "CUDA_VISIBLE_DEVICES=1"),
    ],
)
def test_a_device_that_the_build_does_not_serve_is_refused(
    built_for: str, device: str, message: str
) -> None:
    with pytest.raises(CovlawError, match=message):
        vllm_start.check_platform(fake_vllm(built_for), device)


def test_a_device_that_fits_is_accepted() -> None:
    vllm_start.check_platform(fake_vllm("cuda"), "cuda:0")
    vllm_start.check_platform(fake_vllm("cpu"), "cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"engine": "vlm"}, "unknown engine 'vlm': did you mean vllm"),
        ({"engine_options": {"seed": 1}}, 'engine_options has seed, which engine "transformers"'),
        ({"engine": "vllm", "engine_options": {"dtyp": 1}}, "did you mean dtype"),
        ({"engine": "vllm", "engine_options": {"dtype": "int8"}}, "use float32 or bfloat16"),
        ({"engine": "vllm", "engine_options": {"max_num_seqs": 0}}, "use a whole number ≥ 1"),
        ({"engine": "vllm", "engine_options": {"enforce_eager": 1}}, "use true or false"),
        (
            {"engine": "vllm", "engine_options": {"gpu_memory_utilization": 1.5}},
            r"a share in \(0, 1\)",
        ),
        ({"engine": "vllm", "temperature": 0.001}, "vLLM raises what is below 0.01"),
        ({"top_p": 0.0}, r"top_p is 0.0: use a value in \(0, 1\]"),
        ({"top_k": -1}, "top_k is -1: use a whole number"),
        ({"engine_gap_limit": -1.0}, "engine_gap_limit is -1.0"),
    ],
)
def test_settings_outside_their_domain_are_named(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(CovlawError, match=message):
        TrainConfig(**settings)
    if "engine_gap_limit" not in settings:
        with pytest.raises(CovlawError, match=message):
            EvalConfig(**settings)


def test_defaults_follow_the_device() -> None:
    cpu, cuda = (VllmOptions.complete({"max_num_seqs": 8}, d) for d in ("cpu", "cuda"))
    assert (cpu.dtype, cpu.enforce_eager, cpu.max_num_seqs) == ("float32", True, 8)
    assert (cuda.dtype, cuda.enforce_eager, cuda.max_num_seqs) == ("bfloat16", False, 8)


def test_the_transformers_engine_is_the_default_and_truncates(policy: Any) -> None:
    engine = make_engine(TrainConfig(top_k=3, top_p=0.9), *policy, ["1"])
    assert isinstance(engine, TransformersEngine)
    assert engine.model is policy[0]
    assert engine.truncation == Truncation(3, 0.9)


def test_environment_settings_of_the_user_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[dict[str, str]] = []
    load: Callable[[], Any] = lambda: known.append(dict(vllm_start.os.environ))  # noqa: E731
    monkeypatch.setattr(vllm_start, "find_spec", found)
    monkeypatch.setattr(vllm_start, "_load", load)
    monkeypatch.setattr(vllm_start.torch.cuda, "is_available", lambda: False)
    for name in vllm_start.ENVIRONMENT | vllm_start.CPU_ENVIRONMENT:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "7")
    vllm_start.import_vllm()
    assert known[0]["VLLM_CPU_KVCACHE_SPACE"] == "7"
    assert known[0]["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    for name in vllm_start.ENVIRONMENT | vllm_start.CPU_ENVIRONMENT:
        monkeypatch.setenv(name, "")  # so that it is restored to absent afterwards
