"""An optimiser's metric is what its own steps say: P·(running gradient) is its step."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory.guard import optimiser_metric, snapshot, step_since, write_step

Build = Callable[[list[nn.Parameter]], torch.optim.Optimizer]


def model() -> list[nn.Parameter]:
    torch.manual_seed(0)
    return [nn.Parameter(torch.randn(4, 3).double()), nn.Parameter(torch.randn(5).double())]


def run(optimizer: torch.optim.Optimizer, parameters: list[nn.Parameter], steps: int = 3) -> Tensor:
    """A few steps of random gradients; the last step, flat."""
    rng = torch.Generator().manual_seed(1)
    for _ in range(steps):
        for p in parameters:
            p.grad = torch.randn(p.shape, generator=rng, dtype=p.dtype)
        old = snapshot(parameters)
        optimizer.step()
    return step_since(old, parameters)


def flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([t.reshape(-1) for t in tensors])


WITHOUT_MOMENTUM: dict[str, Build] = {
    "adam": lambda p: torch.optim.Adam(p, lr=0.1, betas=(0.0, 0.9)),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, betas=(0.0, 0.9), weight_decay=0.0),
    "amsgrad": lambda p: torch.optim.AdamW(
        p, lr=0.1, betas=(0.0, 0.9), weight_decay=0.0, amsgrad=True
    ),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1),
    "centered rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.1, centered=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
}


@pytest.mark.parametrize("name", WITHOUT_MOMENTUM)
def test_without_momentum_the_step_is_the_metric_times_the_gradient(name: str) -> None:
    parameters = model()
    optimizer = WITHOUT_MOMENTUM[name](parameters)
    step = run(optimizer, parameters)
    gradient = flat([p.grad for p in parameters if p.grad is not None])
    metric = optimiser_metric(optimizer, parameters)
    assert metric.notes == ()
    ratio = step / (-metric.values * gradient)
    assert (ratio / ratio[0] - 1).abs().max() < 1e-5  # the metric is float32


def test_adafactors_step_is_the_metric_times_the_gradient_tensor_by_tensor() -> None:
    """Its clipping divides each tensor's step by a number of its own."""
    parameters = model()
    optimizer = torch.optim.Adafactor(parameters, lr=0.1, d=1e9)  # a threshold never reached
    step = run(optimizer, parameters, 2)
    gradient = flat([p.grad for p in parameters if p.grad is not None])
    metric = optimiser_metric(optimizer, parameters)
    assert metric.name == "adafactor"
    for part in (slice(0, 12), slice(12, 17)):
        ratio = (step / (-metric.values * gradient))[part]
        assert (ratio / ratio[0] - 1).abs().max() < 1e-5  # float32 metric


def test_momentum_keeps_the_metric_and_changes_the_step() -> None:
    parameters = model()
    optimizer = torch.optim.SGD(parameters, lr=0.1, momentum=0.9)
    run(optimizer, parameters)
    assert optimiser_metric(optimizer, parameters).values.tolist() == [1.0] * 17


def test_learning_rates_of_groups_count() -> None:
    parameters = model()
    groups = [{"params": [parameters[0]], "lr": 0.1}, {"params": [parameters[1]], "lr": 0.02}]
    optimizer = torch.optim.SGD(groups)
    values = optimiser_metric(optimizer, parameters).values
    torch.testing.assert_close(values, torch.tensor([1.0] * 12 + [0.2] * 5))


def test_unknown_and_fresh_optimisers_fall_back_and_say_so() -> None:
    parameters = model()[:1]
    muon = torch.optim.Muon(parameters, lr=0.1)
    run(muon, parameters, 1)
    for optimizer, word in (
        (muon, "Muon has no diagonal metric"),
        (torch.optim.AdamW(parameters), "has not stepped"),
    ):
        metric = optimiser_metric(optimizer, parameters)
        assert metric.name == "identity"
        assert word in metric.notes[0]
        assert metric.values.tolist() == [1.0] * 12
    adadelta = torch.optim.Adadelta(parameters)
    run(adadelta, parameters, 1)
    assert optimiser_metric(adadelta, parameters).name == "identity"


def test_parameters_that_are_not_trained_are_left_alone() -> None:
    parameters = model()
    optimizer = torch.optim.AdamW(parameters)
    run(optimizer, parameters, 1)
    added = nn.Parameter(torch.ones(2))
    parameters[1].requires_grad_(False)
    metric = optimiser_metric(optimizer, [*parameters, added])
    assert (metric.values[:12] > 0).all()
    assert metric.values[12:].tolist() == [0.0] * 7
    assert "2 of 3 parameters" in metric.notes[0]


def test_a_coordinate_that_no_gradient_reached_is_not_thrown_away() -> None:
    """1/ε = 1e8 there, where the others have about 1: an unseen token's embedding."""
    parameter = nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([parameter])
    parameter.grad = torch.tensor([1.0, 0.0, 2.0])
    optimizer.step()
    values = optimiser_metric(optimizer, [parameter]).values
    torch.testing.assert_close(values, torch.tensor([1.0, 0.0, 0.5]))


def test_broken_state_is_named() -> None:
    parameters = model()
    optimizer = torch.optim.AdamW(parameters)
    run(optimizer, parameters, 1)
    optimizer.state[parameters[0]]["exp_avg_sq"][0] = torch.nan
    with pytest.raises(CovlawError, match="state of AdamW is not finite"):
        optimiser_metric(optimizer, parameters)
    with pytest.raises(CovlawError, match="no parameters"):
        optimiser_metric(optimizer, [])


def test_a_step_is_written_back_and_a_changed_model_is_refused() -> None:
    parameters = model()
    old = snapshot(parameters)
    step = torch.arange(17.0).double()
    write_step(old, parameters, step)
    torch.testing.assert_close(step_since(old, parameters), step)
    with pytest.raises(CovlawError, match="new snapshot"):
        step_since(old, parameters[:1])
    with pytest.raises(CovlawError, match="step of 3 entries"):
        write_step(old, parameters, torch.ones(3))
