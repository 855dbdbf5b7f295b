"""A comparison trains more seeds only where they decide something."""

from collections import Counter
from collections.abc import Callable, Mapping
from statistics import fmean

import numpy as np
import pytest
from stage_play import ClassScores, asked, end, play

from hpo.journal.events import Value
from hpo.journal.roles import scores_by_role
from hpo.journal.trial_state import TrialState
from hpo.programs.deciding import LEAST_SEEDS, DecidingProgram
from hpo.programs.program import Answer
from hpo.space.space import Parameters

ENTRIES = {"own": {"f": 1}, "found": {"f": 2}, "next": {"f": 3}}
MOST = 12


def build() -> DecidingProgram:
    return DecidingProgram(ENTRIES, most_seeds=MOST, first_replicate=101)


def means(*values: float, noise: float = 0.02) -> Callable[[Mapping[str, Value], int], dict[str, float]]:
    """Scores around a mean for each entry; what a seed adds is partly the same for all."""

    def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        number = int(parameters["f"])
        common = np.random.default_rng([replicate, 7]).normal()
        own = np.random.default_rng([replicate, number]).normal()
        return {"goal": values[number - 1] + noise * float(common + own)}

    return scores


def seeds(scores: ClassScores, *, at_once: int = 1) -> Counter[str]:
    return Counter(trial.role for trial in play(build, scores, at_once=at_once))


def test_clear_differences_take_few_seeds() -> None:
    found = seeds(means(0.2, 0.6, 0.2, noise=0.002))
    assert found == {"own": LEAST_SEEDS, "found": LEAST_SEEDS, "next": LEAST_SEEDS}


def test_a_poor_entry_is_dropped_while_the_others_go_on() -> None:
    found = seeds(means(0.1, 0.5, 0.5))
    assert found["own"] < found["found"] == found["next"] == MOST


def later_seeds_are_harder(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
    """Two equal entries and one that is surely worse, with seeds that take more from all than it lacks."""
    jitter = 0.01 * float(np.random.default_rng([replicate, int(parameters["f"])]).normal())
    found = 0.5 - 0.2 * (replicate >= 101 + LEAST_SEEDS)
    return {"goal": found - 0.03 if parameters["f"] == 1 else found + (replicate > 103) * jitter}


def test_a_dropped_entry_is_not_chosen_because_its_few_seeds_were_easy() -> None:
    trials = play(build, later_seeds_are_harder)
    count, means = Counter(trial.role for trial in trials), scores_by_role(trials)
    choice = build().choice(trials)
    assert choice is not None and choice.role != "own"
    assert count["own"] == LEAST_SEEDS and count[choice.role] > LEAST_SEEDS
    assert fmean(means["own"].values()) > fmean(means[choice.role].values())


def test_entry_whose_failed_seeds_are_trained_again_wins_with_as_many_seeds_as_the_others() -> None:
    better = means(0.5, 0.5, 0.8)

    def full_disk(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if parameters["f"] == 3:
            raise ValueError("no space left")
        return better(parameters, replicate)

    trials = play(build, full_disk)
    assert Counter(trial.role for trial in trials) == {"own": MOST, "found": MOST, "next": LEAST_SEEDS}
    for trial in trials:
        if trial.score is None:
            end(trial, better)
    while isinstance(asked(build(), trials), TrialState):
        end(trials[-1], better)
    choice = build().choice(trials)
    assert choice is not None and choice.role == "next"
    assert Counter(trial.role for trial in trials) == dict.fromkeys(ENTRIES, MOST)


def test_equal_entries_end_undecided_after_the_last_seed() -> None:
    trials = play(build, means(0.5, 0.5, 0.5))
    assert Counter(trial.role for trial in trials) == dict.fromkeys(ENTRIES, MOST)
    assert sorted(build().undecided(trials)) == sorted(ENTRIES)


@pytest.mark.parametrize(("scores", "count"), [((0.1, 0.5, 0.5), 2), ((0.2, 0.6, 0.2), 0)])
def test_entries_that_were_dropped_are_not_undecided(scores: tuple[float, ...], count: int) -> None:
    assert len(build().undecided(play(build, means(*scores)))) == count


def test_last_seed_may_still_decide() -> None:
    late = {"own": (0.1, 0.2, 0.3), "found": (0.5, 0.2, 0.7)}
    entries: dict[str, Parameters] = {"own": {"f": 1}, "found": {"f": 2}}
    program = DecidingProgram(entries, most_seeds=LEAST_SEEDS, first_replicate=101)

    def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        return {"goal": late[("own", "found")[int(parameters["f"]) - 1]][replicate - 101]}

    assert len(program.undecided(play(lambda: program, scores))) == 2
    late["own"] = (0.1, 0.11, 0.1)
    late["found"] = (0.9, 0.91, 0.9)
    assert program.undecided(play(lambda: program, scores)) == ["found"]


def test_four_at_a_time_decide_as_one_at_a_time() -> None:
    scores = means(0.1, 0.5, 0.45)
    assert seeds(scores, at_once=4) == seeds(scores)


def test_running_trials_are_waited_for_before_a_decision() -> None:
    trials: list[TrialState] = []
    for _ in range(LEAST_SEEDS * len(ENTRIES)):
        asked(build(), trials)
    assert asked(build(), trials) is Answer.WAIT
    for trial in trials:
        end(trial, means(0.1, 0.5, 0.5))
    assert isinstance(asked(build(), trials), TrialState)


def test_an_entry_that_always_fails_is_dropped() -> None:
    def failing(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if parameters["f"] == 1:
            raise ValueError("diverged")
        return means(0.0, 0.5, 0.5)(parameters, replicate)

    assert seeds(failing)["own"] == LEAST_SEEDS


def test_a_true_difference_is_rarely_decided_the_wrong_way() -> None:
    wrong = 0
    for start in range(40):
        entries: dict[str, Parameters] = {"a": {"f": 1}, "b": {"f": 2}}
        program = DecidingProgram(entries, most_seeds=MOST, first_replicate=1000 * start)
        trials = play(lambda program=program: program, means(0.5, 0.51))
        counts = Counter(trial.role for trial in trials)
        best = program.choice(trials)
        wrong += counts["a"] < MOST and best is not None and best.role == "a"
    assert wrong <= 2, "5 % of 40"
