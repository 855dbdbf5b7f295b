"""A small study that something happens to, and the account of what that cost."""

import copy
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from e2e.command_line import CommandLine, kill_group
from e2e.processes import command_of, descendants, is_ray, ray_processes
from waiting import wait_until

from hpo.journal.events import Event, Noticed, TrialFailed, TrialFinished, TrialReported, TrialStarted

STUDY = "struck"
# Random points do not depend on scores: with and without a fault the trials are the same.
TRIALS = 3
TRIAL, ARRAY = "ResourceTrainable", "TrialArray"
"""What Ray calls the process of a trial, and of an array."""
_KILLED: dict[Path, "StruckStudy"] = {}
"""By the data that it trains on."""
WORDS = ("--searcher", "random", "--trials", str(TRIALS))


@dataclass(frozen=True, slots=True)
class Account:
    """What a fault cost."""

    lost: int
    """Trials that had finished before, and afterwards had not, or with another score."""
    repeated: int
    """Trials that trained an epoch twice in the journal, finished twice, or began again when finished."""
    recovered_s: float
    """From the fault, or from the command that went on after it, to the next validation."""
    finished: Mapping[str, float]
    """Trial -> score, at the end."""
    failed: Mapping[str, str]
    """Trial -> reason, at the end."""
    notes: Sequence[str]
    recorded: Mapping[tuple[str, str], int]
    """(Trial, its status) -> runs in MLflow."""


class StruckStudy:
    """A study that runs in processes of its own until something happens."""

    def __init__(self, hpo: CommandLine, *words: str, training: str = "") -> None:
        """Start it; ``training`` are more lines of that table of its file."""
        self.hpo = hpo
        command = hpo.study(STUDY, *WORDS, *words)
        file = hpo.folder / "small.toml"
        file.write_text(file.read_text().replace("[training]", f"[training]\n{training}"))
        self.process = hpo.start(*command)
        self._before: list[Event] = []
        self._at = datetime.now(UTC)

    @property
    def journal(self) -> Path:
        return self.hpo.folder / "hpo-runs" / "studies" / STUDY / "journal.jsonl"

    def trial_folder(self, number: int) -> Path:
        return self.journal.parent / "trials" / f"bayes-{number:04d}"

    def events(self) -> list[Event]:
        return self.hpo.events(STUDY)

    def wait_for_reports(self, trial: int, count: int) -> None:
        """Until a trial was validated so often; the study must not have ended."""
        name = f"bayes-{trial:04d}"
        wait_until(lambda: self._ended() or reports(self.events())[name] >= count)
        assert not self._ended(), self.output()

    def workers(self, kind: str = TRIAL) -> list[int]:
        """Processes of this study that Ray named after ``kind``; their name changes between two calls."""
        found: list[int] = []

        def have_their_name() -> bool:
            found[:] = ray_processes(self.process.pid, kind)
            return bool(found)

        wait_until(have_their_name)
        return found

    def process_of_ray(self, kind: str) -> int:
        """Ray's own process ``kind``, such as the raylet."""
        mine = descendants(self.process.pid)
        [found] = [number for number in mine if command_of(number).partition(" ")[0].endswith(f"/{kind}")]
        return found

    def strike(self) -> None:
        """The moment of the fault."""
        self._before, self._at = self.events(), datetime.now(UTC)

    def kill(self) -> None:
        """kill -9 of the whole group, and of Ray's processes, which have groups of their own.

        A worker that was left would train its trial to the next validation and write it. The driver stands
        still first: its trial could end while a busy machine looks for the workers.
        """
        os.kill(self.process.pid, signal.SIGSTOP)
        workers = ray_processes(self.process.pid)
        kill_group(self.process)
        for number in workers:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        wait_until(lambda: not any(map(is_ray, workers)))

    def copied_to(self, hpo: CommandLine) -> "StruckStudy":
        """The same in another place, when nothing of it runs."""
        shutil.copytree(self.hpo.folder / "hpo-runs", hpo.folder / "hpo-runs", dirs_exist_ok=True)
        study = copy.copy(self)
        study.hpo = hpo
        return study

    def end(self, timeout_s: float = 120) -> int:
        """Wait for its end; gives the exit code."""
        return self.process.wait(timeout=timeout_s)

    def output(self) -> str:
        return (self.hpo.folder / "output.txt").read_text()

    def resume(self, *words: str, apart: bool = False) -> "subprocess.CompletedProcess[str]":
        """Go on to the end; if ``apart``, in a new process with its own Ray in any case."""
        self._at = datetime.now(UTC)
        return (self.hpo.apart if apart else self.hpo).run("resume", STUDY, *words)

    def account(self, store: str | None = None) -> Account:
        """What it cost; ``store`` is where MLflow records, if not in the folder of studies."""
        events = self.events()
        finished, before = scores(events), scores(self._before)
        after = [e.at for e in events if isinstance(e, TrialReported) and e.at > self._at]
        return Account(
            lost=sum(finished.get(trial) != score for trial, score in before.items()),
            repeated=len(repeated(events)),
            recovered_s=(min(after) - self._at).total_seconds() if after else float("nan"),
            finished=finished,
            failed={e.trial: e.reason for e in events if isinstance(e, TrialFailed)},
            # Every study here has one that its space leaves out the study file's own configuration.
            notes=[
                e.message for e in events if isinstance(e, Noticed) and "own configuration" not in e.message
            ],
            recorded=mlflow_runs(store or f"sqlite:///{self.hpo.folder / 'hpo-runs' / 'mlflow.db'}"),
        )

    def _ended(self) -> bool:
        return self.process.poll() is not None


