"""Whatever wrote a log, it is read the same; what cannot be read is a sentence with a remedy."""

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_logs import REWARDS, as_csv, as_trl, as_verl, columns, rollouts

from covlaw.plugins.inspection.inspection import inspect_log
from covlaw.plugins.logs.log import Log
from covlaw.plugins.logs.read import read_log
from covlaw.theory._numerics.errors import CovlawError

ROOT = Path(__file__).parents[3]


def numbers(log: Log) -> dict[str, Any]:
    """Everything but where it came from; the advantage is recomputed, for verl logs none."""
    found = inspect_log(log, advantage="grpo").to_dict()
    return {key: value for key, value in found.items() if key not in {"format", "notes"}}


def test_one_run_in_four_formats_gives_identical_numbers(tmp_path: Path) -> None:
    rows = rollouts(steps=3, prompts=6)
    for name in ("trl", "verl"):
        (tmp_path / name).mkdir()
    import pandas

    logs = {
        "trl": read_log(as_trl(rows, tmp_path / "trl")),
        "verl": read_log(as_verl(rows, tmp_path / "verl")),
        "csv": read_log(as_csv(rows, tmp_path / "log.csv")),
        "frame": read_log(pandas.DataFrame(rows)),
        "dict": read_log(columns(rows)),
        "rows": read_log(rows),
    }
    assert [logs[n].format for n in ("trl", "verl")] == ["trl", "verl"]
    assert all(log.names == REWARDS for log in logs.values())
    first = numbers(logs["trl"])
    for name, log in logs.items():
        assert numbers(log) == first, name


def test_no_opinion_is_kept_in_every_format(tmp_path: Path) -> None:
    rows = rollouts(steps=1, prompts=3)
    for k in (0, 7):
        rows[k]["brief"] = None
    (tmp_path / "trl").mkdir()
    lines = tmp_path / "log.jsonl"
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    for given in (as_trl(rows, tmp_path / "trl"), as_csv(rows, tmp_path / "l.csv"), lines, rows):
        log = read_log(given)
        assert torch.isnan(log.rewards[:, 2]).nonzero()[:, 0].tolist() == [0, 7]
        assert not bool(torch.isnan(log.rewards[:, :2]).any())


@pytest.mark.parametrize(
    "prompts",
    [
        [7, 7, 9, 9],
        ["a", "a", "b", "b"],
        [[{"role": "user", "content": "hi"}]] * 2 + [[{"role": "user", "content": "ho"}]] * 2,
        np.array([2**40, 2**40, 5, 5]),
        [("a", 1), ("a", 1), ("b", 1), ("b", 1)],
    ],
)
def test_prompts_are_of_any_type(prompts: Any) -> None:
    log = read_log({"prompt": prompts, "r": [0.0, 1.0, 0.5, 0.5]})
    assert log.prompt.tolist() == [0, 0, 1, 1]


def test_singletons_are_counted_and_left_out_and_steps_sorted() -> None:
    given = {
        "step": [2, 2, 1, 1, 1],
        "prompt": ["a", "a", "b", "b", "alone"],
        "r": [0.0, 1.0, 2.0, 3.0, 4.0],
    }
    log = read_log(given)
    assert log.steps == (1, 2)
    assert log.rewards[:, 0].tolist() == [2.0, 3.0, 0.0, 1.0]
    assert any("1 completions without another" in note for note in log.notes)
    assert any("out of order" in note for note in log.notes)


