import io
import re
from datetime import timedelta
from functools import partial
from itertools import chain, groupby
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.table import Table

from hpo.journal.early_end import early_end_lines
from hpo.journal.events import (
    BudgetEnded,
    BudgetSet,
    GainEstimated,
    Noticed,
    StageAsked,
    StageExtended,
    StageFinished,
    StageStarted,
    StudyCreated,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialReported,
    TrialStarted,
    TrialStopped,
    Value,
)
from hpo.journal.results import StudyState
from hpo.journal.stage_state import UNLIKELY
from hpo.report.budget_lines import over_lines
from hpo.report.console import print_table, standard_error
from hpo.report.formats import score_label
from hpo.report.live import Display
from hpo.report.trial_tables import SHOWN_FAILURES, status_lines
from hpo.tracking.notes import study_tags


def state_after(*events: object) -> StudyState:
    created = StudyCreated(
        study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
    )
    return StudyState.replay([created, StageStarted(stage="bayes", space={}, trials=3, epochs=4), *events])  # type: ignore[list-item]


def asked(trial: str) -> TrialAsked:
    parameters: dict[str, Value] = {"f": 15 + int(trial[-1]), "r_frames": 80}
    return TrialAsked(trial=trial, stage="bayes", parameters=parameters, seed=0)


FINISHED = (
    asked("bayes-0001"),
    TrialStarted(trial="bayes-0001", host="h", device="cpu"),
    TrialReported(
        trial="bayes-0001", epoch=4, metrics={"average_map": 0.25, "chunks_per_s": 900.0}, train_s=1.0
    ),
    TrialFinished(trial="bayes-0001", score=0.25, epoch=4, duration_s=61.0),
)
STOPPED = (
    asked("bayes-0003"),
    TrialStarted(trial="bayes-0003", host="h", device="cpu"),
    TrialReported(
        trial="bayes-0003", epoch=2, metrics={"average_map": 0.1, "chunks_per_s": 900.0}, train_s=1.0
    ),
    TrialStopped(trial="bayes-0003", score=0.1, epoch=2, duration_s=30.0),
)
BRACKETS = "RuntimeError: cannot read [/data/x.npy] :smile: [bold]"
FAILED = (asked("bayes-0002"), TrialFailed(trial="bayes-0002", reason="DivergedError: nan"))


def plain(*states: StudyState) -> str:
    output = io.StringIO()
    display = Display(Console(file=output, width=60))
    with display.shown():
        for state in states:
            display.update(state)
    return output.getvalue()


def test_without_a_terminal_every_ended_trial_is_one_line() -> None:
    text = plain(state_after(), state_after(*FINISHED), state_after(*FINISHED, *FAILED))
    assert text.splitlines() == [
        "stage bayes: 3 trials at most, 4 epochs each",
        "[1/3] 0.2500 by bayes-0001 (f 16  r 80) in 1 min 01 s (best so far)",
        "[2/3] bayes-0002 failed: DivergedError: nan",
    ]


def test_brackets_in_a_message_are_printed_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    display = Display(standard_error())
    bracketed = (asked("bayes-0002"), TrialFailed(trial="bayes-0002", reason=BRACKETS))
    with display.shown():
        for state in (state_after(), state_after(*bracketed, Noticed(message="see [/tmp/x]"))):
            display.update(state)
    assert f"bayes-0002 failed: {BRACKETS}" in capsys.readouterr().err.replace("\n", " ")


def test_codes_in_a_message_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    obeyed = "\x1b[2J\0\r\udcfc"
    failed = (asked("bayes-0002"), TrialFailed(trial="bayes-0002", reason=f"E\n: {obeyed}"))
    state = state_after(*failed, Noticed(message=f"seen {obeyed}"))
    display = Display(standard_error())
    with display.shown():
        for each in (state_after(), state):
            display.update(each)
    shown = capsys.readouterr().err
    assert r"bayes-0002 failed: E\n: \x1b[2J\x00\r\udcfc" in shown and r"seen \x1b[2J\x00\r\udcfc" in shown
    assert any(r"E\n: \x1b[2J" in line for line in status_lines("s", state, writer=None))


def test_cells_of_a_table_are_printed_whole_and_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table(*(f"column {index}" for index in range(200)))
    table.add_row(*(f"0.{index:04d} [/x]" for index in range(200)))
    print_table(table)
    text = capsys.readouterr().out
    assert all(f"0.{index:04d} [/x]" in text for index in range(200))