@contextmanager
def struck(hpo: CommandLine, *words: str, training: str = "") -> Iterator[StruckStudy]:
    """A study, of which nothing runs on after the context."""
    study = StruckStudy(hpo, *words, training=training)
    try:
        yield study
    finally:
        workers = ray_processes(study.process.pid)
        if study.process.poll() is None:
            kill_group(study.process)
        # One that stands still does not hear that its study is gone.
        for number in workers:
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def killed(hpo: CommandLine) -> StruckStudy:
    """A copy of a study whose processes were all killed in its second trial.

    The first one who asks makes it. Where it lies must outlive the others.
    """
    if hpo.data not in _KILLED:
        with struck(hpo) as study:
            study.wait_for_reports(2, 2)
            study.kill()
            study.strike()
        home = hpo.folder.with_name(f"{hpo.folder.name}-killed")
        home.mkdir()
        _KILLED[hpo.data] = study.copied_to(replace(hpo, folder=home))
        return study
    return _KILLED[hpo.data].copied_to(hpo)


def scores(events: Sequence[Event]) -> dict[str, float]:
    return {event.trial: event.score for event in events if isinstance(event, TrialFinished)}


def reports(events: Sequence[Event]) -> Counter[str]:
    return Counter(event.trial for event in events if isinstance(event, TrialReported))


def repeated(events: Sequence[Event]) -> set[str]:
    """Trials of which something was done twice."""
    reported = Counter((e.trial, e.epoch) for e in events if isinstance(e, TrialReported))
    finished = Counter(e.trial for e in events if isinstance(e, TrialFinished))
    twice = {trial for (trial, _), count in reported.items() if count > 1}
    twice |= {trial for trial, count in finished.items() if count > 1}
    ended: set[str] = set()
    for event in events:
        if isinstance(event, TrialFinished):
            ended.add(event.trial)
        elif isinstance(event, TrialStarted) and event.trial in ended:
            twice.add(event.trial)
    return twice


def mlflow_runs(store: str) -> Counter[tuple[str, str]]:
    """(Trial, its status) -> runs of the study in an MLflow store."""
    from mlflow import MlflowClient

    client = MlflowClient(store)
    experiment = client.get_experiment_by_name(STUDY)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return Counter(
        (str(run.info.run_name), run.data.tags["hpo.status"])
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    )
