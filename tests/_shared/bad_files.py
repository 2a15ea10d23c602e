"""A folder of files that are not what a command needs."""

import json
from pathlib import Path

from fake_runs import write_llm_run

ROW = {"prompt": "1 + 1 = ?", "answer": "2"}
FILES: dict[str, bytes] = {
    "file.txt": b"a text\n",
    "other/notes.txt": b"not ours\n",
    "broken.py": b"def mine(:\n",
    "raises.py": b'raise RuntimeError("at import")\n',
    "empty.py": b"",
    "empty.jsonl": b"",
    "empty.csv": b"",
    "null.jsonl": b"null\n" * 3,
    "deep.jsonl": b"[" * 100_000 + b"\n",
    "latin.jsonl": '{"prompt": "é", "answer": "1"}\n'.encode("latin-1"),
    "huge.jsonl": b'{"prompt": "p", "answer": ' + b"1" * 5000 + b"}\n",
    "noanswer.jsonl": b'{"prompt": "p"}\n',
    "boolean.jsonl": b'{"prompt": "p", "answer": true}\n',
    "surrogate.jsonl": b'{"prompt": "\\ud800", "answer": "1"}\n',
    "fake.parquet": b"PAR1 and nothing else",
    "same.jsonl": (json.dumps(ROW) + "\n").encode() * 30,
    "broken.toml": b"steps = = 1\n",
    "latin.toml": b'model = "\xe9"\n',
    "unknown.toml": b"stepz = 3\n",
    "loop.toml": b'extends = "loop.toml"\n',
    "log.jsonl": b"".join(
        json.dumps({"prompt": f"p{k // 4}", "step": 0, "good": k % 3, "short": k % 2}).encode()
        + b"\n"
        for k in range(16)
    ),
}


def write_bad_files(folder: Path) -> Path:
    """Write them all, and one run that is whole."""
    for name, content in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    write_llm_run(folder / "run", steps=12)
    return folder
