"""Accuracy accepts other spellings of the answer, and refuses other answers."""

import os
import threading
from pathlib import Path

import pytest
import torch

from covlaw.llm.rewards import judge, state
from covlaw.llm.rewards.accuracy import accuracy, is_correct
from covlaw.llm.rewards.answers.budget import OutOfTimeError
from covlaw.llm.rewards.equivalence import equivalent
from covlaw.theory._numerics.errors import CovlawError

EQUAL = [
    (r"\frac12", "0.5"),
    ("1/2", r"\dfrac{1}{2}"),
    (r"-\frac{1}{3}", r"\frac{-1}{3}"),
    ("7.0", "7"),
    ("1,000", "1000"),
    (r"10{,}080", "10080"),
    (r"2\sqrt{3}", r"\sqrt{12}"),
    (r"\sqrt{2}/2", r"\frac{1}{\sqrt{2}}"),
    ("1.414214", r"\sqrt{2}"),
    ("5!", "120"),
    (r"11\frac12", r"\frac{23}{2}"),
    (r"90^{\circ}", "90"),
    ("90", r"90^\circ"),
    ("28", r"28\%"),
    ("0.28", r"28\%"),
    (r"\$18.90", "18.90"),
    ("5 dollars", r"\$5"),
    (r"5\text{ cm}", r"5\,\text{cm}"),
    ("5 cm", "5"),
    ("5", r"5\text{ square units}"),
    (r"\text{10 minutes}", "10 minute"),
    ("10/2 pears", "5 pears"),
    ("x=5", "5"),
    ("5", "x=5"),
    (r"f(x)=x^2", "x^2"),
    ("2x+3", "y=2x+3"),
    ("2+3=5", "5"),
    ("x=1,x=2", "1,2"),
    ("1 and 2", "1,2"),
    ("2,1", "1,2"),
    (r"\{1,2\}", r"\{2,1\}"),
    (r"x \in [1,2]", "[1,2]"),
    (r"(-\infty, 2)\cup(3,\infty)", r"(3,\infty)\cup(-\infty,2)"),
    (r"\left( 3, \frac{\pi}{2} \right)", r"(3,\pi/2)"),
    (r"\begin{pmatrix}1\\2\end{pmatrix}", r"\begin{pmatrix} 1 \\ 2 \end{pmatrix}"),
    ("2516", "2516_8"),
    ("2516_{8}", "2516_8"),
    ("p - q", "-q+p"),
    ("3x(x-1)", "3x^2-3x"),
    ("6+9i", "9i+6"),
    (r"\text{Evelyn}", "Evelyn"),
    (r"\textbf{(\text{B})}", "B"),
    (r"\boxed{7}", "7"),
]

DIFFERENT = [
    ("28 cm", r"28\%"),  # the false accepts of math-verify 0.9 ...
    ("2516_9", "2516_8"),
    ("10=5", "5"),
    (r"5\text{ pears}", r"5\text{ apples}"),
    ("5,5", "5"),
    ("pears", "spare"),  # ... which reads words as products of letters
    (r"\text{pears}", r"\text{apples}"),
    ("3 pears and 2 apples", "2 pears and 3 apples"),
    (r"5\%", r"\$5"),
    ("2516_9", "2516"),
    ("10=5", "x=5"),
    ("5=5=6", "5"),
    ("y=5", "x=5"),
    ("x=6", "x=5"),
    ("x<5", "5"),
    ("x>5", "x<5"),
    ("6", "5"),
    ("5x", "5"),
    ("5abc", "5"),
    ("5,6", "5"),
    ("5 or 6", "5"),
    (r"\pm 5", "5"),
    ("(1,2)", "(2,1)"),
    ("[1,2]", "(1,2)"),
    ("1 2", "12"),
    ("0.333333", "1/3"),
    ("3.14", r"\pi"),
    ("y^2+1", "x^2+1"),
    ("B", "C"),
    ("even", "odd"),
    ("", "5"),
    (r"\text{}", "5"),
    ("+", "5"),
    ("x=", "5"),
    ("5}", "5"),
    (r"\sqrt{", "5"),
    ("5/0", "5"),
    (r"\frac{5}{0}", r"\infty"),
    ("eval('5')", "5"),
    ("__import__('os').getpid()", "5"),
]


