"""The small data set of the end-to-end tests, and a command line on it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.command_line import CommandLine
from e2e.conftest import empty_store, shared_cache, small_data
from faults.study import STUDY, WORDS, scores

__all__ = ["empty_store", "shared_cache", "small_data"]


@pytest.fixture
def hpo(tmp_path: Path, small_data: Path, shared_cache: Path, empty_store: Path) -> CommandLine:
    """What is started is a process with its own Ray; what is run to the end, such as a resume, runs here."""
    return CommandLine(tmp_path, small_data, shared_cache, here=True).with_store(empty_store)


@pytest.fixture(scope="module")
def ray() -> Iterator[None]:
    """One Ray for what is resumed in this process; a study that something happens to has its own."""
    from hpo.schedule.local_ray import ray_session
    from hpo.study.devices import available_cpus

    with ray_session(cpus=max(3, available_cpus()), gpus=0):
        yield


@pytest.fixture(scope="module")
def undisturbed(
    tmp_path_factory: pytest.TempPathFactory, small_data: Path, shared_cache: Path, empty_store: Path
) -> dict[str, float]:
    """Scores of the study when nothing happens to it."""
    hpo = CommandLine(tmp_path_factory.mktemp("undisturbed"), small_data, shared_cache, here=True)
    hpo.with_store(empty_store)
    done = hpo.run(*hpo.study(STUDY, *WORDS))
    assert done.returncode == 0, done.stderr
    return scores(hpo.events(STUDY))
