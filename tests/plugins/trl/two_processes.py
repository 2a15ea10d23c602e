"""One of two processes of a TRL run, started by test_two_processes: prints what it saw as JSON."""

import json
import sys
from pathlib import Path

import first_token_world as world
import torch
import trl_world

from covlaw.trl import Audit, Guard, Scalarized


def main() -> None:
    """Two prompts a batch and their completions on both processes: each holds halves of groups."""
    folder = Path(sys.argv[1])
    seen, weights = [], []
    guard = Guard(rows=4, completions=8)
    audit = Audit(rows=8, completions=8, every=1, on_alarm=lambda f: None)
    trainer = trl_world.make(
        folder / "run",
        wrap=Scalarized,
        scalarizer=sys.argv[2],
        weights=dict.fromkeys(("wanted", "akin", "traded"), 1.0),
        per_device_train_batch_size=12,
        num_generations=8,
        callbacks=[audit, guard],
    )
    score = trainer.covlaw.score

    def scoring(rewards, tokens):
        seen.append(rewards.tolist())
        found = score(rewards, tokens)
        weights.append(trainer.reward_weights.tolist())
        return found

    trainer.covlaw.score = scoring
    trainer.train()
    rank = trainer.accelerator.process_index
    parameters = torch.cat([p.detach().reshape(-1) for p in trainer.model.parameters()])
    found = {
        "processes": trainer.accelerator.num_processes,
        "rewards": seen,
        "weights": weights,
        "state": [field.tolist() for field in trainer.covlaw.state],
        "did": [a.did.estimate.tolist() for a in audit.audited],
        "law": [a.forecast.law.estimate.tolist() for a in audit.audited],
        "guard": [g.effects.tolist() for g in guard.guarded],
        "parameters": float(parameters.double().sum()),
        "rows": len(world.ROWS),
    }
    (folder / f"{rank}.json").write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main()
