"""Sampling with vLLM in the trainer's process, on a CPU or on CUDA."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import torch
from torch import nn

from covlaw.llm.sampling.engine import Completions, encode_prompts
from covlaw.llm.sampling.truncation import OFF, Truncation
from covlaw.llm.sampling.vllm.guard import ALIVE, contained, require_none_alive
from covlaw.llm.sampling.vllm.options import VllmOptions
from covlaw.llm.sampling.vllm.rows import padded, request_seeds
from covlaw.llm.sampling.vllm.start import check_platform, import_vllm
from covlaw.llm.sampling.vllm.sync import load_weights
from covlaw.theory._numerics.errors import CovlawError


class VllmEngine:
    """Samples with an engine that has weights of its own: `sync` after each update.

    Args:
        model: Folder or hub id that the engine starts from.
        tokenizer: The policy's tokenizer, with distinct pad and end-of-sequence tokens.
        options: The engine's; `max_model_len` > 0.
        truncation: Top-k and top-p.
        device: Where completions go, and what vLLM must be built for.

    Raises:
        CovlawError: if vLLM is missing, does not fit the device, or refuses the model; or if the
            process has another engine.
    """

    def __init__(
        self,
        model: str,
        tokenizer: Any,
        options: VllmOptions,
        truncation: Truncation = OFF,
        device: str = "cpu",
        ends: tuple[int, ...] = (),
    ) -> None:
        require_none_alive()
        self.vllm = import_vllm()
        check_platform(self.vllm, device)
        self.tokenizer, self.options = tokenizer, options
        self.ends = ends or (tokenizer.eos_token_id,)
        self.truncation, self.device = truncation, device
        try:
            self.llm = self._start(model)
            # some kernels are missing only once they are called
            self._generate([[tokenizer.eos_token_id]], [self._params(1, 1, 1.0, 0)])
        except (ValueError, RuntimeError, NotImplementedError, OSError) as error:
            reason = next(iter(str(error).splitlines()), type(error).__name__)
            raise CovlawError(
                f"engine 'vllm' cannot serve {model!r} with {options._asdict()}: {reason}. Change "
                'engine_options (docs/vllm.md), or set engine = "transformers"'
            ) from error
        ALIVE.add(self)

    def _start(self, model: str) -> Any:
        settings = self.options._asdict()
        if torch.device(self.device).type == "cpu":
            del settings["gpu_memory_utilization"]
        with contained():
            return self.vllm.LLM(
                model=model,
                **settings,
                skip_tokenizer_init=True,  # prompts go in, completions come out as token ids
                generation_config="vllm",  # else the folder's own end tokens would stop rows too
                logprobs_mode="processed_logprobs",  # after temperature, top-k and top-p
                disable_log_stats=True,
                use_tqdm_on_load=False,
            )

    def sync(self, policy: nn.Module) -> None:
        """Take over the policy's weights, in process."""
        with contained():
            load_weights(self.llm, policy)

    @torch.no_grad()
    def sample(
        self,
        prompts: Sequence[str],
        n: int,
        max_tokens: int,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Completions:
        """Draw `n` completions of each prompt, from seeds that the generator gives.

        A completion's random numbers do not depend on the others', so two policies can be sampled
        with common random numbers.

        Raises:
            CovlawError: if a prompt and `max_tokens` do not fit `max_model_len`.
        """
        tokens, mask = encode_prompts(self.tokenizer, prompts, self.device)
        self._check_room(int(mask.sum(1).max()), max_tokens)
        seeds = request_seeds(len(prompts), generator)
        params = [self._params(n, max_tokens, temperature, seed) for seed in seeds]
        ids = [row[keep].tolist() for row, keep in zip(tokens, mask, strict=True)]
        rows = self._generate(ids, params)
        drawn, kept, log_prob = (t.to(self.device) for t in padded(rows, self.tokenizer))
        return Completions(
            tokens.repeat_interleave(n, 0),
            mask.repeat_interleave(n, 0),
            drawn,
            kept,
            log_prob,
            torch.arange(len(prompts), device=self.device).repeat_interleave(n),
            self.tokenizer.batch_decode(drawn, skip_special_tokens=True),
        )

    def _generate(self, prompts: Sequence[list[int]], params: Sequence[Any]) -> list[Any]:
        """Completions as vLLM returns them, prompt-major."""
        inputs = [{"prompt_token_ids": ids} for ids in prompts]
        with contained():
            outputs = self.llm.generate(inputs, params, use_tqdm=False)
        return list(chain.from_iterable(output.outputs for output in outputs))

    def _params(self, n: int, max_tokens: int, temperature: float, seed: int) -> Any:
        return self.vllm.SamplingParams(
            n=n,
            max_tokens=max_tokens,
            temperature=temperature,
            top_k=self.truncation.top_k,
            top_p=self.truncation.top_p,
            seed=seed,
            stop_token_ids=list(self.ends),  # those that the trainer knows
            ignore_eos=True,
            logprobs=0,  # the drawn token's only
            flat_logprobs=True,
            detokenize=False,
        )

    def _check_room(self, longest: int, max_tokens: int) -> None:
        room = self.options.max_model_len
        if longest + max_tokens > room:
            raise CovlawError(
                f"a prompt of {longest} tokens and max_tokens {max_tokens} do not fit "
                f"max_model_len {room}: raise engine_options.max_model_len, or leave it out"
            )
