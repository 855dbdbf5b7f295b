"""What a study prints at its end, and ``hpo best`` later."""

from pathlib import Path

import pytest
import typer
from calf_plan import calf_plan

from hpo.cli.running import finish, next_steps, show_stages
from hpo.journal.events import (
    BudgetEnded,
    Event,
    StageAsked,
    StageFinished,
    StageStarted,
    StudyCreated,
    StudyInterrupted,
    TrialAsked,
    TrialFailed,
    TrialFinished,
    TrialStopped,
)
from hpo.journal.results import StudyState
from hpo.study.plan import StudyPlan
from hpo.study.running.pending_stages import ALL_FAIL, SessionEnd
from hpo.study.running.preparing import creation
from hpo.tasks.base.splits import SplitRef
from hpo.tasks.calf.task import CalfTask
from hpo.tracking.follower import FollowerReport


def after(*stages: str) -> StudyState:
    created = StudyCreated(
        study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
    )
    state = StudyState.replay([created])
    for stage in stages:
        state.apply(StageAsked(stage=stage, settings={}))
        state.apply(StageStarted(stage=stage, space={}, trials=1))
        state.apply(TrialAsked(trial=f"{stage}-0001", stage=stage, parameters={"f": 8}, seed=0, role="found"))
        state.apply(TrialFinished(trial=f"{stage}-0001", score=0.5, epoch=1, duration_s=1.0))
    return state


@pytest.mark.parametrize(
    ("stages", "expected"),
    [
        (("bayes",), ["grid-slicing", "final"]),
        (("bayes", "grid-slicing"), ["final"]),
        (("grid-slicing",), ["final"]),
        (("bayes", "ablation"), ["grid-slicing", "final"]),
    ],
)
def test_next_stages_of_the_procedure_are_offered(stages: tuple[str, ...], expected: list[str]) -> None:
    steps = next_steps(after(*stages), calf_plan(), Path("/runs/studies/my study"))
    assert steps == [f"hpo run {stage} --study 'my study'" for stage in expected]


def test_stage_that_waits_for_its_turn_is_not_offered() -> None:
    state = after("bayes")
    state.apply(StageAsked(stage="grid-slicing", settings={}))
    steps = next_steps(state, calf_plan(), Path("/runs/studies/s"))
    assert steps == ["hpo run final --study s"]


def test_next_stage_of_a_study_on_a_cluster_trains_there_too() -> None:
    steps = next_steps(after("bayes"), calf_plan(), Path("/runs/studies/s"), "head:6379")
    stages = ("grid-slicing", "final")
    assert steps == [f"hpo run {stage} --study s --ray-address head:6379" for stage in stages]