def test_trials_that_were_stopped_early_are_told_and_counted_as_such() -> None:
    state = state_after(*FINISHED, *FAILED, *STOPPED)
    assert plain(state_after(*FINISHED, *FAILED), state).splitlines()[1:] == [
        "[3/3] 0.1000 by bayes-0003 (f 18  r 80) in 30 s, stopped early at epoch 2"
    ]
    output = io.StringIO()
    display = Display(Console(file=output, width=140, force_terminal=True, color_system=None))
    with display.shown():
        display.update(state)
    assert "1/3 finished  1 stopped early" in output.getvalue()
    lines = status_lines("s", state, writer=None)
    assert lines[1] == "stage bayes: 1 of 3 trials finished, 1 stopped early, 1 failed"
    assert lines[2].startswith("best so far: 0.2500 by bayes-0001")


def test_trial_that_was_stopped_before_its_first_validation_is_told_as_such() -> None:
    stopped = TrialStopped(trial="bayes-0003", reason="stopped by the user")
    state = state_after(*FINISHED, asked("bayes-0003"), stopped)
    assert plain(state_after(*FINISHED), state).splitlines()[1:] == [
        "[2/3] bayes-0003 stopped before its first validation (stopped by the user)"
    ]
    assert status_lines("s", state, writer=None)[1] == "stage bayes: 1 of 3 trials finished, 1 stopped early"


def test_trials_that_ended_before_a_resume_are_not_told_again() -> None:
    text = plain(state_after(*FINISHED), state_after(*FINISHED))
    assert text == "stage bayes: 3 trials at most, 4 epochs each\n"


def test_terminal_shows_counts_the_best_and_what_runs() -> None:
    output = io.StringIO()
    console = Console(file=output, width=140, force_terminal=True, color_system=None)
    display = Display(console)
    running = TrialStarted(trial="bayes-0003", host="h", device="cpu")
    with display.shown():
        display.update(state_after(*FINISHED, *FAILED, asked("bayes-0003"), running))
    text = output.getvalue()
    for part in ("1/3 finished", "1 running", "1 failed", "0.2500 by bayes-0001", "bayes-0003  training"):
        assert part in text


def test_time_left_falls_while_a_trial_trains_and_omits_its_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started = (asked("bayes-0001"), TrialStarted(trial="bayes-0001", host="h", device="cpu"))
    output = io.StringIO()
    display = Display(Console(file=output, width=140, force_terminal=True, color_system=None))
    for moment, epoch in (
        (100.0, 0),
        (110.0, 1),
        (111.0, 1),
        (112.0, 2),
    ):  # at 110, 11 epochs of 2 s are left
        monkeypatch.setattr("hpo.report.live.time", SimpleNamespace(monotonic=partial(float, moment)))
        report = TrialReported(
            trial="bayes-0001", epoch=epoch, metrics={"average_map": 0.1}, train_s=2 * epoch
        )
        display.update(state_after(*started, report) if epoch else state_after(*started))
        with display.shown():
            pass
    left = [each for each, _ in groupby(re.findall(r"about (\d+) s left", output.getvalue()))]
    assert left == ["22", "21", "20"]


def test_status_says_how_to_go_on_and_why_trials_failed() -> None:
    lines = status_lines("s", state_after(*FINISHED, *FAILED, asked("bayes-0003")), writer=None)
    assert lines[0] == "study s: stopped; resume with: hpo resume s"
    assert "1 of 3 trials finished, 1 waiting to be resumed, 1 failed" in lines[1]
    assert "failed: bayes-0002: DivergedError: nan" in lines


def test_study_whose_next_stage_has_not_begun_is_not_complete() -> None:
    state = state_after(*FINISHED)
    for name in ("bayes", "final"):
        state.apply(StageAsked(stage=name, settings={}))
    assert not state.is_complete
    state.apply(StageFinished(stage="bayes", best_trial="bayes-0001", chosen={}))
    assert state.pending == ["final"] and not state.is_complete
    assert status_lines("s", state, writer=None)[0].startswith("study s: stopped; resume with")
    assert study_tags(state)["hpo.status"] != "complete"


def test_status_tells_trials_that_train_from_those_that_wait_for_a_core() -> None:
    running = TrialStarted(trial="bayes-0003", host="h", device="cpu")
    state = state_after(*FINISHED, asked("bayes-0003"), running, asked("bayes-0004"))
    [line] = [line for line in status_lines("s", state, writer="pid 1") if line.startswith("stage")]
    assert line.endswith("1 of 3 trials finished, 1 running, 1 starting or waiting for a free core")


def on_data_without_cards(*events: object) -> StudyState:
    created = StudyCreated(
        study="s",
        plan={"study": {"task": "calf"}, "shape": {"classes": ["goal", "card"]}},
        seed=0,
        data_digest="d",
        code_digest="c",
        versions={},
    )
    return StudyState.replay([created, StageStarted(stage="bayes", space={}, trials=3, epochs=4), *events])  # type: ignore[list-item]


