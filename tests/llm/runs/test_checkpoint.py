"""A checkpoint restores exactly what it saved, or says why it cannot."""

from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from covlaw.llm.model.parameters import copy_of
from covlaw.llm.runs import checkpoint
from covlaw.theory._numerics.errors import CovlawError


class Memory(NamedTuple):
    mean: Tensor
    count: Tensor


class Grown(NamedTuple):
    """What a later version made of `Memory`."""

    mean: Tensor
    count: Tensor
    total: Tensor = torch.tensor(7.0)


class Empty(NamedTuple):
    """A state without fields, as Linear's."""


def setup(seed: int = 0):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)
    return model, optimizer


def step(model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    model(torch.ones(5, 3)).square().sum().backward()
    optimizer.step()


def states(value: float = 0.0) -> dict[str, NamedTuple]:
    memory = Memory(torch.tensor([value, 0.1]).double(), torch.tensor(3))
    return {"memory": memory, "empty": Empty()}


def test_restored_training_equals_unbroken_training(tmp_path: Path) -> None:
    model, optimizer = setup()
    for _ in range(3):
        step(model, optimizer)
    checkpoint.save(tmp_path, 3, model, optimizer, states(0.7))
    again, optimizer_again = setup(seed=1)
    found, warnings = checkpoint.restore(tmp_path, again, optimizer_again, states())
    assert not warnings
    assert found is not None
    assert found.step == 3
    assert torch.equal(found.states["memory"].mean, states(0.7)["memory"].mean)
    assert found.states["empty"] == Empty()
    for m, o in ((model, optimizer), (again, optimizer_again)):
        step(m, o)
        step(m, o)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), again.parameters(), strict=True)
    )


@pytest.mark.parametrize(
    "name", ["model.safetensors", "optimizer.safetensors", "states.safetensors", "step.json"]
)
@pytest.mark.parametrize("damage", ["cut", "remove", "null", "flip"])
def test_a_corrupt_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, name: str, damage: str
) -> None:
    model, optimizer = setup()
    for k in (1, 2):
        step(model, optimizer)
        checkpoint.save(tmp_path, k, model, optimizer, states(float(k)))
        if k == 1:
            first = copy_of(model)
    file = tmp_path / "step-000002" / name
    if damage == "cut":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif damage == "null":
        file.write_text("null")
    elif damage == "flip":  # one bit of a number, which any reader would take as it is
        data = bytearray(file.read_bytes())
        data[data.rindex(b"2") if name == "step.json" else -1] ^= 1
        file.write_bytes(data)
    else:
        file.unlink()
    again, optimizer_again = setup(seed=1)
    found, warnings = checkpoint.restore(tmp_path, again, optimizer_again, states())
    assert found is not None
    assert found.step == 1
    assert "step-000002 is corrupt" in warnings[0]
    assert all(torch.equal(p, first[n]) for n, p in copy_of(again).items())


def test_no_whole_checkpoint_is_an_error_and_none_at_all_is_not(tmp_path: Path) -> None:
    model, optimizer = setup()
    assert checkpoint.restore(tmp_path, model, optimizer, states()) == (None, [])
    checkpoint.save(tmp_path, 1, model, optimizer, states())
    (tmp_path / "step-000001" / "step.json").write_text("{}")
    with pytest.raises(CovlawError, match="no checkpoint"):
        checkpoint.restore(tmp_path, model, optimizer, states())


def test_only_the_newest_are_kept_and_rubbish_of_a_kill_is_ignored(tmp_path: Path) -> None:
    model, optimizer = setup()
    for k in range(1, 5):
        checkpoint.save(tmp_path, k, model, optimizer, states())
    (tmp_path / ".step-000009.tmp").mkdir()
    (tmp_path / ".step-000009.tmp" / "model.safetensors").write_bytes(b"half")
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-000003", "step-000004"]
    found, warnings = checkpoint.restore(tmp_path, model, optimizer, states())
    assert found is not None
    assert (found.step, warnings) == (4, [])
    assert not list(tmp_path.glob(".*"))
    checkpoint.save(tmp_path, 5, model, optimizer, states(), keep=1)
    assert [p.name for p in tmp_path.iterdir()] == ["step-000005"]


