"""A batch of verl's TransferQueue: which row is what, and the rewards of each by themselves."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
import transfer_queue as tq
from torch import Tensor

from covlaw.plugins.verl.settings import WHERE
from covlaw.theory._numerics.errors import CovlawError
from covlaw.theory._numerics.opinions import without_opinion

INFO = "reward_extra_info"


class Rows(NamedTuple):
    """N rows of which S completions are made: a completion of several turns has several rows.

    A row that fills the batch up belongs to none.
    """

    keys: list[str]
    """N."""
    uid: list[str]
    """N, of the prompts."""
    members: list[list[int]]
    """S, the rows of each completion, turn by turn."""
    prompt: Tensor
    """(S,) which prompt each completion answers."""
    rewards: Tensor
    """(S, M), NaN where a reward has no opinion."""
    observes: Tensor
    """(S,) bool: takes no part in the step."""

    @property
    def filled(self) -> Tensor:
        """(S, M) without NaN; those that observe are no measure for those that train."""
        found = torch.empty_like(self.rewards)
        for part in (self.observes, ~self.observes):
            found[part] = without_opinion(self.rewards[part], self.prompt[part])
        return found

    def of(self, observing: bool) -> list[str]:
        """Keys of the rows that observe, or of all others."""
        pairs = zip(self.members, self.observes.tolist(), strict=True)
        aside = {row for members, observes in pairs if observes for row in members}
        return [key for row, key in enumerate(self.keys) if (row in aside) == observing]

    def spread(self, values: Tensor) -> Tensor:
        """Give each row what its completion has, else 0: (S, ...) -> (N, ...)."""
        found = values.new_zeros(len(self.keys), *values.shape[1:])
        for completion, members in enumerate(self.members):
            found[members] = values[completion]
        return found

    def joined(self, values: Sequence[Tensor]) -> list[Tensor]:
        """Tokens of N rows as those of S completions."""
        return [torch.cat([values[row] for row in members]) for members in self.members]


def read_rows(batch: Any, names: Sequence[str], observed: int) -> Rows:
    """Fetch what says where each row belongs, and its rewards.

    Args:
        batch: KVBatchMeta.
        names: Of the M rewards.
        observed: How many completions of each prompt observe; none where it has fewer than
            `observed` + 2.

    Raises:
        CovlawError: for rewards that the reward function did not return, or that are no numbers.
    """
    data = fetch(batch, "uid", "extra_fields", *names)
    uid = [str(u) for u in _listed(data["uid"])]
    members = _members(batch.keys, batch.tags)
    last = [rows[-1] for rows in members]  # a completion's rewards are on its last turn
    number = {u: p for p, u in enumerate(dict.fromkeys(uid[row] for row in last))}
    prompt = torch.tensor([number[uid[row]] for row in last], dtype=torch.int64)
    columns = [_column(data, last, name) for name in names]
    observes = _observes([_parts(batch.keys[row])[1] for row in last], prompt.tolist(), observed)
    return Rows(list(batch.keys), uid, members, prompt, torch.tensor(columns).double().T, observes)


def fetch(batch: Any, *fields: str) -> Any:
    """Fields of a batch: those that all its rows have."""
    return tq.kv_batch_get(
        keys=batch.keys, partition_id=batch.partition_id, select_fields=list(fields)
    )


def put(batch: Any, **fields: Iterable[Tensor]) -> Any:
    """Write fields, a tensor of tokens for each row; returns what verl's own steps return."""
    from tensordict import TensorDict

    nested = {
        name: torch.nested.as_nested_tensor(list(rows), layout=torch.jagged)
        for name, rows in fields.items()
    }
    data = TensorDict(nested, batch_size=len(batch.keys))
    return tq.kv_batch_put(keys=batch.keys, partition_id=batch.partition_id, fields=data)


def _parts(key: str) -> tuple[str, str, int]:
    """Prompt, which of its completions, and turn."""
    parts = key.rsplit("_", 2)
    return (parts[0], parts[1], int(parts[2])) if len(parts) == 3 else (key, "0", 0)


def _members(keys: Sequence[str], tags: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    found: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for row, (key, tag) in enumerate(zip(keys, tags, strict=True)):
        if not tag.get("is_padding"):
            prompt, completion, turn = _parts(key)
            found.setdefault((prompt, completion), []).append((turn, row))
    return [[row for _, row in sorted(rows)] for rows in found.values()]


def _observes(completion: Sequence[str], prompt: Sequence[int], observed: int) -> Tensor:
    """The last ones of each prompt, whatever order the batch is in."""
    found = torch.zeros(len(completion), dtype=torch.bool)
    by_prompt: dict[int, list[int]] = {}
    for place in sorted(range(len(completion)), key=lambda i: (len(completion[i]), completion[i])):
        by_prompt.setdefault(prompt[place], []).append(place)
    for places in by_prompt.values():
        if observed and len(places) >= observed + 2:
            found[places[-observed:]] = True
    return found


def _column(data: Any, rows: Sequence[int], name: str) -> list[float]:
    """A reward of some rows: from the reward function's dicts, or a reward model's field."""
    fields = set(data.keys())
    extra = _listed(data["extra_fields"]) if "extra_fields" in fields else []
    infos = [(e.get(INFO) or {}) if isinstance(e, Mapping) else {} for e in extra]
    if infos and all(name in infos[row] for row in rows):
        return [_number(infos[row][name], name) for row in rows]
    if name in fields:
        values = _listed(data[name])
        return [_number(values[row], name) for row in rows]
    known = sorted({str(key) for row in rows if infos for key in infos[row]})
    raise CovlawError(
        f"no reward {name!r} comes with {'some of ' * (name in known)}the completions (there is: "
        f"{', '.join(known) or 'nothing'}): let the reward function return {{'score': ..., "
        f"{name!r}: ...}}, with None for no opinion, or mend {WHERE}.rewards"
    )


def _number(value: Any, name: str) -> float:
    if value is None:
        return math.nan
    try:
        found = float(value)
    except (TypeError, ValueError) as error:
        raise CovlawError(
            f"reward {name!r} is {value!r}: return a number, or None for no opinion"
        ) from error
    if math.isinf(found):
        raise CovlawError(f"reward {name!r} is {found}: return a finite number")
    return found


def _listed(values: Any) -> list[Any]:
    return values.tolist() if isinstance(values, Tensor) else list(values)