def test_lines_name_both_means_while_a_class_has_no_actions() -> None:
    metrics = {"average_map": 0.25, "average_map_present": 0.5, "ap/goal": 0.5}
    running = (
        asked("bayes-0001"),
        TrialStarted(trial="bayes-0001", host="h", device="cpu"),
        TrialReported(trial="bayes-0001", epoch=4, metrics=metrics, train_s=1.0),
    )
    output = io.StringIO()
    display = Display(Console(file=output, width=140, force_terminal=True, color_system=None))
    with display.shown():
        display.update(on_data_without_cards(*running))
    both = "0.2500 over all classes, 0.5000 over classes present"
    assert f"epoch 4/4  Average-mAP {both}" in output.getvalue()
    ended = on_data_without_cards(
        *running, TrialFinished(trial="bayes-0001", score=0.25, epoch=4, duration_s=61.0)
    )
    assert status_lines("s", ended, writer=None)[2].startswith(f"best so far: {both} by bayes-0001")
    assert score_label(ended) == "Average-mAP over all classes"


SEVERAL = tuple(
    event
    for number, (f, score) in enumerate([(16, 0.9), (16, 0.1), (8, 0.6), (8, 0.6)], start=1)
    for event in (
        TrialAsked(trial=f"bayes-000{number}", stage="bayes", parameters={"f": f}, seed=number),
        TrialFinished(trial=f"bayes-000{number}", score=score, epoch=4, duration_s=1.0),
    )
)


def test_status_and_progress_name_the_best_by_the_mean_over_its_seeds() -> None:
    state = state_after(*SEVERAL)
    best = "0.6000 ± 0.0000 (95 %, 2 seeds) by bayes-0003 (f 8)"
    assert f"best so far: {best}" in status_lines("s", state, writer=None)
    lines = plain(state_after(), state_after(*SEVERAL[:4]), state).splitlines()
    assert (
        lines[2]
        == "[2/3] 0.1000 by bayes-0002 (f 16) in 1 s, mean 0.5000 ± 5.0825 (95 %) over 2 seeds (best so far)"
    )
    assert lines[4].endswith("mean 0.6000 ± 0.0000 (95 %) over 2 seeds (best so far)")


def test_best_of_a_grids_comparison_is_not_called_the_best_of_all() -> None:
    roles = [("grid", 0.6), ("grid", 0.5), ("start", 0.4), ("combined", 0.55)]
    ends = [
        (
            TrialAsked(trial=f"g-{number}", stage="bayes", parameters={"f": 8}, seed=number, role=role),
            TrialFinished(trial=f"g-{number}", score=score, epoch=4, duration_s=1.0),
        )
        for number, (role, score) in enumerate(roles)
    ]
    states = [state_after(*chain(*ends[:count])) for count in range(5)]
    _, *lines = plain(*states).splitlines()
    assert lines == [
        "[1/3] 0.6000 by g-0 (f 8) in 1 s (best so far)",
        "[2/3] 0.5000 by g-1 (f 8) in 1 s, mean 0.5500 ± 0.6353 (95 %) over 2 seeds (best so far)",
        "the grid is explored; new seeds now compare its result with the start, and decide",
        "[3/3] 0.4000 by start (f 8) in 1 s (best of the comparison so far)",
        "[4/3] 0.5500 by combined (f 8) in 1 s (best of the comparison so far)",
    ]
    assert plain(*states[3:]).splitlines()[1:] == lines[-1:]


def test_stage_that_needed_fewer_trials_than_it_was_allowed_is_whole() -> None:
    state = state_after(*FINISHED)
    begun = sum(trial.stage == "bayes" for trial in state.trials.values())
    state.apply(StageFinished(stage="bayes", best_trial="bayes-0001"))
    assert begun < state.stages["bayes"].trials
    assert f" of {begun} trial" in status_lines("s", state, writer=None)[1]


def test_status_lists_the_latest_failures_and_counts_the_others() -> None:
    failed = [
        event
        for number in range(1, SHOWN_FAILURES + 4)
        for event in (
            TrialAsked(trial=f"bayes-{number:04d}", stage="bayes", parameters={"f": number}, seed=0),
            TrialFailed(trial=f"bayes-{number:04d}", reason="nan"),
        )
    ]
    lines = [line for line in status_lines("s", state_after(*failed), writer=None) if "failed:" in line]
    assert len(lines) == SHOWN_FAILURES + 1
    assert lines[0] == "failed: bayes-0004: nan"
    assert lines[-1].startswith("failed: 3 earlier trials; write all to a table: hpo export ")


