"""Kill campaign: `make kills [ARGS="--kills 10"]`, minutes.

Starts `covlaw llm train`, `covlaw ladder` and `covlaw study` again and again, each small, ends them
with SIGKILL at random moments (the whole group of processes, or the first one alone, whose workers
must then end by themselves), gives the same command again until it finishes, and compares every
byte of what it left with what an undisturbed run left (`compare.TIME` says what is set apart).
Exit code 1 on a difference, a failed start, or a process that outlives its own; the command is then
given up, and with `--out` its folders are there to look at. Leave the source alone while it runs.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # as a script, and in its workers

from kills.campaign import Campaign, Show, Tally

KILLS = 100
WORDS = r"0 1 2 3 4 5 6 7 8 9 + - = ? step : answer the so is \boxed{ }"

COMMANDS = {
    "llm train": (
        "llm train --model {model} --scalarizer ctwa --out out --set steps=12 prompts=4"
        " completions=4 observed=2 max_tokens=8 kl_coefficient=0.01 audits=2 audit_prompts=3"
        " audit_completions=4 measured_completions=4 evaluate_every=4 evaluate_prompts=4"
        " checkpoint_every=2 data_order=epochs"
        ' rewards=["conciseness_reference","clarity_reference"]'
    ),
    "ladder": "ladder --quick --rungs bandit --out out",
    "study": "study --quick --worlds bandit --scalarizers linear ctwa mgda --out out",
}
SHARES = {"llm train": 0.5, "study": 0.3, "ladder": 0.2}
"""Of the kills: a start of a ladder costs most."""


def untrained(folder: Path) -> Path:
    """Save a policy of some thousand parameters that speaks the arithmetic task's language."""
    import torch
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from covlaw.llm.model.tokenizer import build_tokenizer

    tokenizer = build_tokenizer([WORDS])
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=64,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(0)
    Qwen2ForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def campaign(scratch: Path, kills: int, seed: int, names: list[str]) -> list[Tally]:
    """Kill each of the commands in turn."""
    model = untrained(scratch / "model")
    show, done, left = Show(kills), [], kills
    for k, name in enumerate(names):
        ahead = sum(SHARES[other] for other in names[k:])
        share = max(round(left * SHARES[name] / ahead), min(left, 1))
        print(f"{name}: undisturbed, then {share} kills", flush=True)
        arguments = COMMANDS[name].format(model=model).split()
        rng = random.Random(f"{seed} {name}")
        one = Campaign(name, arguments, scratch / name.replace(" ", "-"), rng)
        done.append(one.kill(share, show))
        show.before += done[-1].kills
        left -= share
    return done


def sentence(done: list[Tally], seconds: float) -> str:
    """What came of it all."""
    kills, wrong = sum(t.kills for t in done), sum(len(t.wrong) for t in done)
    each = ", ".join(f"{t.name} {t.kills} in {t.runs} runs" for t in done)
    return (
        f"{kills} kills ({each}), each continued until it finished and compared with an "
        f"undisturbed run: {wrong or 'no'} difference{'s' if wrong != 1 else ''}, {seconds:.0f} s"
    )


@contextmanager
def _scratch(keep: Path | None) -> Iterator[Path]:
    if keep:
        yield keep.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="covlaw-kills-") as folder:
        yield Path(folder)


def main() -> int:
    """Read the command line, kill, say what came of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=KILLS, help="in all commands together")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--only", nargs="+", choices=COMMANDS, default=list(SHARES))
    parser.add_argument("--out", type=Path, help="an empty folder that is kept; none: a scratch")
    given = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    began = time.monotonic()
    import covlaw.ladder.commands.study
    import covlaw.ladder.report
    import covlaw.llm.train  # noqa: F401  # what every fork needs

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with _scratch(given.out) as scratch:
        done = campaign(scratch, given.kills, given.seed, given.only)
        for tally in done:
            for said in tally.wrong:
                print(f"{tally.name}: {said}")
    print(sentence(done, time.monotonic() - began))
    return 1 if any(tally.wrong for tally in done) else 0


if __name__ == "__main__":
    sys.exit(main())
