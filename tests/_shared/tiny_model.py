"""An untrained causal language model of a few thousand parameters, as a Hugging Face folder."""

from pathlib import Path

from transformers import Qwen2Config, Qwen2ForCausalLM

from covlaw.llm.model.tokenizer import build_tokenizer


def write_tiny_model(folder: Path) -> Path:
    """Write a Qwen2 of two layers that knows digits and signs."""
    tokenizer = build_tokenizer(["0 1 2 3 4 5 6 7 8 9 + - = ? so"])
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=1,
        num_key_value_heads=1,
        eos_token_id=tokenizer.eos_token_id,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