@pytest.mark.parametrize("stages", [("bayes", "final"), ("bayes", "grid-slicing", "final"), ("final",)])
def test_after_a_final_report_and_use_are_offered_and_no_search(
    stages: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def use(task: CalfTask, network: Path, place: str, valid: SplitRef) -> list[str]:
        return [f"hpo spot --weights {network} --game {place}/game"]

    monkeypatch.setattr(CalfTask, "use_of_network", use)
    network = Path("/runs/studies/s/trials/final-0001/best.pt")
    assert next_steps(after(*stages), calf_plan(), Path("/runs/studies/s")) == [
        "hpo report s",
        f"hpo spot --weights {network} --game /data/game",
    ]


def test_after_a_final_whose_data_are_gone_only_the_report_is_offered() -> None:
    assert next_steps(after("final"), calf_plan(), Path("/runs/studies/s")) == ["hpo report s"]


def test_results_end_with_the_command_beyond_the_edge_of_the_space(
    small_plan: StudyPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = small_plan.study.stages.named("bayes").model_dump(mode="json")
    space = small_plan.task.varied(small_plan.study, "bayes", small_plan.shape)
    state = StudyState.replay(
        [
            creation(small_plan, Path("mine")),
            StageAsked(stage="bayes", settings=settings),
            StageStarted(stage="bayes", space=space, trials=2, epochs=2),
            *(
                event
                for number in range(5, 10)
                for event in (
                    TrialAsked(trial=f"bayes-{number:04}", stage="bayes", parameters={"f": number}, seed=4),
                    TrialFinished(trial=f"bayes-{number:04}", score=number / 20, epoch=2, duration_s=1.0),
                )
            ),
        ]
    )
    show_stages(state, small_plan, tmp_path, cluster="head:6379")
    *_, sentence, edge, command = capsys.readouterr().out.splitlines()
    assert sentence.endswith("(compare with: hpo run final --study mine --ray-address head:6379).")
    assert [edge, command] == [
        "edge of the space: the best f, 9, is within 5 % of the upper bound 9",
        "to search beyond it: hpo run bayes --study mine --space f=2..10 --ray-address head:6379",
    ]


INT = {"type": "int", "low": 2, "high": 99, "log": False}


def ended(plan: StudyPlan, *events: Event, ran: list[str] | None = None) -> SessionEnd:
    state = StudyState.replay(
        [
            creation(plan, Path("mine")),
            StageAsked(stage="bayes", settings={}),
            StageStarted(stage="bayes", space={"f": INT}, trials=2, epochs=2),
            TrialAsked(trial="bayes-0001", stage="bayes", parameters={"f": 9}, seed=4),
            *events,
        ]
    )
    sent = FollowerReport(events_left=0, failure=None, refused=())
    return SessionEnd(state, tracking=sent, ran=list(state.asked) if ran is None else ran)


OVER = BudgetEnded(stage="bayes", budget="2 h")


def test_study_whose_budget_is_over_shows_its_results_and_ends_well(
    small_plan: StudyPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score = TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=1.0)
    finish(ended(small_plan, score, OVER), small_plan, tmp_path)
    output = capsys.readouterr()
    assert "bayes-0001" in output.out and "hpo run grid-slicing" in output.err


@pytest.mark.parametrize(("events", "code"), [((OVER,), 1), ((), 130)])
def test_exit_codes_of_a_budget_without_a_result_and_of_an_interruption(
    events: tuple[Event, ...], code: int, small_plan: StudyPlan, tmp_path: Path
) -> None:
    with pytest.raises(typer.Exit) as end:
        finish(ended(small_plan, *events), small_plan, tmp_path)
    assert end.value.exit_code == code


FAILED = TrialFailed(trial="bayes-0001", reason="DivergedError: nan")
STOPPED = TrialStopped(trial="bayes-0001", score=None, epoch=None, duration_s=1.0)
ENDED = StageFinished(stage="bayes", best_trial="")


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (
            (FAILED, StudyInterrupted(reason=ALL_FAIL)),
            "stopped: 1 trial failed, all for the same reason: ",
        ),
        ((FAILED, ENDED), "no trial of stage bayes has a score; the first failure: DivergedError: nan"),
        ((STOPPED, ENDED), "no trial of stage bayes has a score"),
    ],
)
def test_study_without_a_score_says_why_and_how_to_continue(
    events: tuple[Event, ...],
    said: str,
    small_plan: StudyPlan,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(typer.Exit) as end:
        finish(ended(small_plan, *events), small_plan, tmp_path, "head:6379")
    output = capsys.readouterr().err
    assert end.value.exit_code == 1 and output.splitlines()[0].startswith(said)
    assert ("--retry-failed --ray-address head:6379" in output) == (FAILED in events)


FINAL = (
    TrialFinished(trial="bayes-0001", score=0.5, epoch=2, duration_s=1.0),
    StageFinished(stage="bayes", best_trial="bayes-0001", chosen={"f": 9}),
    StageAsked(stage="final", settings={}),
    StageStarted(stage="final", space={}, trials=1, epochs=2),
    TrialAsked(trial="final-0001", stage="final", parameters={"f": 9}, seed=5),
    TrialFailed(trial="final-0001", reason="OSError: no such file"),
    StageFinished(stage="final", best_trial=""),
)
"""A search with a score, then a final without one."""


@pytest.mark.parametrize("ran", [["bayes", "final"], ["final"], []])
def test_stage_whose_trials_all_failed_is_no_result_though_the_search_has_one(
    ran: list[str], small_plan: StudyPlan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as end:
        finish(ended(small_plan, *FINAL, ran=ran), small_plan, tmp_path)
    assert end.value.exit_code == 1 and not list(tmp_path.iterdir())
    first, last = capsys.readouterr().err.splitlines()
    assert first == "no trial of stage final has a score; the first failure: OSError: no such file"
    assert last.endswith("--retry-failed")


def test_session_of_another_stage_is_no_failure_beside_one_whose_trials_failed(small_plan: StudyPlan) -> None:
    assert ended(small_plan, *FINAL, ran=["bayes"]).without_score == []
