"""The training texts: every question with every completion, numbered, encoded where drawn."""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedTokenizerFast

from covlaw.llm.base.mixtures import StyleShare
from covlaw.llm.base.styles import STYLES
from covlaw.llm.model.tokenizer import EOS, build_tokenizer
from covlaw.llm.tasks.arithmetic import calculations, results

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


class Answers:
    """Rows (calculation, style, stated result) of a difficulty, in this nesting.

    They are written and encoded as they are asked for: two-digit sums have 15 million of them.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerFast, difficulty: str) -> None:
        self._tokenizer, self._calculations = tokenizer, calculations(difficulty)
        self._results, self._styles = results(difficulty), tuple(STYLES.values())

    def __len__(self) -> int:
        return len(self._calculations) * len(self._styles) * len(self._results)

    def rows(self, index: Tensor) -> Texts:
        """Write and encode some rows."""
        return _encode(self._tokenizer, [self._text(row) for row in index.tolist()])

    def _text(self, row: int) -> tuple[str, str]:
        rest, result = divmod(row, len(self._results))
        calculation, style = divmod(rest, len(self._styles))
        asked = self._calculations[calculation]
        return f"{asked.prompt} ", self._styles[style](asked, self._results[result])


class Corpus(NamedTuple):
    """All texts of one difficulty.

    Attributes:
        tokenizer: Knows every word of them.
        answers: Questions with completions.
        facts: One row a calculation: ``3 + 4 = 7``.
    """

    tokenizer: PreTrainedTokenizerFast
    answers: Answers
    facts: Texts


@cache
def build_corpus(difficulty: str = "digits") -> Corpus:
    """Prepare the language of a difficulty, once in a process."""
    return build_corpora((difficulty,))[0]


def build_corpora(difficulties: Sequence[str]) -> list[Corpus]:
    """Prepare several difficulties that share one tokenizer."""
    tokenizer = language_tokenizer(*difficulties)
    return [
        Corpus(tokenizer, Answers(tokenizer, d), _encode(tokenizer, _facts(d)))
        for d in difficulties
    ]


def language_tokenizer(*difficulties: str) -> PreTrainedTokenizerFast:
    """Build the tokenizer that knows every word of some difficulties; of `digits` without any."""
    return build_tokenizer(text for d in difficulties or ("digits",) for text in _every_word(d))


def _facts(difficulty: str) -> list[tuple[str, str]]:
    return [(c.prompt.removesuffix("?"), str(c.result)) for c in calculations(difficulty)]


def _every_word(difficulty: str) -> Iterator[str]:
    """Texts that hold between them every word of the difficulty's answers."""
    yield " ".join(str(number) for number in results(difficulty))
    yield from (c.prompt for c in calculations(difficulty))
    for c in {c.sign: c for c in calculations(difficulty)}.values():
        yield from (write(c, c.result) for write in STYLES.values())


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
    every, stated = _truths(difficulty), len(results(difficulty))
    calculation = rng.integers(len(every), size=size)
    truth = every[calculation]
    wrong = rng.random(size) < np.array([s.wrong_rate for s in styles])[drawn]
    other = (truth + rng.integers(1, stated, size=size)) % stated
    style = np.array([list(STYLES).index(s.style) for s in styles])[drawn]
    row = (calculation * len(STYLES) + style) * stated + np.where(wrong, other, truth)
    return torch.from_numpy(row)


@cache
def _truths(difficulty: str) -> NDArray[np.int64]:
    """Return the result of each calculation."""
    return np.array([c.result for c in calculations(difficulty)], dtype=np.int64)