@pytest.mark.parametrize("other", ["shape", "names", "state"])
def test_a_checkpoint_of_another_model_changes_nothing(tmp_path: Path, other: str) -> None:
    model, optimizer = setup()
    step(model, optimizer)
    checkpoint.save(tmp_path, 1, model, optimizer, states())
    wide = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    deep = nn.Sequential(*setup(seed=1)[0], nn.Linear(2, 2))
    again = {"shape": wide, "names": deep, "state": setup(seed=1)[0]}[other]
    wanted = {"memory": Memory(torch.zeros(3).double(), torch.tensor(0))}
    before, optimizer_again = copy_of(again), torch.optim.AdamW(again.parameters())
    with pytest.raises(CovlawError, match=r"no checkpoint in .* is whole: checkpoint step-000001"):
        checkpoint.restore(
            tmp_path, again, optimizer_again, wanted if other == "state" else states()
        )
    assert all(torch.equal(p, before[n]) for n, p in copy_of(again).items())
    assert not optimizer_again.state


def test_moments_of_another_shape_are_refused(tmp_path: Path) -> None:
    model, optimizer = setup()
    step(model, optimizer)
    optimizer.state[model[0].weight]["exp_avg"] = torch.zeros(7)
    checkpoint.save(tmp_path, 1, model, optimizer, states())
    with pytest.raises(CovlawError, match=r"0.weight.exp_avg has shape \(7,\), not \(4, 3\)"):
        checkpoint.restore(tmp_path, *setup(), states())


def test_a_checkpoint_ahead_of_the_records_is_not_used(tmp_path: Path) -> None:
    """A power cut may keep a checkpoint and lose lines written before it."""
    model, optimizer = setup()
    for k in (2, 4):
        checkpoint.save(tmp_path, k, model, optimizer, states())
    found, warnings = checkpoint.restore(tmp_path, model, optimizer, states(), recorded=3)
    assert found is not None
    assert found.step == 2
    assert "step-000004 is ahead of the 3 steps recorded; trying the one before" in warnings[0]
    assert [path.name for path in sorted(tmp_path.glob("step-*"))] == ["step-000002", "step-000004"]


def test_a_good_checkpoint_is_not_blamed_for_damaged_records(tmp_path: Path) -> None:
    model, optimizer = setup()
    checkpoint.save(tmp_path, 4, model, optimizer, states())
    found, warnings = checkpoint.restore(tmp_path, model, optimizer, states(), recorded=3)
    assert found is not None
    assert found.step == 4
    assert "step-000004 is used, and the lines missing before it stay missing" in warnings[-1]
    (tmp_path / "step-000004" / "step.json").write_text("{")
    with pytest.raises(CovlawError, match="remove that folder to start over"):
        checkpoint.restore(tmp_path, model, optimizer, states(), recorded=3)


def test_checkpoints_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Without checksums, and without a field that their states did not have yet."""
    model, optimizer = setup()
    checkpoint.save(tmp_path, 1, model, optimizer, states(0.5))
    (tmp_path / "step-000001" / "step.json").write_text('{"step": 1}')
    fresh = {"memory": Grown(*states()["memory"])}
    found, _ = checkpoint.restore(tmp_path, model, optimizer, fresh)
    assert found is not None
    assert torch.equal(found.states["memory"].mean, states(0.5)["memory"].mean)
    assert float(found.states["memory"].total) == 7.0


def test_two_fields_that_are_one_tensor_are_saved_as_two(tmp_path: Path) -> None:
    model, optimizer = setup()
    once = torch.tensor([1.0, 2.0])
    checkpoint.save(tmp_path, 1, model, optimizer, {"memory": Memory(once, once)})
    found, _ = checkpoint.restore(tmp_path, model, optimizer, {"memory": Memory(once, once)})
    assert found is not None
    assert all(torch.equal(value, once) for value in found.states["memory"])
