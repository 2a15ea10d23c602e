"""Rows of like length together: the same numbers from fewer columns, in the batch's order."""

import pytest
import torch
from transformers.modeling_utils import PreTrainedModel

from covlaw.llm.model.log_prob import (
    all_token_log_prob,
    chunks,
    directional_log_prob,
    sequence_log_prob,
    token_log_prob,
)
from covlaw.llm.model.parameters import trainable
from covlaw.llm.model.row_chunks import by_rows
from covlaw.llm.sampling.engine import Completions

# float32 log-probs: 8 tokens of about 100 operations on numbers of size 10
ALLOWED = 8 * 100 * 2.0**-24 * 10


@pytest.fixture
def batch(draw) -> Completions:
    """Prompts of 2 to 8 tokens; completions of 1 to 8, in no order."""
    found = draw(n=20)
    assert len(set(found.lengths.tolist())) > 2
    assert not found.prompt_mask.all()
    return found


def test_rows_come_back_in_their_order(batch) -> None:
    for rows in (1, 7, 1000):
        found = by_rows(lambda part: part.prompt * 100 + part.lengths, batch, rows)
        assert torch.equal(found, batch.prompt * 100 + batch.lengths)


def test_log_probs_do_not_depend_on_the_pieces(policy, batch) -> None:
    whole = token_log_prob(policy[0], batch).detach().double()
    pieces = all_token_log_prob(policy[0], batch, rows=7)
    assert float((whole - pieces).abs().max()) <= ALLOWED
    total = sequence_log_prob(policy[0], batch, rows=7)
    assert float((whole.sum(1) - total).abs().max()) <= 8 * ALLOWED


def test_directional_derivatives_do_not_depend_on_the_pieces(policy, batch) -> None:
    torch.manual_seed(0)
    direction = {name: torch.randn_like(p) for name, p in trainable(policy[0]).items()}
    whole = directional_log_prob(policy[0], batch, direction)
    pieces = directional_log_prob(policy[0], batch, direction, rows=7)
    # as for log-probs, relative to the derivative's own size
    assert float((whole - pieces).norm()) <= ALLOWED * float(whole.norm())
    assert float(whole.norm()) > 1


def test_padding_is_not_computed(policy, batch, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sorted pieces read less than half of the padding that pieces in the plain order do."""
    sequence_log_prob(policy[0], batch)  # a model's head is found out once, by a call of its own
    seen: list[int] = []
    forward = PreTrainedModel.__call__

    def watched(self, *args, **kwargs):
        seen.append(kwargs["input_ids"].numel())
        return forward(self, *args, **kwargs)

    monkeypatch.setattr(type(policy[0]), "__call__", watched)
    sequence_log_prob(policy[0], batch, rows=10)
    real = int(batch.mask.sum() + batch.prompt_mask.sum())
    plain = sum(p.tokens.numel() + p.prompt_tokens.numel() for p in chunks(batch, 10))
    assert 0 <= sum(seen) - real < (plain - real) / 2
