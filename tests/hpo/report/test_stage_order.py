import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from hpo.journal.events import (
    BudgetEnded,
    StageAsked,
    StageExtended,
    StageFinished,
    StageRetried,
    StageStarted,
    StudyCreated,
    TrialAsked,
)
from hpo.journal.results import StudyState
from hpo.report.catalogue_tables import trial_lines
from hpo.report.live import Display
from hpo.report.stage_order import outdated_lines, unfinished_lines
from hpo.report.trial_tables import status_lines

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
FORMER = "started from bayes-0001, which was the best of stage bayes then"


def chosen(best: str, f: int, *, stage: str = "bayes") -> StageFinished:
    return StageFinished(at=NOON, stage=stage, best_trial=best, chosen={"f": f})


def extended_study(*later: str, own: dict[str, int] | None = None) -> StudyState:
    """A search with a choice, the stages after it, and then more trials of the search.

    Args:
        later: Names of the stages after the search.
        own: Stage -> ``f`` of the configuration that was named with its request (``--from``).
    """
    own, f = own or {}, 16
    created = StudyCreated(
        study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
    )
    state = StudyState.replay([created])
    for name in ("bayes", *later):
        f = own.get(name, f)
        state.apply(StageAsked(stage=name, settings={}, start={"f": f} if name in own else {}))
        start = {} if name == "bayes" else {"f": f}
        state.apply(StageStarted(stage=name, space={}, trials=2, epochs=4, start=start))
        state.apply(TrialAsked(trial=f"{name}-0001", stage=name, parameters={"f": f}, seed=0))
        state.apply(chosen(f"{name}-0001", f, stage=name))
    state.apply(StageExtended(stage="bayes", settings={}, trials=9))
    return state


def test_stages_are_named_while_their_search_gets_more_trials() -> None:
    state = extended_study("grid-slicing")
    assert outdated_lines(state) == [f"stage grid-slicing {FORMER}; this search gets more trials now"]


def test_stages_are_named_with_the_commands_that_run_them_anew() -> None:
    state = extended_study("grid-slicing", "final")
    state.apply(chosen("bayes-0007", 8))
    expected = [
        f"stage grid-slicing {FORMER}; now it is bayes-0007",
        f"stage final {FORMER}; now it is bayes-0007",
        "to run them anew: hpo run grid-slicing --from s/bayes-0007 --study NEW, then "
        "hpo run final --study NEW",
    ]
    assert outdated_lines(state) == expected
    assert status_lines("s", state, writer=None)[-3:] == expected
    shown = trial_lines(state.trials["final-0001"], state, {}, is_running=False)
    assert "status      waiting to be resumed" in shown
    now = trial_lines(state.trials["final-0001"], state, {}, is_running=True)
    assert "status      asked" in now
    assert f"note        {expected[1]}" in shown
    searched = trial_lines(state.trials["bayes-0001"], state, {}, is_running=False)
    assert not any("started from" in line for line in searched)


@pytest.mark.parametrize("later", [(), ("final",)])
def test_stages_whose_search_chose_the_same_again_are_not_outdated(later: tuple[str, ...]) -> None:
    state = extended_study(*later)
    state.apply(chosen("bayes-0001", 16))
    assert outdated_lines(state) == []


def test_stages_that_rest_on_another_configuration_than_that_of_the_search_are_not_outdated() -> None:
    state = extended_study("grid-slicing", "ablation", own={"grid-slicing": 9})
    assert outdated_lines(state) == []
    state.apply(chosen("bayes-0007", 8))
    assert outdated_lines(state) == []


def test_stage_after_a_new_choice_of_the_search_is_outdated_only_by_the_stage_that_it_rests_on() -> None:
    state = extended_study("grid-slicing")
    state.apply(chosen("bayes-0007", 8))
    state.apply(StageAsked(stage="ablation", settings={}))
    state.apply(StageStarted(stage="ablation", space={}, trials=2, start={"f": 16}))
    assert outdated_lines(state)[:-1] == [f"stage grid-slicing {FORMER}; now it is bayes-0007"]
    state.apply(StageRetried(stage="grid-slicing"))
    state.apply(chosen("grid-slicing-0002", 4, stage="grid-slicing"))
    assert outdated_lines(state, "head:6379")[-1].count(" --ray-address head:6379") == 2
    assert outdated_lines(state)[1] == (
        "stage ablation started from grid-slicing-0001, which was the best of stage grid-slicing then; "
        "now it is grid-slicing-0002"
    )


def test_retry_of_a_stage_that_only_compares_makes_no_other_stage_outdated() -> None:
    state = extended_study("ablation", "final")
    state.apply(chosen("bayes-0001", 16))
    state.apply(StageRetried(stage="ablation"))
    assert outdated_lines(state) == []


def test_stage_that_has_trained_the_new_choice_too_is_not_outdated() -> None:
    state = extended_study("final")
    state.apply(TrialAsked(trial="final-0002", stage="final", parameters={"f": 8}, seed=0))
    state.apply(chosen("bayes-0007", 8))
    assert outdated_lines(state) == []


def test_progress_shows_the_search_that_gets_more_trials_and_not_the_stage_after_it() -> None:
    output = io.StringIO()
    Display(Console(file=output, width=200)).update(extended_study("final"))
    assert output.getvalue().splitlines() == [
        "stage bayes: 9 trials at most, 4 epochs each",
        f"note: stage final {FORMER}; this search gets more trials now",
    ]


def test_unfinished_stages_are_named_before_a_later_one_starts() -> None:
    state = extended_study("grid-slicing")
    state.apply(StageAsked(stage="ablation", settings={}))
    assert unfinished_lines(state, "final") == [
        "stage bayes is not finished and continues first: 0 of at most 9 trials have ended",
        "stage ablation is not finished and continues first",
    ]
    # Another one of the same name is refused.
    assert not any("stage bayes" in line for line in unfinished_lines(state, "bayes"))
    state.apply(BudgetEnded(stage="bayes", budget="2 h", suffices=True))
    assert unfinished_lines(state, "final") == ["stage ablation is not finished and continues first"]
