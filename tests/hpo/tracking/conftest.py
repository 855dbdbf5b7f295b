"""One SQLite store for all tests of tracking: making one takes seconds."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hpo.config.environment import Environment, read_environment
from hpo.journal.events import (
    Event,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    StudyResumed,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)
from hpo.journal.journal import Journal
from hpo.tracking.follower import Follower
from hpo.tracking.tracker import Tracker

MAKE_STORE = """
import sys
from hpo.config.environment import read_environment
from hpo.tracking.store import make_store
make_store(read_environment({"HPO_RUNS": sys.argv[1]}))
"""


def environment_in(runs: Path) -> Environment:
    """The default store of a runs folder."""
    return read_environment({"HPO_RUNS": str(runs)})


@pytest.fixture(scope="session")
def made_by_two(tmp_path_factory: pytest.TempPathFactory) -> tuple[Environment, list[tuple[int, str]]]:
    """A store that two processes wanted at the same time after a third was killed over it."""
    runs = tmp_path_factory.mktemp("runs")
    (runs / "mlflow.db.unfinished").write_bytes(b"half a data base")
    makers = [
        subprocess.Popen(
            [sys.executable, "-c", MAKE_STORE, str(runs)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for _ in range(2)
    ]
    said = [maker.communicate()[0] for maker in makers]
    return environment_in(runs), [(m.returncode, words) for m, words in zip(makers, said, strict=True)]


@pytest.fixture(scope="session")
def environment(made_by_two: tuple[Environment, list[tuple[int, str]]]) -> Environment:
    """A store with tables; tests tell their studies apart by name."""
    return made_by_two[0]


@pytest.fixture
def copy_of_store(environment: Environment) -> Callable[[Path], Environment]:
    """Puts another store into a folder, as it was when this one is copied."""

    def copy(runs: Path) -> Environment:
        runs.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(environment.runs / "mlflow.db", runs / "mlflow.db")
        return environment_in(runs)

    return copy


@pytest.fixture
def follow() -> Iterator[Callable[..., Follower]]:
    """Starts followers whose threads end with the test, also where it fails."""
    started: list[Follower] = []

    def start(folder: Path, tracker: Tracker, **waits_s: float) -> Follower:
        started.append(Follower(folder, tracker, **waits_s).start())
        return started[-1]

    yield start
    for follower in started:
        follower.close(0)


class Study:
    """Writes the journal of a small study with everything in it that can happen."""

    NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.name = folder.name
        self.minutes = 0
        self.files = [folder / "config.json", folder / "best.pt", folder / "missing.txt"]
        folder.mkdir(parents=True)
        for path in self.files[:2]:
            path.write_text(path.name)
        Journal.create(folder).close()

    def append(self, kind: type[Event], **fields: Any) -> None:
        """One more event, a minute after the last."""
        self.minutes += 1
        at = self.NOON + timedelta(minutes=self.minutes)
        with Journal.open(self.folder) as journal:
            journal.append(kind(at=at, **fields))

    def create(self) -> None:
        plan = {"study": {"task": "calf", "network": {"chunk_s": 120.0}}}
        origin = {
            "data_digest": "ab" * 32,
            "code_digest": "cd" * 20,
            "versions": {"torch": "2.13", "ray": "2.60"},
        }
        self.append(StudyCreated, study=self.name, plan=plan, seed=0, **origin)
        self.append(StageStarted, stage="bayes", space={"f": {"type": "int"}, "r_frames": {}}, trials=3)

    def ask(self, trial: str, **parameters: int | float | str) -> None:
        self.append(TrialAsked, trial=trial, stage="bayes", parameters=parameters, seed=7)

    def start(self, trial: str) -> None:
        self.append(TrialStarted, trial=trial, host="laptop", device="cpu", threads=2)

    def report(self, trial: str, epoch: int, average_map: float) -> None:
        metrics = {"average_map": average_map, "ap/yellow->red-card": average_map / 2}
        self.append(TrialReported, trial=trial, epoch=epoch, metrics=metrics, train_s=3.0 * epoch)

    def finish(self, trial: str, epoch: int, score: float) -> None:
        self.append(TrialFinished, trial=trial, score=score, epoch=epoch, duration_s=90.0)

    def first_trial(self) -> None:
        self.ask("bayes-0000", f=16, r_frames=80, alpha2=5.0)
        self.start("bayes-0000")
        self.report("bayes-0000", 20, 0.1)
        self.report("bayes-0000", 40, 0.2)
        self.finish("bayes-0000", 40, 0.2)

    def stopped_trial(self) -> None:
        self.ask("bayes-0003", f=4, r_frames=30, alpha2=2.0)
        self.start("bayes-0003")
        self.report("bayes-0003", 20, 0.3)
        self.append(TrialStopped, trial="bayes-0003", score=0.3, epoch=20, duration_s=30.0)

    def failing_trial(self) -> None:
        self.ask("bayes-0001", f=64, r_frames=20, alpha2=0.5)
        self.start("bayes-0001")
        self.report("bayes-0001", 20, float("nan"))
        self.append(TrialFailed, trial="bayes-0001", reason="loss is NaN at epoch 21")

    def interrupted_trial(self) -> None:
        self.ask("bayes-0002", f=8, r_frames=40, alpha2=1.0)
        self.start("bayes-0002")
        self.report("bayes-0002", 20, 0.3)
        self.report("bayes-0002", 40, 0.4)
        self.append(StudyInterrupted, reason="Ctrl-C")

    def resumed_trial(self) -> None:
        self.append(StudyResumed, versions={"torch": "2.13.1"})
        self.start("bayes-0002")
        self.report("bayes-0002", 40, 0.4)
        self.report("bayes-0002", 60, 0.35)
        self.finish("bayes-0002", 40, 0.4)

    def end(self, best_trial: str = "bayes-0002") -> None:
        self.append(StageFinished, stage="bayes", best_trial=best_trial)

    def whole(self) -> "Study":
        self.create()
        self.first_trial()
        self.failing_trial()
        self.interrupted_trial()
        self.resumed_trial()
        self.end()
        return self


@pytest.fixture
def study(tmp_path: Path, request: pytest.FixtureRequest) -> Study:
    """A study called like the test, without events."""
    return Study(tmp_path / "studies" / request.node.name)
