"""The command line: climb the rungs, collect verdicts, write the report.

The program `covlaw`; not public: call the command.
"""
