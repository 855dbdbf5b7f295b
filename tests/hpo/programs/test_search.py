import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import pytest
from stage_play import play

from hpo.journal.events import Value
from hpo.journal.trial_state import TrialState, TrialStatus
from hpo.programs.program import Answer, Proposal
from hpo.programs.search import SearchProgram
from hpo.search.build import build_searcher
from hpo.search.searcher import ScoredPoint
from hpo.space.parameters import ChoiceParameter, FloatParameter
from hpo.space.space import Space

SPACE = Space([FloatParameter("beta", 0.0, 1.0)])


def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
    """Highest at beta = 0.7; one seed lies far off the others."""
    luck = 0.5 if replicate == 0 else 0.0
    return {"goal": 0.5 - (float(parameters["beta"]) - 0.7) ** 2 + luck}


def build(points: int = 4, replicates: int = 3, space: Space = SPACE) -> SearchProgram:
    return SearchProgram(
        build_searcher("random", space, seed=1), points=points, replicates=replicates, metric="average_map"
    )


def test_every_point_is_trained_with_all_its_seeds_before_the_next() -> None:
    trials = play(build, scores)
    assert [trial.replicate for trial in trials] == [0, 1, 2] * 4
    points = [trial.parameters["beta"] for trial in trials]
    assert [points[i : i + 3].count(points[i]) for i in range(0, 12, 3)] == [3] * 4
    assert len(set(points)) == 4


def test_score_of_a_point_is_the_mean_over_its_seeds() -> None:
    trials = play(build, scores)
    choice = build().choice(trials)
    best = min(trials, key=lambda trial: abs(float(trial.parameters["beta"]) - 0.7))
    assert choice is not None and choice.parameters == best.parameters
    expected = sum(float(t.score or 0) for t in trials if t.parameters == best.parameters) / 3
    assert choice.score == pytest.approx(expected)


def test_points_are_the_same_whether_or_not_seeds_are_repeated() -> None:
    single = play(lambda: build(replicates=1), scores)
    repeated = play(build, scores)
    assert [t.parameters for t in single] == [t.parameters for t in repeated[::3]]


def test_small_space_ends_when_every_point_was_tried() -> None:
    space = Space([ChoiceParameter("beta", (0.1, 0.9))])
    trials = play(lambda: build(points=9, replicates=2, space=space), scores)
    assert [t.parameters["beta"] for t in trials].count(0.1) == 2 and len(trials) == 4


def test_points_that_are_known_leave_fewer_to_try_and_the_search_ends() -> None:
    space = Space([ChoiceParameter("beta", (0.1, 0.3, 0.5, 0.9))])
    known = [ScoredPoint({"beta": 0.3}, 0.4), ScoredPoint({"beta": 0.5}, 0.4, is_related=True)]

    def program() -> SearchProgram:
        searcher = build_searcher("random", space, seed=1, known=known)
        return SearchProgram(searcher, points=4, metric="average_map")

    trials = play(program, scores)
    assert sorted(float(trial.parameters["beta"]) for trial in trials) == [0.1, 0.5, 0.9]
    assert program().planned == 3 and program().is_done(trials)


def test_search_without_another_point_has_ended_though_its_space_is_continuous() -> None:
    space = Space([FloatParameter("beta", 0.5, math.nextafter(0.5, 1.0))])
    trials = play(lambda: build(points=3, replicates=1, space=space), scores)
    program = build(points=3, replicates=1, space=space)
    assert len(trials) == 2 and not program.is_done(trials)
    assert program.next(trials) is Answer.DONE and program.is_done(trials)


