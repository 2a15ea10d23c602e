"""However a batch is cut into micro-batches, and whatever its loss, the gradient is the same."""

from dataclasses import replace

import pytest
import torch
from gradient_gaps import flat_gradient, rounding_of

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.loop.training_batch import TrainingBatch
from covlaw.llm.model import chunked_head
from covlaw.llm.model.parameters import copy_of
from covlaw.theory.losses.aggregation import AGGREGATIONS
from covlaw.theory.losses.kl_penalty import KL_ESTIMATORS

CONFIG = TrainConfig(grad_clip=0.0)
ROWS = 24


@pytest.fixture
def batch(draw) -> TrainingBatch:
    """Eight completions of each of three prompts, of unequal lengths, some of them clipped."""
    completions, generator = draw(n=8), torch.Generator().manual_seed(5)
    assert completions.lengths.unique().numel() > 3
    shape = completions.mask.shape
    old, reference = (
        completions.log_prob + s * torch.randn(shape, generator=generator) for s in (0.3, 1.0)
    )
    advantage = torch.randn(ROWS, generator=generator).double()
    return TrainingBatch(completions, advantage, old, reference)


@pytest.mark.parametrize("entropy", [0.0, 0.5])
@pytest.mark.parametrize("kl", [None, *KL_ESTIMATORS])
@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_eight_micro_batches_are_one_batch(policy, batch, aggregation, kl, entropy) -> None:
    """Accumulation 1 × 24 = 8 × 3 = 5 + 5 + 5 + 5 + 4, each term of the loss included."""
    model = policy[0]
    config = replace(
        CONFIG,
        aggregation=aggregation,
        kl_estimator=kl or "k3",
        kl_coefficient=0.7 if kl else 0.0,
        entropy_coefficient=entropy,
    )
    own = batch if kl else batch._replace(reference_log_prob=None)
    whole = flat_gradient(model, own, config)
    allowed = rounding_of(model, own, config)
    for size in (3, 5):
        parts = flat_gradient(model, own, replace(config, micro_batch=size))
        assert (parts - whole).norm() <= allowed
    assert allowed < 0.01 * whole.norm()  # the comparison can fail
    for off in ({"entropy_coefficient": 0.0}, {"kl_coefficient": 0.0}):
        if getattr(config, next(iter(off))):
            assert (flat_gradient(model, own, replace(config, **off)) - whole).norm() > allowed


@pytest.mark.parametrize("aggregation", AGGREGATIONS)
def test_chunks_of_the_vocabulary_change_nothing_either(
    policy, batch, aggregation, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = policy[0]
    config = replace(
        CONFIG, aggregation=aggregation, kl_coefficient=0.7, entropy_coefficient=0.5, micro_batch=5
    )
    plain = flat_gradient(model, batch, config)
    allowed = rounding_of(model, batch, config)
    monkeypatch.setitem(chunked_head.CHUNK, "cpu", 100)
    assert (flat_gradient(model, batch, config) - plain).norm() <= allowed


def test_layers_computed_anew_give_the_same_bits_and_leave_the_model_as_it_was(
    policy, batch
) -> None:
    model = policy[0]
    kept = flat_gradient(model, batch, CONFIG)
    seen: list[int] = []
    hook = model.model.layers[0].mlp.register_forward_pre_hook(lambda *_: seen.append(1))
    anew = flat_gradient(model, batch, replace(CONFIG, gradient_checkpointing=True))
    hook.remove()
    assert len(seen) == 2
    assert torch.equal(kept, anew)
    assert not any(module.training for module in model.modules())


def test_bfloat16_products_are_close_and_parameters_stay_float32(policy, batch) -> None:
    model = policy[0]
    on_policy = TrainingBatch(batch.completions, batch.advantage)  # no edge of a range to cross
    exact = flat_gradient(model, on_policy, CONFIG)
    rough = flat_gradient(model, on_policy, replace(CONFIG, dtype="bfloat16"))
    gap = float((rough - exact).norm() / exact.norm())
    # an error of 2^-9 a product, in about a dozen products on the way and as many back
    assert 2.0**-12 < gap < 24 * 2.0**-9
    assert all(p.dtype == torch.float32 for p in copy_of(model).values())
