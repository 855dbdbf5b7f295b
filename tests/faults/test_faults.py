"""Something breaks: no finished trial is lost, none trains twice, the study ends as if nothing had been."""

from collections import Counter
from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from faults import faults
from faults.study import STUDY, TRIALS, WORDS, scores

pytestmark = [pytest.mark.faults, pytest.mark.slow]


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, small_data: Path, shared_cache: Path, empty_store: Path
) -> dict[str, float]:
    """Scores of the study when nothing happens to it."""
    hpo = CommandLine(tmp_path_factory.mktemp("undisturbed"), small_data, shared_cache)
    hpo.with_store(empty_store)
    done = hpo.run(*hpo.study(STUDY, *WORDS))
    assert done.returncode == 0, done.stderr
    return scores(hpo.events(STUDY))


SAID = {
    "a trial hangs": "bayes-0002 hung: no validation for",
    "an array of two trials hangs": "bayes-0002 hung: no validation for",
    "a line of the journal cut": "the last line of the journal was incomplete",
    "the newest checkpoint cut": "bayes-0002: checkpoint.pt is damaged",
    "all checkpoints of a trial damaged": "bayes-0002: no checkpoint is left",
}


@pytest.mark.parametrize("fault", faults.FAULTS)
def test_study_ends_as_if_nothing_had_been_after(
    fault: str, hpo: CommandLine, undisturbed: dict[str, float]
) -> None:
    try:
        account = faults.FAULTS[fault](hpo)
    except faults.CannotMountError as error:
        pytest.skip(f"a disk of its own cannot be mounted here: {error}")
    assert (account.lost, account.repeated) == (0, 0)
    assert account.finished == undisturbed
    assert account.recorded == Counter((trial, "finished") for trial in undisturbed)
    assert len(undisturbed) == TRIALS
    assert not account.failed
    assert any(note.startswith(SAID[fault]) for note in account.notes) if fault in SAID else not account.notes