def test_point_whose_seeds_all_fail_counts_as_failed_and_the_search_goes_on() -> None:
    def fragile(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if float(parameters["beta"]) > 0.5:
            raise ValueError("diverged")
        return scores(parameters, replicate)

    trials = play(build, fragile)
    choice = build().choice(trials)
    assert len(trials) == 12 and choice is not None
    assert float(choice.parameters["beta"]) <= 0.5


def test_point_that_was_stopped_early_is_chosen_if_its_score_is_the_highest() -> None:
    trials = play(lambda: build(replicates=1), scores)
    best = max(trials, key=lambda trial: float(trial.score or 0))
    best.status = TrialStatus.STOPPED
    choice = build(replicates=1).choice(trials)
    assert choice is not None and (choice.parameters, choice.best_trial) == (best.parameters, best.trial)


def test_results_that_came_in_another_order_are_told_once_they_are_there() -> None:
    trials = play(lambda: build(replicates=1), scores)[:3]
    searcher = build_searcher("random", SPACE, seed=1)
    program = SearchProgram(searcher, points=9, metric="average_map")
    trials[0].status, score, trials[0].score = TrialStatus.RUNNING, trials[0].score, None
    program.next(trials)
    assert [trial.score for trial in searcher.trials.values()][:3] == [None, trials[1].score, trials[2].score]
    trials[0].status, trials[0].score = TrialStatus.FINISHED, score
    searcher.trials.popitem()  # the proposal, of which no trial was made
    program.next(trials)
    assert [trial.score for trial in searcher.trials.values()][:3] == [trial.score for trial in trials]


def test_searcher_is_told_what_a_stopped_point_reached() -> None:
    trials = play(lambda: build(replicates=1), scores)[:3]
    trials[1].status = TrialStatus.STOPPED
    searcher = build_searcher("random", SPACE, seed=1)
    SearchProgram(searcher, points=4, metric="average_map").next(trials)
    told = [trial.score for trial in searcher.trials.values()]
    assert told == [trial.score for trial in trials] + [None]


def test_point_that_was_stopped_before_its_first_validation_is_neither_poor_nor_tried_again() -> None:
    trials = play(lambda: build(replicates=2), scores)[:6]
    for trial, status in ((trials[2], TrialStatus.STOPPED), (trials[4], TrialStatus.FAILED)):
        trial.status, trial.score = status, None
    trials[3].status, trials[3].score = TrialStatus.STOPPED, None
    trials[5].status, trials[5].score = TrialStatus.STOPPED, None
    searcher = build_searcher("random", SPACE, seed=1)
    proposal = SearchProgram(searcher, points=9, replicates=2, metric="average_map").next(trials)
    endings = [(trial.failed, trial.abandoned) for trial in searcher.trials.values()]
    assert endings[1:3] == [(False, True), (True, False)], "a failure of any seed counts"
    assert isinstance(proposal, Proposal)
    assert proposal.parameters not in [trial.parameters for trial in trials]


def test_nothing_finished_is_no_choice() -> None:
    def failing(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        raise ValueError("diverged")

    trials: list[TrialState] = play(build, failing)
    assert build().choice(trials) is None


def test_gain_is_estimated_before_a_new_point_and_not_between_its_seeds() -> None:
    def program() -> SearchProgram:
        return SearchProgram(
            build_searcher("bayes-opt", SPACE, seed=1), points=8, replicates=2, metric="average_map"
        )

    trials = play(program, scores)
    estimated = [program().expected_gain(trials[:count]) is not None for count in range(len(trials) + 1)]
    assert [count for count, has in enumerate(estimated) if has] == [10, 12, 14]


def test_search_without_a_model_estimates_no_gain() -> None:
    trials = play(build, scores)
    assert build().expected_gain(trials[:9]) is None


def racing(points: int = 12) -> SearchProgram:
    searcher = build_searcher("random", SPACE, seed=1)
    return SearchProgram(searcher, points=points, replicates=3, metric="average_map", race=3)


def test_in_a_race_the_best_of_three_points_get_another_seed() -> None:
    trials = play(racing, scores)
    seeds = Counter(trial.parameters["beta"] for trial in trials)
    near = sorted(seeds, key=lambda beta: abs(float(beta) - 0.7))
    again = [beta for beta in near if seeds[beta] > 1]
    assert len(seeds) == 12 and 4 <= len(again) <= 6, (
        "a third, and those that were among the best for a while"
    )
    assert again[:4] == near[:4] and seeds[near[0]] == 3
    assert [trial.replicate for trial in trials if trial.parameters["beta"] == near[0]] == [0, 1, 2]


def test_in_a_race_running_trials_decide_about_more_seeds() -> None:
    trials = play(racing, scores, at_once=4)
    assert len({trial.parameters["beta"] for trial in trials}) == 12
    running = trials[-1]
    running.status, running.score = TrialStatus.RUNNING, None
    assert racing().next(trials) is Answer.WAIT and not racing().is_done(trials)
    running.status, running.score = TrialStatus.FINISHED, 0.0
    assert racing().next(trials) is Answer.DONE and racing().is_done(trials)


def test_in_a_race_a_stopped_point_gets_no_other_seed() -> None:
    trials = play(lambda: racing(3), scores)[:3]
    best = max(trials, key=lambda trial: float(trial.score or 0))
    best.status = TrialStatus.STOPPED
    proposal = racing(3).next(trials)
    assert proposal is Answer.DONE


def test_in_a_race_a_point_keeps_its_score_until_another_seed_is_whole() -> None:
    trials = play(racing, scores)
    again = next(trial for trial in trials if trial.replicate == 1)
    trials = trials[: trials.index(again)]
    place = [trial.parameters for trial in trials].index(again.parameters)
    alone = float(trials[place].score or 0)
    for score, status, told in (
        (None, TrialStatus.RUNNING, alone),
        (0.2, TrialStatus.STOPPED, alone),
        (0.5, TrialStatus.FINISHED, (alone + 0.5) / 2),
    ):
        searcher = build_searcher("random", SPACE, seed=1)  # as after a resume: it has heard of no trial
        program = SearchProgram(searcher, points=12, replicates=3, metric="average_map", race=3)
        program.next([*trials, replace(again, status=status, score=score)])
        assert searcher.trials[f"point-{place + 1}"].score == told


def test_search_that_goes_on_without_a_race_keeps_what_the_race_has_shown() -> None:
    trials = play(racing, scores)
    first = {trial.parameters["beta"]: trial.score for trial in trials if trial.replicate == 0}
    searcher = build_searcher("random", SPACE, seed=1)
    program = SearchProgram(searcher, points=14, replicates=3, metric="average_map")
    while isinstance(proposal := program.next(trials), Proposal) and proposal.replicate:
        trials.append(replace(trials[-1], parameters=proposal.parameters, replicate=proposal.replicate))
    assert isinstance(proposal, Proposal) and proposal.parameters["beta"] not in first
    assert [trial.score is not None for trial in searcher.trials.values()] == [True] * 12 + [False]


def lucky(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
    """Highest around beta = 0.7, with noise; a point near 0.2 has luck."""
    beta = float(parameters["beta"])
    noise = 0.03 * math.sin(1000 * beta) + 0.12 * (abs(beta - 0.2) < 0.03)
    return {"goal": 0.3 - 0.3 * (beta - 0.7) ** 2 + noise}


def test_the_highest_expected_score_is_chosen_and_not_a_lucky_one() -> None:
    def program() -> SearchProgram:
        return SearchProgram(build_searcher("random", SPACE, seed=1), points=24, metric="average_map")

    trials = play(program, lucky)
    highest = max(trials, key=lambda trial: float(trial.score or 0))
    assert abs(float(highest.parameters["beta"]) - 0.2) < 0.03, "no point had luck"
    choice = program().choice(trials)
    assert choice is not None and abs(float(choice.parameters["beta"]) - 0.7) < 0.2
    assert next(iter(choice.expected)) == choice.role == choice.best_trial
    means = [expected.mean for expected in choice.expected.values()]
    assert means == sorted(means, reverse=True) and len(means) == len(trials) == 24


def test_a_point_that_was_stopped_is_not_chosen_by_the_model() -> None:
    trials = play(lambda: build(points=8, replicates=1), scores)
    best = max(trials, key=lambda trial: float(trial.score or 0))
    best.status = TrialStatus.STOPPED
    choice = build(points=8, replicates=1).choice(trials)
    assert choice is not None and choice.best_trial != best.trial and best.trial not in choice.expected


def test_searcher_that_learns_from_curves_sees_stopped_and_running_trials() -> None:
    trials = play(lambda: build(points=6, replicates=1), scores)
    for trial in trials:
        trial.reports[2] = replace(trial.reports[1], epoch=2, metrics={"average_map": trial.score or 0.0})
        trial.reports[1] = replace(trial.reports[1], metrics={"average_map": (trial.score or 0.0) / 2})
    for trial, status in ((trials[4], TrialStatus.STOPPED), (trials[5], TrialStatus.RUNNING)):
        del trial.reports[2]
        trial.status, trial.score = status, None if status is TrialStatus.RUNNING else 0.1
    searcher = build_searcher("botorch", SPACE, seed=1)
    SearchProgram(searcher, points=9, metric="average_map").next(trials)
    curves = [curve for trial in list(searcher.trials.values())[:6] for curve in trial.curves]
    assert [curve.end for curve in curves] == [trial.score for trial in trials[:4]] + [None, None]
    assert [len(curve.scores) for curve in curves] == [2, 2, 2, 2, 1, 1]
    assert [curve.is_stopped for curve in curves] == [False] * 4 + [True, False]
