"""What must hold after every fault."""

import re
from collections import Counter
from collections.abc import Callable, Mapping

import pytest
from e2e.command_line import CommandLine
from faults.faults import CannotMountError
from faults.study import TRIALS, Account

SAID = {
    "kill -9 of a trial's process": "the process of bayes-0002 died; the trial resumes",
    "a trial hangs": "bayes-0002 hung: no validation for",
    # On slow processors the first trial is ahead, and the array may stand still as it opens the third.
    "an array of two trials hangs": r"bayes-000\d hung: no validation for",
    "a line of the journal cut": "the last line of the journal was incomplete",
    "the newest checkpoint cut": "bayes-0002: checkpoint.pt is damaged",
    "all checkpoints of a trial damaged": "bayes-0002: no checkpoint is left",
}
"""Pattern of the beginning of the note that a fault leaves; the others leave none."""


def ends_as_if_nothing_had_been(
    faults: Mapping[str, Callable[[CommandLine], Account]],
    fault: str,
    hpo: CommandLine,
    undisturbed: Mapping[str, float],
) -> None:
    """Check that no finished trial is lost, none trains twice, and all reach what they would have."""
    try:
        account = faults[fault](hpo)
    except CannotMountError as error:
        pytest.skip(f"a disk of its own cannot be mounted here: {error}")
    assert (account.lost, account.repeated) == (0, 0)
    assert account.finished == undisturbed
    assert account.recorded == Counter((trial, "finished") for trial in undisturbed)
    assert len(undisturbed) == TRIALS
    assert not account.failed
    said = [note for note in account.notes if re.match(SAID.get(fault, ""), note)]
    assert bool(said) == (fault in SAID), account.notes
