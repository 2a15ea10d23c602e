"""Hand the trainer's weights to vLLM in process, the tied output head included."""

from typing import Any

from torch import nn

from covlaw.llm.model.adapters import plain_weights
from covlaw.theory._numerics.errors import CovlawError


def load_weights(llm: Any, policy: nn.Module) -> None:
    """Replace the engine's weights by the policy's, and drop what was cached under the old ones.

    Raises:
        CovlawError: if the head is tied and its packed copy cannot be renewed.
    """
    weights = plain_weights(policy)
    llm.collective_rpc("reload_weights", kwargs={"weights_iterator": weights})
    if is_tied(policy) and _runs_on_cpu():
        llm.apply_model(_pack_head_again)
    llm.reset_prefix_cache()


def is_tied(policy: Any) -> bool:
    """Whether the output head is the input embedding."""
    return bool(getattr(policy.config, "tie_word_embeddings", False))


def _runs_on_cpu() -> bool:
    from vllm.platforms import current_platform

    return str(current_platform.device_type) == "cpu"


def _pack_head_again(model: Any) -> None:
    """Renew the packed copy of a tied head.

    On a CPU vLLM multiplies with a packed copy of each weight. The reload packs linear layers
    anew, but a tied head is an embedding to it: the copy would keep the old weights, silently.
    """
    try:
        from vllm.model_executor.layers.utils import dispatch_cpu_unquantized_gemm

        dispatch_cpu_unquantized_gemm(model.lm_head, remove_weight=False)
    except (ImportError, AttributeError, TypeError) as error:
        raise CovlawError(
            f"engine 'vllm': this version offers no way to renew a tied output head ({error}): set "
            "tie_word_embeddings = false in the model's config.json and save its head apart, or "
            'use engine = "transformers"'
        ) from error
