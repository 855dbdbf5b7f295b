import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from shown_stages import view

from hpo.journal.events import StageFinished, StageStarted, StudyCreated, TrialReported
from hpo.journal.ranking import Expected, ranked
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.report.stage_tables import comparison_table, stage_tables
from hpo.report.trial_tables import best_table, describe_settings, found_record, scores_line
from hpo.search.searcher import NOISE
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from hpo.tasks.calf.task import TASK

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SCORE = Score("average_map", "Average-mAP")


def trial(
    role: str, replicate: int, score: float | None, *, test: float | None = None, card: float = 0.5
) -> TrialState:
    metrics = {"average_map": score or 0.0, "ap/goal": 0.5, "ap/card": card}
    reports = {1: TrialReported(trial="t", epoch=1, metrics=metrics, train_s=1.0)}
    return TrialState(
        trial=f"{role}-{replicate}",
        stage="grid-slicing",
        parameters={"f": 16},
        seed=replicate,
        replicate=replicate,
        role=role,
        asked_at=NOON,
        status=TrialStatus.FAILED if score is None else TrialStatus.FINISHED,
        score=score,
        best_epoch=1,
        reports=reports,
        tested=None if test is None else {"average_map": test},
    )


def text_of(*tables: object) -> list[list[str]]:
    """Cells of every printed line, split where two or more blanks are."""
    output = io.StringIO()
    console = Console(file=output, width=200)
    for table in tables:
        console.print(table)
    return [
        [cell.strip() for cell in line.split("  ") if cell.strip()] for line in output.getvalue().splitlines()
    ]


def test_rows_show_mean_spread_and_paired_difference_to_the_reference() -> None:
    trials = [trial("full", 1, 0.5), trial("none", 1, 0.3), trial("full", 2, 0.7), trial("none", 2, 0.5)]
    head, full, none = text_of(
        comparison_table(trials, score=SCORE, reference="full", published={"none": 0.468})
    )
    assert head == ["configuration", "seeds", "Average-mAP", "sd", "minus 'full'", "paper: Average-mAP"]
    assert full == ["full", "2", "0.6000", "0.1414"]
    assert none == ["none", "2", "0.4000", "0.1414", "-0.2000 ± 0.0000", "0.468"]


def test_scores_on_the_test_split_have_columns_of_their_own() -> None:
    trials = [trial("own", 1, 0.5, test=0.4), trial("found", 1, 0.6, test=0.45)]
    head, own, found = text_of(comparison_table(trials, score=SCORE, reference="own", published={}))
    assert head[-3:] == ["test split", "sd", "minus 'own'"]
    assert own[-1] == "0.4000" and found[-2:] == ["0.4500", "+0.0500"]


def test_difference_has_no_column_without_another_configuration() -> None:
    alone = [trial("context-aware", seed, 0.5, test=0.4) for seed in (1, 2)]
    head, row = text_of(comparison_table(alone, score=SCORE, reference="context-aware", published={}))
    assert head == ["configuration", "seeds", "Average-mAP", "sd", "test split", "sd"]
    assert row == ["context-aware", "2", "0.5000", "0.0000", "0.4000", "0.0000"]


def test_reference_that_was_not_trained_is_replaced_by_the_first_configuration() -> None:
    trials = [trial(role, 1, score) for role, score in (("found", 0.5), ("second", 0.3))]
    table, *_ = stage_tables(view("final", trials), StagePresentation(reference="study file"), top=5)
    head, _, second = text_of(table)
    assert head[-1] == "minus 'found'" and second[-1] == "-0.2000"


def test_row_whose_trials_have_no_score_says_so() -> None:
    trials = [trial("full", 1, 0.5), trial("none", 1, None)]
    assert text_of(comparison_table(trials, score=SCORE, reference="full", published={}))[2] == [
        "none",
        "0",
        "no score",
    ]


def test_seed_that_was_stopped_early_is_in_no_column() -> None:
    stopped = replace(trial("own", 2, 0.1, test=0.0), status=TrialStatus.STOPPED)
    trials = [trial("own", 1, 0.5, test=0.4), stopped, trial("found", 1, 0.6, test=0.5)]
    _, own, found = text_of(comparison_table(trials, score=SCORE, reference="own", published={}))
    assert own == ["own", "1", "0.5000", "0.4000"]
    assert found == ["found", "1", "0.6000", "+0.1000", "0.5000", "+0.1000"]


