"""A random small policy that speaks the arithmetic task's language: no training, no hub."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from ranked import Ranked
from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

from covlaw.llm.model.tokenizer import build_tokenizer
from covlaw.llm.sampling.engine import Completions, TransformersEngine

PROMPTS = ("1 + 2 = ?", "3 -", "9 - 4 = ? the answer")
WORDS = r"0 1 2 3 4 5 6 7 8 9 + - = ? step : answer the so is \boxed{ }"


def write_policy(folder: Path, seed: int = 0, tie: bool = False, heads: int = 2) -> Path:
    """Save an untrained Qwen2 of about 10,000 parameters."""
    tokenizer = build_tokenizer([WORDS])
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=heads,
        num_key_value_heads=heads,
        tie_word_embeddings=tie,
        max_position_embeddings=64,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def policy_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an untrained policy in Hugging Face format."""
    return write_policy(tmp_path_factory.mktemp("policy"))


@pytest.fixture(scope="session")
def served_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with one head of size 32: vLLM on a CPU has no kernel for smaller ones."""
    return write_policy(tmp_path_factory.mktemp("served"), heads=1)


@pytest.fixture(scope="session")
def tied_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That one with its output head tied to the embedding."""
    return write_policy(tmp_path_factory.mktemp("tied"), tie=True, heads=1)


@pytest.fixture
def policy(policy_folder: Path):
    """A fresh (model, tokenizer) of that policy."""
    model = Qwen2ForCausalLM.from_pretrained(policy_folder, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(policy_folder)


@pytest.fixture
def draw(policy):
    """Draw completions of three prompts of unequal length, so that padding matters."""

    def sample(n=20, tokens=8, temperature=1.0, seed=0, prompts=PROMPTS) -> Completions:
        generator = torch.Generator().manual_seed(seed)
        return TransformersEngine(*policy).sample(prompts, n, tokens, temperature, generator)

    return sample


@pytest.fixture(scope="session")
def ranked() -> Iterator[Ranked]:
    """A server of jobs on several processes."""
    with Ranked() as server:
        yield server
