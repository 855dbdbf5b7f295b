"""One ranking of configurations: the mean over seeds, never the luck of one."""

import math
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hpo.journal.ranking import GRID, Expected, Ranking, ranked
from hpo.journal.trial_state import TrialState, TrialStatus

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def trial(
    name: str, f: int, score: float | None, *, role: str = "", running: bool = False, replicate: int = 0
) -> TrialState:
    status = TrialStatus.FAILED if score is None else TrialStatus.FINISHED
    return TrialState(
        trial=name,
        stage="s",
        parameters={"f": f},
        seed=0,
        replicate=replicate,
        role=role,
        asked_at=NOON,
        score=score,
        status=TrialStatus.RUNNING if running else status,
    )


def names(trials: list[TrialState]) -> list[str]:
    return [configuration.name for configuration in ranked(trials)]


def names_so_far(trials: list[TrialState]) -> list[str]:
    """The order while the stage runs."""
    ranking = Ranking()
    for each in trials:
        ranking.add(each)
    return [configuration.name for configuration in ranking.best()]


def test_mean_over_seeds_decides_and_not_the_best_seed() -> None:
    trials = [trial("a1", 1, 0.9), trial("a2", 1, 0.1), trial("b1", 2, 0.6), trial("b2", 2, 0.6)]
    first, second = ranked(trials)
    assert (first.name, first.mean, first.best_trial.trial) == ("b1", 0.6, "b1")
    assert (second.name, second.mean, second.best_trial.trial) == ("a1", 0.5, "a1")


def test_a_seed_that_was_stopped_early_says_nothing_against_a_whole_one() -> None:
    stopped = replace(trial("a2", 1, 0.2), status=TrialStatus.STOPPED)
    (first, second) = ranked([trial("a1", 1, 0.6), stopped, trial("b1", 2, 0.5)])
    assert (first.name, first.mean, len(first.scores), first.stopped) == ("a1", 0.6, 1, (stopped,))
    assert second.name == "b1"
    (alone,) = ranked([stopped])
    assert alone.mean == 0.2


def test_point_that_lacks_a_seed_comes_after_those_that_have_all() -> None:
    full = [trial("a1", 1, 0.4), trial("a2", 1, 0.4)]
    assert names([*full, trial("b1", 2, 0.9), trial("b2", 2, None, running=True)]) == ["a1", "b1"]
    assert names([*full, trial("b1", 2, 0.9), trial("b2", 2, None)]) == ["a1", "b1"]


def test_named_configuration_with_a_failed_seed_comes_after_the_others() -> None:
    own = [trial("t1", 1, 0.4, role="own"), trial("t3", 1, 0.4, role="own")]
    lucky = [trial("t2", 2, 0.9, role="found"), trial("t4", 2, None, role="found")]
    assert names([*own, *lucky]) == ["own", "found"]


def test_named_configurations_are_compared_while_one_is_a_seed_ahead() -> None:
    ahead = [trial("t1", 1, 0.4, role="own"), trial("t3", 1, 0.4, role="own")]
    assert names_so_far([*ahead, trial("t2", 2, 0.9, role="found")]) == ["found", "own"]


def test_named_configuration_that_was_dropped_comes_after_the_others_whatever_its_mean() -> None:
    own = [trial(f"t{seed}", 1, 0.4, role="own") for seed in range(4)]
    failed = [
        *(trial(f"f{seed}", 3, 0.3, role="next") for seed in range(3)),
        trial("f3", 3, None, role="next"),
    ]
    dropped = [trial(f"d{seed}", 2, 0.9, role="found") for seed in range(3)]
    assert names([*dropped, *failed, *own]) == ["own", "next", "found"]
    assert names_so_far([*dropped[:2], *own]) == ["own", "found"]


def test_until_the_end_named_configurations_are_compared_over_the_seeds_that_all_have() -> None:
    def trained(f: int, role: str, *scores: float) -> list[TrialState]:
        return [
            trial(f"{role}{seed}", f, score, role=role, replicate=seed) for seed, score in enumerate(scores)
        ]

    dropped = trained(3, "dropped", 0.45, 0.45, 0.45)
    others = [*trained(1, "own", 0.5, 0.5, 0.5, 0.1), *trained(2, "found", 0.4, 0.6, 0.8, 0.1)]
    assert names_so_far([*dropped, *others]) == ["found", "own", "dropped"]
    running = trial("found4", 2, None, role="found", replicate=4, running=True)
    late = [*others, trial("own4", 1, 0.9, role="own", replicate=4), running]
    assert names_so_far([*dropped, *late]) == ["found", "own", "dropped"]


def test_points_of_a_grid_come_after_the_comparison_with_new_seeds() -> None:
    grid = [trial("t1", 1, 0.9, role=GRID), trial("t2", 2, 0.8, role=GRID)]
    assert names(grid) == ["t1", "t2"]
    assert names([*grid, trial("t3", 1, 0.5, role="start")]) == ["start", "t1", "t2"]


def test_scores_that_are_no_numbers_count_as_none() -> None:
    assert names([trial("a", 1, math.nan), trial("b", 2, None), trial("c", 3, 0.1)]) == ["c"]


def test_interval_is_that_of_student_and_a_single_seed_has_none() -> None:
    (several,) = ranked([trial("a", 1, 0.4), trial("b", 1, 0.5), trial("c", 1, 0.6)])
    assert several.half_width == pytest.approx(4.302653 * 0.1 / math.sqrt(3), rel=1e-5)
    (single,) = ranked([trial("a", 1, 0.4)])
    assert single.half_width is None


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0.1, 0.2, 0.3, None])), max_size=20))
def test_ranking_that_is_kept_in_order_equals_one_made_at_the_end(
    ends: list[tuple[int, float | None]],
) -> None:
    trials = [trial(f"t{number}", f, None, running=True) for number, (f, _) in enumerate(ends)]
    kept = Ranking()
    for each in trials:
        kept.add(each)
    for each, (_, score) in zip(reversed(trials), reversed(ends), strict=True):
        each.status = TrialStatus.FAILED if score is None else TrialStatus.FINISHED
        each.score = score
        kept.update(each)
    kept.end()
    assert kept.best() == ranked(trials)
    assert kept.best(2) == ranked(trials)[:2]


def test_expected_scores_come_before_means() -> None:
    trials = [trial("a", 1, 0.9), trial("b", 2, 0.5), trial("c", 3, 0.7)]
    ranking = Ranking()
    for each in trials:
        ranking.add(each)
    ranking.end([(trials[1], Expected(0.55, 0.02)), (trials[2], Expected(0.5, 0.02))])
    assert [(each.name, each.expected) for each in ranking.best()] == [
        ("b", Expected(0.55, 0.02)),
        ("c", Expected(0.5, 0.02)),
        ("a", None),
    ]
    assert [each.name for each in ranking.best(2)] == ["b", "c"]
    ranking.reopen()
    assert [each.name for each in ranking.best()] == ["a", "c", "b"]
