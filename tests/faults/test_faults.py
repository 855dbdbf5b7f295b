"""Something breaks: no finished trial is lost, none trains twice, the study ends as if nothing had been."""

from collections import Counter
from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from faults import faults
from faults.study import STUDY, TRIALS, WORDS, Account, mlflow_runs, own_store, scores

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, small_data: Path, shared_cache: Path
) -> dict[str, float]:
    """Scores of the study when nothing happens to it."""
    hpo = CommandLine(tmp_path_factory.mktemp("undisturbed"), small_data, shared_cache)
    done = hpo.run(*hpo.study(STUDY, *WORDS))
    assert done.returncode == 0, done.stderr
    return scores(hpo.events(STUDY))


def require_nothing_lost(account: Account, undisturbed: dict[str, float], store: str) -> None:
    assert (account.lost, account.repeated) == (0, 0), account
    assert account.finished == undisturbed, account
    assert mlflow_runs(store) == Counter((trial, "finished") for trial in undisturbed)
    assert len(undisturbed) == TRIALS


@pytest.mark.parametrize("fault", faults.ON_ANY_DISK)
def test_study_ends_as_if_nothing_had_been_after(
    fault: str, hpo: CommandLine, undisturbed: dict[str, float]
) -> None:
    account = faults.ON_ANY_DISK[fault](hpo)
    require_nothing_lost(account, undisturbed, own_store(hpo))
    assert not account.failed
