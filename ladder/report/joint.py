"""Several LLM runs in one picture: the reward curves of a comparison, on common axes."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from covlaw.ladder.report.pictures import Picture, picture
from covlaw.records.reading import Recorded
from covlaw.records.runs import STEPS

FIGURE = "interference"


def joint_picture(members: Sequence[Recorded]) -> Picture | None:
    """Draw the runs together; None where a scalarizer would not tell them apart.

    Runs of one scalarizer count as its seeds in that figure, so members must differ in theirs, and
    agree in their objectives.
    """
    single = [m for m in members if (m.folder / STEPS).is_file() and m.runs]
    scalarizers = {m.runs[0].scalarizer for m in single}
    objectives = {tuple(m.runs[0].objectives) for m in single}
    if not 1 < len(single) == len(members) == len(scalarizers) or len(objectives) > 1:
        return None
    with TemporaryDirectory() as folder:
        for place, member in enumerate(single):
            link = Path(folder) / "llm" / str(place)
            link.parent.mkdir(exist_ok=True)
            link.symlink_to(member.folder.resolve(), target_is_directory=True)
        return picture(FIGURE, Path(folder), "together-")
