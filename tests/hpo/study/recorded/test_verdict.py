"""The verdict about a study: which configuration, its score with interval, and what the search gained."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
from calf_plan import calf_plan
from judged_studies import SCORES, final, played
from shown_stages import trial

from hpo.journal.events import StageAsked, StageStarted, Value
from hpo.journal.ranking import GRID
from hpo.journal.results import StudyState
from hpo.journal.trial_state import TrialStatus
from hpo.page.paper import methods_paragraph
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE
from hpo.report.trial_tables import found_record
from hpo.study.configurations.finalists import OWN
from hpo.study.recorded.verdict import Verdict, verdict

PLAN = calf_plan()


def of(state: StudyState) -> Verdict:
    found = verdict(PLAN, state)
    assert found is not None
    return found


def test_single_seeds_of_a_search_say_nothing_about_chance() -> None:
    found = of(played("bayes", [trial(1, 0.25), trial(2, 0.75)]))
    assert found.configuration == "t2" and found.gain is None
    assert found.sentence.startswith("t2 with f 6, lambda_seg 2.1 reaches Average-mAP 0.7500 on the valid")
    assert "(one seed, no interval); not compared with the study file's own configuration" in found.sentence
    assert "hpo run final --study s" in found.sentence


def test_own_configuration_is_not_compared_with_itself_in_a_search() -> None:
    searched = played("bayes", [trial(1, 0.25), trial(2, 0.75)])
    assert "not compared" in of(searched).sentence
    searched.created.plan["study"]["hyperparameters"] = {"f": 6, "lambda_seg": 2.1, "beta": 0.1}
    sentence = of(searched).sentence
    assert sentence.endswith(
        "the search has so far found nothing better than the study file's own configuration."
    )


@pytest.mark.parametrize(
    ("tested", "words"),
    [
        ((0.50, 0.52, 0.51), "the improvement is larger than seed noise explains"),
        ((0.40, 0.20, 0.51), "which seed noise alone can explain"),
        ((0.10, 0.12, 0.11), "the loss is larger than seed noise explains"),
    ],
)
def test_gain_is_judged_on_the_test_split_over_paired_seeds(tested: Sequence[float], words: str) -> None:
    trials = final(SCORES, {OWN: (0.30, 0.31, 0.30), "found": tested})
    found = of(played("final", trials, role="found"))
    assert found.score.split == "test" and found.score.mean == pytest.approx(sum(tested) / 3)
    assert "on the test split (95 %, 3 seeds)" in found.sentence and "3 paired seeds" in found.sentence
    assert words in found.sentence


@pytest.mark.parametrize(
    ("seeds", "found", "undecided"),
    [
        ("until decided", (0.30, 0.33, 0.31), True),
        ("until decided", SCORES["found"], False),
        (3, (0.3, 0.3, 0.3), False),
    ],
)
def test_final_that_ended_undecided_says_so(
    seeds: str | int, found: tuple[float, ...], undecided: bool
) -> None:
    trials = final({OWN: SCORES[OWN], "found": found}, {})
    trials = [replace(each, replicate=FIRST_COMPARISON_REPLICATE + each.replicate) for each in trials]
    state = played("final", trials, role="found")
    words = "; after 3 seeds, found and study file were still undecided, by intervals that allow for repeated"
    settings = {"seeds": seeds, "most_seeds": 3}
    asked = StageAsked(stage="final", settings={**PLAN.study.stages.named("final").model_dump(), **settings})
    assert words not in of(state).sentence
    state.asked["final"] = asked
    for text in (of(state).sentence, methods_paragraph(PLAN, state)):
        assert (words in text) == undecided


def test_without_a_test_split_the_validation_counts() -> None:
    found = of(played("final", final(SCORES, {}), role="found"))
    assert "0.4100 ± 0.0248 on the validation split (95 %, 3 seeds)" in found.sentence


def test_own_configuration_as_the_best_means_that_nothing_better_was_found() -> None:
    state = played("final", final({OWN: (0.5, 0.6), "found": (0.1, 0.2)}, {}), role=OWN)
    assert of(state).configuration == OWN
    assert "; the stage final found nothing better than the study file's own" in of(state).sentence
    state.apply(StageStarted(stage="bayes", space={}, trials=1))
    assert "; the search found nothing better than the study file's own" in of(state).sentence


def test_seed_that_was_stopped_early_says_nothing_about_the_gain() -> None:
    trials = final(SCORES, {OWN: (0.30, 0.31, 0.90), "found": (0.50, 0.52, 0.51)})
    trials[2] = replace(trials[2], status=TrialStatus.STOPPED)
    found = of(played("final", trials, role="found"))
    assert found.gain is not None and (found.gain.pairs, found.gain.mean) == (2, pytest.approx(0.205))


FULL: Mapping[str, Value] = {"f": 4, "beta": 0.5, "K1_frames.goal": -40.0}


def test_own_configuration_as_the_best_is_told_by_what_others_changed() -> None:
    trials = final({OWN: (0.5, 0.6), "found": (0.1, 0.2)}, {})
    trials = [replace(each, parameters={**FULL, **each.parameters}) for each in trials]
    assert of(played("final", trials, role=OWN)).sentence.startswith("study file with f 4 reaches Average-m")


def test_own_configuration_alone_is_told_by_what_the_search_varied() -> None:
    alone = [replace(each, parameters=FULL) for each in final({OWN: (0.5, 0.6)}, {})]
    state = played("final", alone, role=OWN)
    assert of(state).sentence.startswith("study file reaches Average-mAP")
    state.apply(StageStarted(stage="bayes", space={"f": {}, "beta": {}}, trials=1))
    assert of(state).sentence.startswith("study file with f 4, beta 0.5 reaches Average-mAP")


def test_comparison_without_the_own_configuration_is_told_by_what_it_compares() -> None:
    named = compared(0.5, 0.3, trained={**FULL, "f": 14})
    assert named.sentence.startswith("full model with f 14, beta 0.5, goal K -40 frames reaches")


def test_best_point_of_a_grid_is_told_by_what_it_moved() -> None:
    state = played("grid-slicing", [trial(1, 0.5, role=GRID, parameters=FULL)])
    state.stages["grid-slicing"] = replace(state.stages["grid-slicing"], start={**FULL, "f": 9})
    assert of(state).sentence.startswith("t1 with f 4 reaches Average-mAP")


def compared(own: float, other: float, *, trained: Mapping[str, Value]) -> Verdict:
    """The verdict about an ablation that trained these hyperparameters under the name of the full model."""
    trials = final({"full model": (own, own + 0.01), "no margins": (other, other + 0.01)}, {})
    trials = [replace(each, parameters=trained) if each.role == "full model" else each for each in trials]
    return of(played("ablation", trials, role="full model" if own > other else "no margins"))


def test_stage_that_trains_the_own_configuration_under_another_name_is_compared_with_it() -> None:
    own = PLAN.own_configuration()
    assert "2 paired seeds) against the study file's own configuration: the improvement" in (
        compared(0.3, 0.5, trained=own).sentence
    )
    assert "; the stage ablation found nothing better than the study file's own configuration." in (
        compared(0.5, 0.3, trained=own).sentence
    )


def test_final_that_would_not_train_the_best_configuration_is_not_offered() -> None:
    sentence = compared(0.3, 0.5, trained={**PLAN.own_configuration(), "f": 3}).sentence
    assert "not compared with the study file's own configuration" in sentence
    assert "hpo run final" not in sentence


def test_grid_is_judged_against_the_configuration_that_it_started_from() -> None:
    better = final({"start": (0.30, 0.31, 0.30), "combined": (0.50, 0.52, 0.51)}, {})
    found = of(played("grid-slicing", better, role="combined"))
    assert (
        "3 paired seeds) against the configuration that the grid started from: the improvement "
        in found.sentence
    )
    kept = of(played("grid-slicing", final({"start": (0.5, 0.6), "combined": (0.1, 0.2)}, {}), role="start"))
    assert kept.sentence.endswith(
        "the grid found nothing better than the configuration that the grid started from."
    )


def test_grid_that_has_not_ended_is_not_ahead_of_itself() -> None:
    begun = played("grid-slicing", [trial(1, 0.5, role=GRID), trial(2, 0.4, role=GRID)])
    assert "not compared with the study file's own configuration" in of(begun).sentence
    stage = begun.stages["grid-slicing"]
    begun.stages["grid-slicing"] = replace(stage, start=begun.trials["t1"].parameters)
    assert of(begun).sentence.endswith(
        "the grid has so far found nothing better than the configuration that the grid started from."
    )


def test_comparison_that_has_begun_is_resumed_not_asked_for_again() -> None:
    searched = played("bayes", [trial(1, 0.25), trial(2, 0.75)])
    searched.apply(StageAsked(stage="final", settings={}))
    assert "(compare with: hpo resume s)" in of(searched).sentence


def test_final_whose_own_configuration_failed_is_not_asked_for_again() -> None:
    failed = [trial(90 + seed, None, role=OWN, replicate=seed) for seed in range(3)]
    ended = played("final", [*final({"found": SCORES["found"]}, {}), *failed], role="found")
    assert "(compare with: hpo resume s --retry-failed)" in of(ended).sentence
    without = played("final", final({"found": SCORES["found"]}, {}), role="found")
    assert of(without).sentence.endswith("so chance may explain its lead.")


def test_verdict_names_the_configuration_that_best_and_json_name() -> None:
    state = played("final", final(SCORES, {}), role="found")
    record = found_record(state, score="average_map")
    assert record["found_by"]["configuration"] == of(state).configuration == "found"
    assert record["found_by"]["average_map"] == pytest.approx(of(state).score.mean)


def test_study_without_a_score_has_no_verdict() -> None:
    assert verdict(PLAN, played("bayes", [trial(1, None)])) is None
