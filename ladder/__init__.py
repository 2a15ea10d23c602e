"""The command line: climb the rungs, collect verdicts, write the report."""
