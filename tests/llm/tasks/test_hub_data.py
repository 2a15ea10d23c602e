"""Data sets on a hub, fetched by the hub's own client from one on this machine."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from fake_hub import serving
from table_files import ROWS, read, write

from covlaw.theory._numerics.errors import CovlawError

Hub = Callable[[Path], list[str]]


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """Puts a folder on a hub as someone/sums, and returns the list of files asked for."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with ExitStack() as stack:

        def put(folder: Path) -> list[str]:
            address, asked = stack.enter_context(serving("someone/sums", folder))
            template = address + "/{repo_id}/resolve/{revision}/{filename}"
            monkeypatch.setattr(constants, "ENDPOINT", address)
            monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
            return asked

        yield put


def whole() -> set[tuple[str, str]]:
    return {(row["prompt"], row["answer"]) for row in ROWS}


def shards(folder: Path, name: str = "train", kind: str = "parquet", end: str = "") -> None:
    for k in (0, 1):
        part = ROWS[k * 15 : k * 15 + 15]
        write(folder / f"{name}-0000{k}-of-00002{end}.{kind}", part)


@pytest.mark.parametrize(
    ("place", "kind", "end"),
    [
        ("", "parquet", ""),
        ("data", "parquet", "-0a1b2c3d4e5f6071"),
        ("main", "jsonl", ""),
        ("train", "arrow", ""),
    ],
)
def test_shards_are_found_wherever_data_sets_keep_them(
    place: str, kind: str, end: str, tmp_path: Path, hub: Hub
) -> None:
    shards(tmp_path / "set" / place, "data" if place == "train" else "train", kind, end)
    write(tmp_path / "set" / "other" / f"val.{kind}", ROWS)
    asked = hub(tmp_path / "set")
    assert read(kind, Path("someone/sums")) == whole()
    assert len(asked) == 2  # the two shards, and no file of another split


def test_what_was_fetched_serves_without_the_hub(
    tmp_path: Path, hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    shards(tmp_path / "set")
    hub(tmp_path / "set")
    read("parquet", Path("someone/sums"))
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert read("parquet", Path("someone/sums")) == whole()


def test_one_of_several_configurations_is_named(tmp_path: Path, hub: Hub) -> None:
    for name in ("main", "socratic"):
        write(tmp_path / "set" / name / "train.jsonl", ROWS[: 10 if name == "main" else 20])
    hub(tmp_path / "set")
    with pytest.raises(CovlawError, match="one of someone/sums/main, someone/sums/socratic"):
        read("jsonl", Path("someone/sums"))
    assert len(read("jsonl", Path("someone/sums/main"))) == 10


def test_a_shard_that_the_hub_lacks_and_a_split_that_it_lacks_are_said(
    tmp_path: Path, hub: Hub
) -> None:
    write(tmp_path / "set" / "train-00000-of-00002.jsonl", ROWS)
    hub(tmp_path / "set")
    with pytest.raises(CovlawError, match=r"1 shards .* not one whole set"):
        read("jsonl", Path("someone/sums"))
    with pytest.raises(CovlawError, match=r"holds no val\.jsonl"):
        read("jsonl", Path("someone/sums"), "val")
    with pytest.raises(CovlawError, match="someone/products"):
        read("jsonl", Path("someone/products"))
