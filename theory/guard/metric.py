"""The diagonal metric of an optimiser, read off its state: torch only."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

from covlaw.theory._numerics.errors import CovlawError

State = Mapping[str, Any]


class Metric(NamedTuple):
    """P of |v|² = v'P⁻¹v, up to a common factor."""

    values: Tensor
    """(D,) float32 or wider, ≥ 0, in the parameters' order; 0: one that the optimiser does not
    move (frozen, unknown to it, or never reached by a gradient), which the guard leaves alone."""
    name: str
    """adam, rmsprop, adagrad, adafactor, sgd, or identity."""
    notes: tuple[str, ...]
    """Why it is a fallback, or what is left out; empty where nothing is."""


def optimiser_metric(optimizer: Optimizer, parameters: Iterable[Tensor]) -> Metric:
    """P such that the optimiser's step is P times a running gradient, where there is one.

    Adam and AdamW: lr/(√v̂ + ε), v̂ with its bias corrected (its running maximum with amsgrad).
    RMSprop: lr/(√(v − m²) + ε), m = 0 unless centred. Adagrad: lr/(√Σg² + ε). Adafactor (torch's
    and transformers'): lr/√(row·column/mean row). SGD, with momentum or not: lr. Learning rates
    count relative to the largest. Known by what the state holds, so that optimisers that wrap or
    copy these are read as well. Anything else, Muon for one, and an optimiser that has not stepped
    yet: 1 everywhere, and `notes` says so.

    Coordinates whose second moment is exactly 0 have P = 0: no gradient has ever reached them, and
    1/ε would let a correction throw them far away.

    Args:
        optimizer: After the step that is to be guarded.
        parameters: In the order of the flat step.

    Raises:
        CovlawError: without parameters, or with state that is not finite.
    """
    given = list(parameters)
    if not given:
        raise CovlawError("no parameters: pass those that the optimiser trains")
    groups = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    rates = [float(group["lr"]) for group in optimizer.param_groups]
    top = max([rate for rate in rates if rate > 0], default=1.0)
    parts, names, still = [], set(), 0
    for parameter in given:
        group, state = groups.get(id(parameter)), optimizer.state.get(parameter, {})
        if group is None or not parameter.requires_grad or not (state or _is_sgd(optimizer)):
            still += 1
            parts.append(torch.zeros(parameter.numel(), device=parameter.device))
            continue
        name, inverse = _inverse(optimizer, group, state)
        names.add(name)
        if inverse is None:
            return _identity(given, f"{type(optimizer).__name__} has no diagonal metric known here")
        weight = torch.broadcast_to(inverse, parameter.shape).reshape(-1)
        parts.append(weight * (float(group["lr"]) / top * _tensor_scale(group, state, parameter)))
    if not names:
        return _identity(given, f"{type(optimizer).__name__} has no state yet: it has not stepped")
    values = torch.cat(parts)
    if not bool(torch.isfinite(values).all()):
        raise CovlawError(
            f"the state of {type(optimizer).__name__} is not finite: its steps are broken"
        )
    notes = (f"{still} of {len(given)} parameters are not trained by it: left alone",) * (still > 0)
    return Metric(values, "+".join(sorted(names)), notes)


def _identity(parameters: list[Tensor], reason: str) -> Metric:
    parts = [torch.full((p.numel(),), float(p.requires_grad), device=p.device) for p in parameters]
    return Metric(torch.cat(parts), "identity", (f"{reason}: the plain metric is used",))


def _is_sgd(optimizer: Optimizer) -> bool:
    return isinstance(optimizer, SGD)


def _inverse(
    optimizer: Optimizer, group: Mapping[str, Any], state: State
) -> tuple[str, Tensor | None]:
    """1/(√v̂ + ε) of one parameter, with the name of the rule; None where none is known."""
    if _is_sgd(optimizer):
        return "sgd", torch.ones(())
    for name, keys, rule in _RULES:
        if keys <= set(state) and "acc_delta" not in state:  # Adadelta's is no running gradient's
            root, eps = rule(group, state)
            return name, torch.where(root == 0, 0.0, 1 / (root + eps))  # NaN stays
    return "identity", None


def _tensor_scale(group: Mapping[str, Any], state: State, parameter: Tensor) -> float:
    """Adafactor's steps of a tensor grow with its RMS: torch's always, transformers' if told to."""
    of_torch = "row_var" in state or "variance" in state
    if not of_torch and not group.get("scale_parameter", False):
        return 1.0
    size = float(parameter.detach().float().square().mean().sqrt())
    return max(float(group["eps"][1]), size)


def _adam(group: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    largest = group.get("amsgrad", False) and "max_exp_avg_sq" in state
    moment = _wide(state["max_exp_avg_sq" if largest else "exp_avg_sq"])
    if "betas" in group and "step" in state:
        moment = moment / (1 - group["betas"][1] ** float(state["step"]))
    return moment.sqrt(), _epsilon(group)


def _rmsprop(group: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    moment = _wide(state["square_avg"])
    if group.get("centered", False):
        moment = moment - _wide(state["grad_avg"]).square()
    return moment.clamp(min=0.0).sqrt(), _epsilon(group)


def _adagrad(group: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    return _wide(state["sum"]).sqrt(), _epsilon(group)


def _torch_adafactor(_: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    row, column = _wide(state["row_var"]), _wide(state["col_var"])
    mean = row.mean(-2, keepdim=True)
    return torch.where(mean > 0, row * column / torch.where(mean > 0, mean, 1.0), 0.0).sqrt(), 0.0


def _variance(_: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    return _wide(state["variance"]).sqrt(), 0.0


def _transformers_adafactor(_: Mapping[str, Any], state: State) -> tuple[Tensor, float]:
    row = _wide(state["exp_avg_sq_row"])[..., None]
    column = _wide(state["exp_avg_sq_col"])[..., None, :]
    mean = row.mean(-2, keepdim=True)
    return torch.where(mean > 0, row * column / torch.where(mean > 0, mean, 1.0), 0.0).sqrt(), 0.0


def _wide(moment: Tensor) -> Tensor:
    """Float32 or wider: squares of small gradients vanish in less."""
    return moment.to(torch.promote_types(moment.dtype, torch.float32))


def _epsilon(group: Mapping[str, Any]) -> float:
    eps = group.get("eps", 0.0)
    return float(eps[0] if isinstance(eps, (tuple, list)) else eps)


_Rule = Callable[[Mapping[str, Any], State], tuple[Tensor, float]]
_RULES: tuple[tuple[str, set[str], _Rule], ...] = (
    ("adafactor", {"row_var", "col_var"}, _torch_adafactor),
    ("adafactor", {"variance"}, _variance),
    ("adafactor", {"exp_avg_sq_row", "exp_avg_sq_col"}, _transformers_adafactor),
    ("adam", {"exp_avg_sq"}, _adam),
    ("rmsprop", {"square_avg"}, _rmsprop),
    ("adagrad", {"sum"}, _adagrad),
)
