"""What a bar shows of a run: step, time left, mean rewards, tokens a second."""

from io import StringIO

import pytest
from rich.console import Console

from covlaw.ladder.progress import make_bar, progress, training_news

RECORD = {"objectives": ["a", "b[x]"], "reward_mean": [0.5, 1.0], "tokens": 3000, "seconds": 1.5}


def test_a_line_says_rewards_and_speed() -> None:
    assert training_news(RECORD) == "a 0.50  b[x] 1.00  2,000 tokens/s"


@pytest.mark.parametrize("step_seconds", [0.5, 120.0])
def test_a_continued_run_knows_the_time_left(step_seconds: float) -> None:
    """40 of 45 steps were done by another process; long steps are not forgotten in between."""
    now, screen = [0.0], StringIO()
    console = Console(file=screen, force_terminal=True, width=120)
    bar = make_bar(console, clock=lambda: now[0])
    with progress("training", bar) as show:
        for done in (41, 42, 43):
            now[0] += step_seconds
            show(done, 45, training_news(RECORD))
        assert bar.tasks[0].time_remaining == pytest.approx(2 * step_seconds, abs=1)  # rounded up
        bar.refresh()
    assert "43/45" in screen.getvalue()
    assert "a 0.50  b[x] 1.00  2,000 tokens/s" in screen.getvalue()