def test_progress_and_status_say_what_the_budget_leaves() -> None:
    state = state_after(BudgetSet(hours=2), *FINISHED)
    last = plain(state_after(), state).splitlines()[-1]
    assert last.endswith("(best so far); budget of 2 h: 2 h 00 min left, enough for all trials")
    state.apply(BudgetSet(hours=2 / 3600))
    line = "budget of 0.000555556 h: 2 s left, enough for about 1 more trial"
    assert line in status_lines("s", state, writer="process 1")


def test_study_whose_budget_is_over_says_so_and_how_to_continue() -> None:
    state = state_after(
        StageAsked(stage="bayes", settings={}),
        BudgetSet(hours=2),
        *FINISHED,
        asked("bayes-0002"),
        asked("bayes-0004"),
        TrialReported(trial="bayes-0004", epoch=2, metrics={"average_map": 0.1}, train_s=1.0),
        BudgetEnded(stage="bayes", budget="2 h"),
    )
    assert over_lines(state) == [
        "the budget of 2 h is over: 1 of 3 trials of stage bayes have ended, 1 kept at the last validation",
        "continue with: hpo resume s --hours 2",
    ]
    first, *_ = status_lines("s", state, writer=None)
    assert first == "study s: the budget of 2 h is over; continue with: hpo resume s --hours 2"


def test_budget_that_did_not_suffice_for_a_validation_is_not_offered_again() -> None:
    asked_for = StageAsked(stage="bayes", settings={})
    state = state_after(asked_for, BudgetSet(hours=2), asked("bayes-0001"))
    state.apply(BudgetEnded(stage="bayes", budget="2 h"))
    assert over_lines(state) == [
        "the budget of 2 h is over: 0 of 3 trials of stage bayes have ended",
        "continue with: hpo resume s --hours inf",
    ]


def test_budget_that_added_nothing_to_an_extended_search_is_not_offered_again() -> None:
    finished = StageFinished(stage="bayes", best_trial="bayes-0002", chosen={})
    state = state_after(StageAsked(stage="bayes", settings={}), *FINISHED, finished)
    state.apply(StageExtended(stage="bayes", settings={}, trials=4))
    state.apply(BudgetSet(hours=1e-06, at=state.updated_at + timedelta(hours=1)))
    state.apply(BudgetEnded(stage="bayes", budget="1e-06 h"))
    assert over_lines(state, "h:1")[-1] == "continue with: hpo resume s --hours inf --ray-address h:1"


def gains(*values: float) -> list[GainEstimated]:
    return [
        GainEstimated(stage="bayes", proposed=place, trials=10, gain=gain, noise=0.03)
        for place, gain in enumerate(values)
    ]


def test_status_says_what_further_trials_are_expected_to_gain() -> None:
    state = state_after(*FINISHED, *gains(0.05123))
    expected = "10 further trials are expected to gain 0.051 (noise between seeds about 0.03)"
    assert expected in status_lines("s", state, writer="process 1")


def test_stop_is_offered_once_when_gains_stay_below_the_noise() -> None:
    little = gains(*[0.002] * (UNLIKELY + 2))
    states = [state_after(*FINISHED, *little[:count]) for count in range(len(little) + 1)]
    offers = [line for line in plain(*states).splitlines() if "would stop here" in line]
    assert offers == [
        "10 further trials are expected to gain 0.002 (noise between seeds about 0.03): stop_when = "
        '"unlikely" would stop here; to do so: hpo stop s, then hpo run bayes --study s --stop-when unlikely'
    ]


def test_search_with_that_rule_gets_no_offer_and_says_why_it_ends() -> None:
    ask = StageAsked(stage="bayes", settings={"stop_when": "unlikely"})
    state = state_after(ask, *FINISHED, *gains(*[0.002] * UNLIKELY))
    assert "would stop here" not in plain(state_after(), state)
    assert early_end_lines(state) == []
    state.apply(StageFinished(stage="bayes", best_trial="bayes-0001", chosen={}))
    (line,) = early_end_lines(state)
    assert line == (
        "stage bayes ended after 1 of 3 trials: 10 further trials are expected to gain 0.002 (noise between "
        f"seeds about 0.03), in {UNLIKELY} estimates in a row less than the noise; to continue: "
        "hpo run bayes --study s --stop-when never"
    )
    assert f"note: {line}" in status_lines("s", state, writer=None)
    ended = plain(state_after(ask, *FINISHED, *gains(*[0.002] * UNLIKELY)), state)
    assert ended.count(f"note: {line}\n") == 1
    state.apply(StageExtended(stage="bayes", settings={"stop_when": "never"}, trials=3))
    assert early_end_lines(state) == []
    assert "ended after" not in plain(state)
