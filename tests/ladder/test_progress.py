"""What a bar shows of a run: step, time left, mean rewards, tokens a second."""

from io import StringIO

import pytest

from covlaw.ladder.progress import lines, make_bar, progress, training_news
from covlaw.ladder.screen import Console

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


def test_off_a_terminal_there_are_lines_now_and_then(capsys: pytest.CaptureFixture[str]) -> None:
    now, screen = [0.0], StringIO()
    show = lines("training", Console(file=screen, width=60), clock=lambda: now[0])
    for done in range(5):
        show(done, 10, "a 0.50")
        now[0] += 8.0
    assert screen.getvalue() == "training: 3 of 10, about 0:56 to go  a 0.50\n"
    with progress("reading") as shown:  # pytest's stderr is no terminal
        shown(0, 1, "")
    assert capsys.readouterr().err == ""