def test_class_that_gets_worse_with_all_winners_together_is_told() -> None:
    trials = [
        trial(role, replicate, 0.5, card=0.6 - 0.3 * (role == "combined") + 0.01 * replicate)
        for replicate in (1, 2, 3)
        for role in ("start", "combined")
    ]
    tables = stage_tables(view("grid-slicing", trials), TASK.presentation("grid-slicing"), top=5)
    said = [table for table in tables if isinstance(table, str)]
    assert "interaction: card has -0.3000" in said[-1]
    assert "K1 to K4: in frames, of which 2 are one second." in said
    assert "± is the 95 % interval of the paired difference over the seeds of both" in said[0]


def test_table_of_configurations_groups_seeds_and_explains_the_interval() -> None:
    trials = [trial("a", 1, 0.9), trial("a", 2, 0.1), trial("b", 1, 0.6), trial("b", 2, 0.6)]
    configurations = ranked(trials)
    table = best_table(configurations, (), score=SCORE)
    assert [str(column.header) for column in table.columns][:3] == ["trial", "seeds", "Average-mAP"]
    assert list(table.columns[2].cells) == ["0.6000 ± 0.0000", "0.5000 ± 5.0825"]
    assert "± is the 95 % interval of the mean" in scores_line(configurations)
    assert scores_line(configurations[:0]) == "Scores: validation split, one seed per configuration."
    predicted = replace(configurations[0], expected=Expected(0.6, 0.01, 0.047))
    assert scores_line([predicted]).endswith("model of all trials predicts, with its 95 % interval.")


@pytest.mark.parametrize(
    ("noise", "words"),
    [
        (
            0.0472,
            f"a seed-to-seed noise of 0.047, which the model learnt from the search (prior: at most {NOISE})",
        ),
        (None, "the seed-to-seed noise that the model learnt from the search"),
    ],
)
def test_interval_of_single_seeds_names_the_noise_that_the_model_has_learnt(
    noise: float | None, words: str
) -> None:
    (single,) = ranked([trial("a", 1, 0.9)])
    line = scores_line([replace(single, expected=Expected(0.6, 0.01, noise))])
    assert line.endswith(f"With one seed per configuration, the interval relies on {words}.")


def test_table_says_which_trials_were_stopped_early_if_any_were() -> None:
    whole, stopped = trial("a", 1, 0.25), replace(trial("b", 1, 0.1), status=TrialStatus.STOPPED)
    head, first, second = text_of(best_table(ranked([whole, stopped]), (), score=SCORE))
    other_head, _ = text_of(best_table(ranked([whole]), (), score=SCORE))
    assert "stopped early" in head and "stopped early" not in other_head
    assert first[0] == "a" and first[-1] != "at epoch 1"
    assert second[0] == "b" and second[-1] == "at epoch 1"


def test_trial_of_a_grid_is_told_by_what_it_has_of_its_own() -> None:
    start = {"f": 16, **{f"K{n}_frames.goal": float(k) for n, k in enumerate((-4, -2, 2, 4), start=1)}}
    moved = trial("grid", 0, 0.5)
    moved.parameters = {**start, "K4_frames.goal": 9.0}
    assert describe_settings(moved, start) == "goal K -4 -2 2 9 frames"
    moved.parameters = start
    assert describe_settings(moved, start) == "start"


def test_what_an_ablation_likes_best_is_not_what_the_study_found() -> None:
    state = state_with([])
    for stage, f in (("bayes", 8), ("grid-slicing", 16), ("ablation", 32)):
        for event in (
            StageStarted(stage=stage, space={}, trials=1),
            StageFinished(stage=stage, best_trial="t", chosen={"f": f}),
        ):
            state.apply(event)
    assert found_record(state, score="average_map")["found"] == {"f": 16}


def state_with(trials: list[TrialState]) -> StudyState:
    created = StudyCreated(
        study="s", plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
    )
    started = StageStarted(stage="grid-slicing", space={}, trials=len(trials))
    state = StudyState.replay([created, started])
    state.trials = {trial.trial: trial for trial in trials}
    return state


def without_cards(role: str, replicate: int, score: float, *, test: float | None = None) -> TrialState:
    """A trial on splits without a card."""
    found = trial(role, replicate, score)
    metrics = {"average_map": score, "average_map_present": 2 * score, "ap/goal": 2 * score}
    found.reports = {1: TrialReported(trial="t", epoch=1, metrics=metrics, train_s=1.0)}
    found.tested = None if test is None else {**metrics, "average_map": test, "average_map_present": 2 * test}
    return found


def test_class_without_actions_has_a_dash_and_both_means_are_named() -> None:
    head, row = text_of(best_table(ranked([without_cards("", 1, 0.25)]), ("goal", "card"), score=TASK.score))
    assert head[1:3] == ["Average-mAP over all classes", "Average-mAP over classes present"]
    assert row[1:3] == ["0.2500", "0.5000"]
    assert row[head.index("AP goal") : head.index("AP card") + 1] == ["0.500", "-"]


