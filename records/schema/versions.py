"""The version of each kind of record: a change of what a field means raises it (CHANGELOG)."""

RUN = 1
"""steps.jsonl, samples.jsonl and verdicts.json, whoever writes them; evaluation's summary.json."""
STUDY = 2
"""table.jsonl and summary.json of a study; 2: under several optimisers, also at equal KL."""
STUDIES_READ = (1, STUDY)
"""Studies that are still read."""
VERDICT = 1
"""What `covlaw llm audit --json` says of several runs."""
INSPECTION = 1
"""What `covlaw inspect --json` says of a log."""
REAL = 1
"""real.json of runs on a real model (`covlaw.ladder.real`)."""
