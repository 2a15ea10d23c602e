"""Models of a given shape with random weights, and rows to pass through them."""

from typing import Any, NamedTuple

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.sampling.engine import Completions


class Shape(NamedTuple):
    """Of a Qwen2 model."""

    layers: int
    width: int
    heads: int
    kv_heads: int
    feed_forward: int
    vocabulary: int
    tied: bool = True


SHAPES = {
    "qwen2.5-1.5b": Shape(28, 1536, 12, 2, 8960, 151_936),
    "tiny": Shape(2, 32, 4, 2, 64, 128),
}


def random_model(shape: Shape, device: str = "cpu", seed: int = 0) -> Any:
    """Build the model in float32, as training keeps it; its weights are made on the device."""
    config = Qwen2Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.width,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        tie_word_embeddings=shape.tied,
    )
    torch.manual_seed(seed)
    with torch.device(device):
        return Qwen2ForCausalLM(config).eval()


def full_rows(model: Any, config: TrainConfig) -> Completions:
    """Draw random rows without padding: `prompts` × `completions`, each of the longest lengths."""
    rows, device = config.prompts * config.completions, config.device
    stream = torch.Generator().manual_seed(config.seed)

    def tokens(count: int, width: int) -> torch.Tensor:
        drawn = torch.randint(model.config.vocab_size, (count, width), generator=stream)
        return drawn.to(device)

    prompt = tokens(config.prompts, config.max_prompt_tokens)
    completion = tokens(rows, config.max_tokens)
    return Completions(
        prompt.repeat_interleave(config.completions, 0),
        torch.ones(rows, config.max_prompt_tokens, dtype=torch.bool, device=device),
        completion,
        torch.ones_like(completion, dtype=torch.bool),
        torch.zeros(completion.shape, device=device),
        torch.arange(config.prompts, device=device).repeat_interleave(config.completions),
        [""] * rows,
    )
