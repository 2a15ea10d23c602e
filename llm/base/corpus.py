"""The training texts: every question with every completion, encoded once, drawn by row."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from covlaw.llm.base.mixtures import StyleShare
from covlaw.llm.base.styles import STYLES
from covlaw.llm.tasks.arithmetic import calculations, results
from covlaw.llm.tokenizer import EOS, build_tokenizer

IGNORED = -100
"""The label of a position that the loss skips (the convention of PyTorch's cross-entropy)."""


class Texts(NamedTuple):
    """Encoded texts, padded on the right.

    Attributes:
        tokens: (R, T) token ids.
        labels: (R, T) the same where the loss counts, `IGNORED` on prompt and padding.
        length: (R,) tokens before the padding.
    """

    tokens: Tensor
    labels: Tensor
    length: Tensor

    def rows(self, index: Tensor) -> "Texts":
        """Select rows and drop the columns that are padding in all of them."""
        longest = int(self.length[index].max())
        return Texts(self.tokens[index, :longest], self.labels[index, :longest], self.length[index])


class Corpus(NamedTuple):
    """All texts of the arithmetic language.

    Attributes:
        tokenizer: Knows every word of them.
        answers: Rows (calculation, style, stated result), in this nesting.
        facts: One row a calculation: ``3 + 4 = 7``.
    """

    tokenizer: PreTrainedTokenizerFast
    answers: Texts
    facts: Texts


@cache
def build_corpus(difficulty: str = "digits") -> Corpus:
    """Write and encode the language of a difficulty, once in a process."""
    tokenizer = language_tokenizer(difficulty)
    facts = [(c.prompt.removesuffix("?"), str(c.result)) for c in calculations(difficulty)]
    answers = _encode(tokenizer, _answers(difficulty))
    return Corpus(tokenizer, answers, _encode(tokenizer, facts))


def language_tokenizer(difficulty: str = "digits") -> PreTrainedTokenizerFast:
    """Build the tokenizer that knows every word of a difficulty."""
    return build_tokenizer(prompt + completion for prompt, completion in _answers(difficulty))


def _answers(difficulty: str) -> list[tuple[str, str]]:
    return [
        (f"{c.prompt} ", write(c, result))
        for c in calculations(difficulty)
        for write in STYLES.values()
        for result in results(difficulty)
    ]


def _encode(tokenizer: PreTrainedTokenizerFast, texts: Sequence[tuple[str, str]]) -> Texts:
    whole = [prompt + completion + EOS for prompt, completion in texts]
    encoded = tokenizer(whole, padding=True, padding_side="right", return_tensors="pt")
    tokens, length = encoded["input_ids"], encoded["attention_mask"].sum(1)
    prompt_length = torch.tensor(
        [len(ids) for ids in tokenizer([prompt for prompt, _ in texts])["input_ids"]]
    )
    position = torch.arange(tokens.shape[1])
    counts = (position >= prompt_length[:, None]) & (position < length[:, None])
    return Texts(tokens, torch.where(counts, tokens, IGNORED), length)


def draw_answers(
    rng: np.random.Generator, styles: Sequence[StyleShare], size: int, difficulty: str = "digits"
) -> Tensor:
    """Draw rows of `Corpus.answers`: uniform calculations, styles and wrong results by share.

    Styles are drawn by systematic sampling (one uniform offset, equally spaced quantiles): each
    batch holds every style in its share up to one row, which the base model then reproduces.

    Returns:
        (size,) row indices in ascending order of style.
    """
    share = np.array([s.share for s in styles])
    quantiles = (rng.random() + np.arange(size)) / size
    drawn = np.searchsorted(np.cumsum(share / share.sum())[:-1], quantiles, side="right")
    every, stated = calculations(difficulty), len(results(difficulty))
    calculation = rng.integers(len(every), size=size)
    truth = np.array([c.result for c in every])[calculation]
    wrong = rng.random(size) < np.array([s.wrong_rate for s in styles])[drawn]
    other = (truth + rng.integers(1, stated, size=size)) % stated
    style = np.array([list(STYLES).index(s.style) for s in styles])[drawn]
    row = (calculation * len(STYLES) + style) * stated + np.where(wrong, other, truth)
    return torch.from_numpy(row)
