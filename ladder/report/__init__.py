"""The report: one self-contained HTML page of a ladder, an LLM run, a study, or several runs."""

from covlaw.ladder.report.page import write_report

__all__ = ["write_report"]