def test_where_every_class_has_actions_one_mean_is_shown() -> None:
    head, row = text_of(best_table(ranked([trial("", 1, 0.25)]), ("goal", "card"), score=TASK.score))
    assert head[1:3] == ["Average-mAP", "f"] and row[1] == "0.2500"


def test_value_whose_condition_does_not_hold_is_a_dash() -> None:
    points = [{"f": 8}, {"beta": 2}]
    trials = [replace(trial("", n, 0.25), parameters=point) for n, point in enumerate(points)]
    head, *rows = text_of(best_table(ranked(trials), ("goal", "card"), score=TASK.score))
    assert head[2:4] == ["f", "beta"] and [row[2:4] for row in rows] == [["8", "-"], ["-", "2"]]


def test_study_may_maximise_the_mean_over_classes_present() -> None:
    score = TASK.score_in({"scoring": {"mean": "present"}})
    found = without_cards("", 1, 0.25)
    found.score = 0.5
    head, row = text_of(best_table(ranked([found]), ("goal", "card"), score=score))
    assert head[1:3] == ["Average-mAP over classes present", "Average-mAP over all classes"]
    assert row[1:3] == ["0.5000", "0.2500"]


def test_comparison_on_splits_that_lack_a_class_shows_both_means_of_both_splits() -> None:
    trials = [without_cards("own", 1, 0.25, test=0.2), without_cards("found", 1, 0.3, test=0.1)]
    head, own, found = text_of(
        comparison_table(trials, score=TASK.score, reference="own", published={}, classes=("goal", "card"))
    )
    assert head == [
        "configuration",
        "seeds",
        "Average-mAP over all classes",
        "sd",
        "minus 'own'",
        "Average-mAP over classes present",
        "test split over all classes",
        "sd",
        "minus 'own'",
        "test split over classes present",
    ]
    assert own == ["own", "1", "0.2500", "0.5000", "0.2000", "0.4000"]
    assert found == ["found", "1", "0.3000", "+0.0500", "0.6000", "0.1000", "-0.1000", "0.2000"]


def test_trials_of_older_studies_without_the_second_mean_are_shown() -> None:
    old = trial("", 1, 0.25)
    old.reports = {1: TrialReported(trial="t", epoch=1, metrics={"average_map": 0.25}, train_s=1.0)}
    head, row = text_of(best_table(ranked([old]), ("goal", "card"), score=TASK.score))
    assert head[1] == "Average-mAP" and row[3:5] == ["-", "-"]


def test_class_that_the_grid_cannot_judge_is_named_and_not_said_to_get_worse() -> None:
    trials = [without_cards(role, n, 0.3) for n in (1, 2) for role in ("grid", "start", "combined")]
    tables = stage_tables(view("grid-slicing", trials), TASK.presentation("grid-slicing"), top=5)
    lines = [table for table in tables if isinstance(table, str)]
    assert [line for line in lines if not line.startswith(("Scores", "K1"))] == [
        "no actions in the validation split: card",
        "card: no actions in the validation split, so that the start's zones are kept",
    ]


def test_scores_of_the_paper_stand_beside_those_of_its_data_only() -> None:
    ablation = TASK.presentation("ablation")
    loose, tight = (TASK.score_in({"scoring": {"tolerances": name}}) for name in ("loose", "tight"))
    assert ablation.on("soccernet-v1/resnet", loose).published["full model"] == 0.625
    for dataset, score in (
        ("wyscout/events", loose),
        ("soccernet-v1/resnet", tight),
        ("soccernet-v1/c3d", loose),
        ("soccernet-v2/resnet", loose),
    ):
        other = ablation.on(dataset, score)
        assert not other.published and not other.note and other.figures == ablation.figures


@pytest.mark.parametrize(
    ("dataset", "shown"),
    [("soccernet-v1/c3d", ["0.577 with c3d"]), ("soccernet-v1/own", []), ("soccernet-v2/resnet", [])],
)
def test_final_shows_the_paper_s_score_with_the_same_classes_and_features(
    dataset: str, shown: list[str]
) -> None:
    final = TASK.presentation("final").on(dataset, TASK.score)
    ran = replace(view("final", [trial("found", 1, 0.5)]), dataset=dataset)
    lines = [line for line in stage_tables(ran, final, top=5) if str(line).startswith("paper: Average-mAP")]
    assert [str(line)[19:33] for line in lines] == shown and not final.note
