"""Searches that stop poor trials early, through the command line."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from e2e.command_line import CommandLine, kill_group
from waiting import wait_until

from hpo.journal.events import (
    Event,
    StageFinished,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
)

pytestmark = pytest.mark.slow

# Random points do not depend on scores: with and without a scheduler the trials are the same.
WORDS = ("--searcher", "random", "--trials", "6")
ASHA = ("--scheduler", "asha", *WORDS)


@pytest.fixture(scope="module")
def asha(
    tmp_path_factory: pytest.TempPathFactory,
    small_data: Path,
    shared_cache: Path,
    empty_store: Path,
    ray: None,
) -> CommandLine:
    """Where a study called ``asha`` was run without a disturbance."""
    hpo = CommandLine(tmp_path_factory.mktemp("asha"), small_data, shared_cache, here=True).with_store(
        empty_store
    )
    done = hpo.run(*hpo.study("asha", *ASHA))
    assert done.returncode == 0, done.stderr
    return hpo


def test_asha_trains_less_and_its_trials_are_those_of_the_whole_study_cut_short(
    hpo: CommandLine, asha: CommandLine
) -> None:
    done = hpo.run(*hpo.study("whole", *WORDS))
    assert done.returncode == 0, done.stderr
    whole, cut = reports(hpo.events("whole")), reports(asha.events("asha"))
    # Processes are reused: nothing of a stopped trial is left in the next one.
    assert cut.items() <= whole.items()
    assert len(cut) < len(whole) == 6 * 4


def test_trials_that_asha_stopped_are_shown_as_such_and_keep_what_they_reached(asha: CommandLine) -> None:
    ended = how_trials_ended(asha.events("asha"))
    stopped = [trial for trial, kind in ended.items() if kind is TrialStopped]
    assert len(ended) == 6 and stopped and set(ended.values()) == {TrialFinished, TrialStopped}
    [stage] = [event for event in asha.events("asha") if isinstance(event, StageFinished)]
    trials = asha.folder / "hpo-runs" / "studies" / "asha" / "trials"
    assert all((trials / trial / "best.pt").exists() for trial in stopped)

    status = asha.run("status", "asha").stdout
    assert f"{6 - len(stopped)} of 6 trials finished, {len(stopped)} stopped early" in status
    best = asha.best("asha")
    assert {trial["trial"] for trial in best if trial["status"] == "stopped"} == set(stopped)
    expected = [trial["expected"] for trial in best if trial["status"] == "finished"]
    assert None not in expected and expected == sorted(expected, reverse=True)
    scores = [trial["average_map"] for trial in best if trial["status"] == "stopped"]
    assert scores == sorted(scores, reverse=True)
    assert [trial["status"] for trial in best] == ["finished"] * len(expected) + ["stopped"] * len(scores)
    assert best[0]["trial"] == stage.best_trial
    assert recorded_in_mlflow(asha, "asha") == {
        trial: ("KILLED", "stopped") if trial in stopped else ("FINISHED", "finished") for trial in ended
    }


def test_killed_asha_study_resumes_to_the_decisions_of_an_uninterrupted_one(
    hpo: CommandLine, asha: CommandLine
) -> None:
    process = hpo.start(*hpo.study("killed", *ASHA))
    # After a stop, while another trial trains.
    wait_until(lambda: has_trained_on_after_a_stop(hpo.events("killed")))
    kill_group(process)
    before = how_trials_ended(hpo.events("killed"))
    resumed = hpo.run("resume", "killed")
    assert resumed.returncode == 0, resumed.stderr

    events = hpo.events("killed")
    assert how_trials_ended(events) == how_trials_ended(asha.events("asha"))
    assert reports(events) == reports(asha.events("asha"))
    assert set(Counter((e.trial, e.epoch) for e in events if isinstance(e, TrialReported)).values()) == {1}
    starts = Counter(event.trial for event in events if isinstance(event, TrialStarted))
    assert all(starts[trial] == 1 for trial in before)


def how_trials_ended(events: Sequence[Event]) -> dict[str, type[Event]]:
    """Trial -> kind of its end; each has one."""
    ends = [event for event in events if isinstance(event, TrialFinished | TrialStopped | TrialFailed)]
    kinds: dict[str, type[Event]] = {event.trial: type(event) for event in ends}
    assert len(kinds) == len(ends)
    return kinds


def reports(events: Sequence[Event]) -> dict[tuple[str, int], tuple[tuple[str, float], ...]]:
    """(Trial, epoch) -> metrics, without what depends on the clock."""
    return {
        (event.trial, event.epoch): tuple(
            (name, value) for name, value in sorted(event.metrics.items()) if name != "chunks_per_s"
        )
        for event in events
        if isinstance(event, TrialReported)
    }


def has_trained_on_after_a_stop(events: Sequence[Event]) -> bool:
    stops = [place for place, event in enumerate(events) if isinstance(event, TrialStopped)]
    return bool(stops) and any(isinstance(event, TrialStarted) for event in events[stops[0] :])


def recorded_in_mlflow(hpo: CommandLine, study: str) -> dict[str, tuple[str, str]]:
    """Trial -> (status of its run, hpo.status)."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{hpo.folder / 'hpo-runs' / 'mlflow.db'}")
    experiment = client.get_experiment_by_name(study)
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    return {
        run.info.run_name: (run.info.status, run.data.tags["hpo.status"])
        for run in runs
        if "mlflow.parentRunId" in run.data.tags
    }
