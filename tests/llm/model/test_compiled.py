"""Compiled layers give the same passes, inside only, and leave forward mode and sampling alone."""

from typing import Any

import pytest
import torch

from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.model import compiled, precision
from covlaw.llm.model.compiled import compiled_layers
from covlaw.llm.model.log_prob import directional_log_prob, token_log_prob
from covlaw.llm.model.parameters import gradients
from covlaw.llm.model.precision import training_pass

pytestmark = pytest.mark.filterwarnings("ignore")  # the tracer provokes warnings of its own


@pytest.fixture(autouse=True)
def traced(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A backend that runs what was traced as it is, and counts the graphs: no C++ compiler."""
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        del inputs
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compiled._compiled.cache_clear()
    monkeypatch.setattr(precision, "BACKEND", backend)
    return graphs


def test_a_compiled_pass_has_the_plain_ones_values_and_gradients(policy, draw, traced) -> None:
    model, batch, found = policy[0], draw(n=4), []
    for compiles in (False, True):
        model.zero_grad()
        with training_pass(model, TrainConfig(compile_layers=compiles)):
            value = token_log_prob(model, batch)
            value.sum().backward()
        found.append({"value": value.detach(), **gradients(model)})
    assert traced, "nothing was compiled"
    plain, fused = found
    assert all(torch.equal(fused[name], plain[name]) for name in plain)  # the same operations


def test_layers_are_themselves_again_outside(policy, draw, traced) -> None:
    model = policy[0]
    with compiled_layers(model, precision.BACKEND):
        assert all("forward" in layer.__dict__ for layer in model.model.layers)
    assert not any("forward" in layer.__dict__ for layer in model.model.layers)
    before = len(traced)
    directional_log_prob(model, draw(n=2), {n: p.detach() for n, p in model.named_parameters()})
    assert len(traced) == before


def test_what_cannot_be_compiled_runs_as_it_is(policy, draw, monkeypatch, caplog) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(precision, "BACKEND", broken)
    model, batch = policy[0], draw(n=2)
    plain = token_log_prob(model, batch)
    with training_pass(model, TrainConfig(compile_layers=True)):
        assert torch.equal(token_log_prob(model, batch), plain)
    assert "no compiler here" in caplog.text
