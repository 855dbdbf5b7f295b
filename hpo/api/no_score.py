"""Why a session ended without a score, for the command line and for Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from hpo.study.recorded.records import Row, alike_failures, all_fail_sentence, failures

if TYPE_CHECKING:
    from hpo.study.running.pending_stages import SessionEnd


class NoScore(NamedTuple):
    """Reason for which a stage has no score."""

    sentence: str
    failed: Sequence[Row]
    """Failed trials to which it refers; none if all were stopped before their first validation."""


def why_no_score(end: "SessionEnd", folder: Path) -> NoScore | None:
    """Return why a stage of a session of the study in ``folder`` has ended or stopped without a score.

    None if all of them have one, and if a session was interrupted or its budget is over.
    """
    from hpo.study.running.pending_stages import Ending

    match end.ending:
        case Ending.ALL_FAIL:
            failed = alike_failures(end.state, folder)
            return NoScore(f"stopped: {all_fail_sentence(failed)}", failed)
        case Ending.COMPLETE if end.without_score:
            stage = end.without_score[0]
            failed = failures(end.state, folder, stage)
            first = f"; the first failure: {failed[0]['reason']}" if failed else ""
            return NoScore(f"no trial of stage {stage} has a score{first}", failed)
    return None