def test_a_line_still_being_written_is_left_out_and_said(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    whole = "".join(json.dumps(row) + "\n" for row in rollouts(steps=1, prompts=2))
    path.write_text(whole + '{"step": 1, "prom')
    log = read_log(path)
    assert len(log) == 12
    assert any("line 13 is cut short" in note for note in log.notes)


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    as_verl(rollouts(steps=11, prompts=2), tmp_path)
    assert not any("out of order" in note for note in read_log(tmp_path).notes)
    assert read_log(str(tmp_path / "1*.jsonl")).steps == (1, 10)
    assert read_log([tmp_path / "3.jsonl", tmp_path / "2.jsonl"]).steps == (2, 3)


def test_a_run_of_ours_is_read_from_its_folder() -> None:
    log = read_log(ROOT / "figures" / "data" / "ladder" / "llm" / "linear-seed0")
    assert log.format == "covlaw"
    assert log.names == ("accuracy", "conciseness", "clarity")
    assert log.advantage is not None
    assert log.length_unit == "tokens"


def test_keys_of_verls_completions_are_no_ids_of_prompts() -> None:
    """Its default trainer writes prompt_completion_turn as `uid`: groups of one."""
    rows = [
        {"input": p, "output": "", "score": k, "a": k, "uid": f"{p}_{k}_0"}
        for p in ("x", "y")
        for k in (0, 1)
    ]
    assert set(read_log(rows).labels) == {"x", "y"}
    assert set(read_log([row | {"uid": f"of {row['input']}"} for row in rows]).labels) == {
        "of x",
        "of y",
    }


def test_verl_without_components_says_what_writes_them(tmp_path: Path) -> None:
    row = {"input": "q", "output": "a", "gts": "", "step": 1}
    path = tmp_path / "1.jsonl"
    path.write_text("".join(json.dumps({**row, "score": s}) + "\n" for s in (0.0, 1.0)))
    log = read_log(path)
    assert log.names == ("score",)
    assert any("reward function" in note for note in log.notes)


def test_a_line_may_hold_a_steps_columns_and_steps_may_be_texts(tmp_path: Path) -> None:
    """As ms-swift logs them."""
    rows = rollouts(steps=3, prompts=4)
    path = tmp_path / "completions.jsonl"
    with path.open("w") as file:
        for step in range(3):
            table = columns([{**row, "step": str(step)} for row in rows if row["step"] == step])
            table["advantages"] = table.pop("advantage")
            file.write(json.dumps(table) + "\n")
    assert numbers(read_log(path)) == numbers(read_log(rows))
    assert read_log(path).steps == (0, 1, 2)


def test_the_snippets_of_other_trainers_write_logs_that_are_read(tmp_path: Path) -> None:
    """Each block of Python of the page, in a stand-in of what it finds there."""
    page = (ROOT / "docs" / "other-trainers.md").read_text(encoding="utf-8")
    openrlhf, nemo, prime = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    given: dict[str, Any] = {"right": lambda *_: 1.0, "brief": lambda query, *_: len(query) % 2}
    exec(openrlhf.replace("rollouts.jsonl", f"{tmp_path}/rollouts.jsonl"), given)  # noqa: S102
    for _ in range(2):
        answer = given["reward_func"](["qa", "qbc", "pa"], ["q", "q", "p"], ["1", "1", "2"])
        assert answer["rewards"].tolist() == [1.0, 2.0, 1.0]
    log = read_log(tmp_path / "rollouts.jsonl")
    assert (log.steps, log.names, len(log)) == ((0, 1), ("right", "brief"), 4)

    batch = {"reward1": torch.tensor([0.0, 1, 1, 0]), "reward2": torch.tensor([1.0, 0, 1, 0])}
    found: dict[str, Any] = {
        "log_data": {"rewards": [1.0, 1.0, 2.0, 0.0], "content": ["a", "b", "c", "d"]},
        "master_config": {"grpo": {"num_generations_per_prompt": 2}},
        "repeated_batch": batch,
        "total_steps": 6,
        "get_gdpo_reward_component_keys": lambda batch: sorted(batch),
    }
    exec(re.sub("from nemo_rl.*\n", "", nemo), found)  # noqa: S102
    log = read_log(found["log_data"], rewards=["reward1", "reward2"])
    assert (log.steps, log.prompt.tolist()) == ((7,), [0, 0, 1, 1])

    for step in (3, 12):
        folder = tmp_path / "run_default" / "rollouts" / f"step_{step}"
        folder.mkdir(parents=True)
        lines = [{"example_id": 5, "reward": r, "metrics": {"right": r, "b": 1}} for r in (0, 1)]
        (folder / "train_rollouts.jsonl").write_text("\n".join(json.dumps(x) for x in lines))
    ran: dict[str, Any] = {}
    exec(prime.replace("outputs/", f"{tmp_path}/"), ran)  # noqa: S102
    assert (ran["log"].steps, ran["log"].names) == ((3, 12), ("right", "b"))


def test_rewards_may_stand_in_one_column_of_dicts_and_be_chosen() -> None:
    rows = [{"uid": "u", "rewards": {"a": k, "b": -k}, "seed": 3} for k in (0.0, 1.0)]
    assert read_log(rows).names == ("a", "b")
    log = read_log(columns(rollouts(steps=1)), rewards=["brief", "accuracy"])
    assert log.names == ("brief", "accuracy")


def test_what_is_no_reward_by_name_is_left_out() -> None:
    log = read_log({"uid": [1, 1], "epoch": [0, 0], "help_reward": [0.1, 0.2], "temp": [1, 1.0]})
    assert log.names == ("help_reward",)
    assert any("temp" in note for note in log.notes)


GOOD = {"prompt": ["a", "a"], "r": [0.0, 1.0]}


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"prompt": ["a", "a"], "text": ["x", "y"]}, r"no column of numbers .* \(--rewards\)"),
        ({"r": [0.0, 1.0]}, r"which prompt a row answers .* \(--group\)"),
        ({**GOOD, "r": [0.0, math.inf]}, "row 2: 'r' is inf: mend the reward"),
        ({"prompt": ["a", "a", None], "r": [0.0, 1.0, 2.0]}, "row 3: no prompt"),
        ({**GOOD, "prompt": ["a", "b"]}, "no prompt .* has two completions in a step"),
        ({**GOOD, "r": [0.0]}, "columns of unequal length"),
        ({**GOOD, "step": [0.5, 1.0]}, r"row 1 .*'step' is 0.5: give whole numbers"),
        ({"prompt": [], "r": []}, "holds no rows"),
        ([1, 2], "no log: give paths"),
        ("nowhere/*.parquet", "nothing at nowhere"),
        ([], "no log given"),
    ],
)
def test_bad_tables_are_named_with_a_remedy(given: Any, words: str) -> None:
    with pytest.raises(CovlawError, match=words):
        read_log(given)