@pytest.mark.parametrize(("answer", "reference"), EQUAL)
def test_other_spellings_are_accepted(answer: str, reference: str) -> None:
    assert equivalent(answer, reference)


@pytest.mark.parametrize(("answer", "reference"), DIFFERENT)
def test_other_answers_are_refused(answer: str, reference: str) -> None:
    assert not equivalent(answer, reference)


@pytest.mark.parametrize(
    ("completion", "right"),
    [
        (r"\boxed{4} no: \boxed{5}", True),
        (r"\boxed{5} no: \boxed{4}", False),  # two boxes are no set
        (r"\boxed{5", False),
        ("5", False),
        ("", False),
        (r"\boxed{}", False),
    ],
)
def test_only_the_last_closed_box_counts(completion: str, right: bool) -> None:
    assert is_correct(completion, "5") is right


def test_scores_are_zeros_and_ones_in_order() -> None:
    lengths = torch.tensor([3, 3, 3])
    completions = [r"\boxed{5}", r"\boxed{6}", "5"]
    scores = accuracy(completions, ["5"] * 3, lengths, state.initial_state(lengths))
    assert scores.dtype == torch.float64
    assert scores.tolist() == [1.0, 0.0, 0.0]


def test_numbers_never_start_the_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: str) -> bool:
        raise AssertionError("the judge was asked")

    monkeypatch.setattr(judge, "ask", refuse)
    assert not equivalent("17", "18")
    assert equivalent("0017.50", "35/2")


def cpu_seconds_of_a_new_judge(answer: str, reference: str) -> tuple[bool, float]:
    """Ask a freshly started judge, end it, and return its verdict and the CPU time it took."""
    judge._stop()
    before = os.times()
    try:
        verdict = judge.ask(answer, reference)
    except OutOfTimeError:
        verdict = False
    judge._stop()
    after = os.times()
    spent = after.children_user + after.children_system
    return verdict, spent - before.children_user - before.children_system


def test_a_tower_of_powers_ends_within_the_limit_even_in_a_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The limit holds for CPU time, so that it is the same on a busy machine."""
    limit = 0.5
    monkeypatch.setattr(judge, "CPU_SECONDS", limit)
    _, starting = cpu_seconds_of_a_new_judge("x+x", "2x")
    found: list[tuple[bool, float]] = []
    thread = threading.Thread(
        target=lambda: found.append(cpu_seconds_of_a_new_judge("9^{9^{9^{9}}}", "7"))
    )
    thread.start()
    thread.join()
    ((verdict, spent),) = found
    assert not verdict
    assert limit < spent < limit + 2 * starting  # starting twice may differ by caches, not by 2
    assert judge.ask("x+x", "2x"), "the judge must work again after it was ended"
    judge._stop()


def test_verdicts_match_their_questions_when_threads_ask_together() -> None:
    questions = [(f"x+{n}", f"{n % 3}+x") for n in range(12)]
    verdicts: dict[int, bool] = {}

    def ask(n: int) -> None:
        verdicts[n] = judge.ask(*questions[n])

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert verdicts == {n: n < 3 for n in range(12)}


def test_an_interrupt_does_not_shift_later_verdicts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert judge.ask("x+x", "2x")

    def interrupt(*_: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(judge, "_read", interrupt)
        with pytest.raises(KeyboardInterrupt):
            judge.ask("x+x", "2x")
    assert not judge.ask("x+x", "3x")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # Python 3.12: we test just that
def test_a_forked_worker_gets_a_judge_of_its_own() -> None:
    assert judge.ask("x+x", "2x")
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if judge.ask("x+x+x", "3x") and not judge.ask("x", "y") else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert judge.ask("x+x", "2x")


def test_a_judge_that_cannot_start_is_an_error_not_a_wrong_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "judge_process.py"
    broken.write_text("import a_module_that_is_not_installed\n")
    judge._stop()
    monkeypatch.setattr(judge, "_PROGRAM", broken)
    with pytest.raises(CovlawError, match="math-verify cannot be started"):
        judge.ask("x+x", "2x")