def test_text_among_numbers_is_named_by_row_and_step() -> None:
    rows = rollouts(steps=60, prompts=1)
    rows[-1]["brief"] = "high"
    with pytest.raises(CovlawError, match=r"row 360 \(step 59\): 'brief' is 'high'"):
        read_log(rows)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("log.parquet", b"PAR1 and no more", "no readable Parquet file"),
        ("log.parquet", b"not at all", "is no Parquet file"),
        ("log.jsonl", b"", "holds no rows"),
        ("log.jsonl", b'{"prompt": 1}\nnot json\n{"prompt": 2}\n', "line 2: .* mend or remove"),
        ("log.json", b"[1, 2]", "holds no array of objects"),
        ("log.csv", b"prompt,r\na,1,2\n", "row 2: 3 cells for 2 columns"),
        ("log.csv", b"prompt,r\n", "holds no rows"),
        ("events.out.tfevents", b"\x18\x00\x00", "no rollout log that covlaw knows"),
        ("log.jsonl", b'{"loss": 1.5, "learning_rate": 0.1}\n', "which prompt a row answers"),
    ],
)
def test_bad_files_are_named_with_a_remedy(
    tmp_path: Path, name: str, content: bytes, words: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(CovlawError, match=words) as caught:
        read_log(path)
    assert str(path) in str(caught.value)


def test_files_of_different_rewards_are_refused(tmp_path: Path) -> None:
    rows = rollouts(steps=2, prompts=2)
    as_verl(rows, tmp_path)
    text = (tmp_path / "1.jsonl").read_text().replace('"brief"', '"short"')
    (tmp_path / "1.jsonl").write_text(text)
    with pytest.raises(CovlawError, match=r"1\.jsonl has no column 'brief'"):
        read_log(tmp_path)


@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_a_text_among_a_columns_numbers_is_named_and_not_dropped_in_silence(
    tmp_path: Path, ending: str
) -> None:
    rows = [{"step": 1, "prompt": "a", "bad": b, "good": 1.0} for b in (1, "x", 2)]
    path = tmp_path / f"log.{ending}"

    def write(names: list[str]) -> None:
        parts = [{n: row[n] for n in names} for row in rows]
        lines = [",".join(names), *(",".join(map(str, part.values())) for part in parts)]
        lines = lines if ending == "csv" else [json.dumps(part) for part in parts]
        path.write_text("\n".join(lines) + "\n")

    write(["step", "prompt", "bad", "good"])
    log = read_log(path)
    assert log.names == ("good",)
    assert any("row 2 of 'bad' is 'x', which is no number" in note for note in log.notes)
    write(["step", "prompt", "bad"])
    with pytest.raises(CovlawError, match="row 2 of 'bad' is 'x', which is no number"):
        read_log(path)
    with pytest.raises(CovlawError, match=r"row 2 \(step 1\): 'bad' is 'x', which is no number"):
        read_log(path, rewards=["bad"])
