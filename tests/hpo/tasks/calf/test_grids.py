from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from stage_play import asked, end, play
from stores import small_store

from hpo.config.stages import FinalStage
from hpo.journal.events import Value
from hpo.journal.trial_state import TrialState
from hpo.programs.grid import ConfigurationExplorer, Explorer, GridProgram
from hpo.programs.listed import FIRST_COMPARISON_REPLICATE, FIRST_CONFIRMATION_REPLICATE
from hpo.programs.program import Answer, Proposal
from hpo.space.space import Parameters
from hpo.tasks.base.registry import parse_study
from hpo.tasks.base.splits import SplitRef
from hpo.tasks.base.task import StageContext
from hpo.tasks.calf.explorers import (
    ClassParallel,
    PerClass,
    Points,
    joint_configurations,
    shared_configurations,
)
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.stages import ClassGrid
from hpo.tasks.calf.task import TASK
from hpo.tasks.calf.zones import grid_points, symmetric_points, zone_parameters, zones_of
from model.errors import ConfigError
from model.timeline import FrameRate

RATE = FrameRate(2.0)
FIRST = FIRST_CONFIRMATION_REPLICATE
SEARCH = {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 1, "high": 2}}}}
BEST = {"goal": (-40.0, -20.0, 120.0, 180.0), "card": (-40.0, -10.0, 20.0, 40.0)}
GRID = ClassGrid(K1_s=(-40, -20), K2_s=(-10, -5), K3_s=(5, 10, 60), K4_s=(20, 90))
POINTS: Points = dict.fromkeys(BEST, grid_points(GRID, RATE))
START: Parameters = {
    "f": 16,
    **zone_parameters("goal", (-80.0, -10.0, 10.0, 40.0)),
    **zone_parameters("card", (-80.0, -20.0, 120.0, 180.0)),
}


def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
    """AP falls with the distance of a class's zones from the best ones; seeds move it by less than a step."""
    found = {}
    for name, best in BEST.items():
        distance = sum(
            abs(ours - wanted) for ours, wanted in zip(zones_of(parameters, name), best, strict=True)
        )
        found[name] = 1.0 / (1.0 + distance) + 1e-6 * replicate
    return found


def program(explorer: Callable[[], Explorer], seeds: int = 2) -> Callable[[], GridProgram]:
    return lambda: GridProgram(explorer(), START, seeds=seeds)


EXPLORERS: dict[str, Callable[[], Explorer]] = {
    "class-parallel": lambda: ClassParallel(POINTS, START, seed=3),
    "per-class": lambda: PerClass(POINTS, START),
    "joint": lambda: ConfigurationExplorer(joint_configurations(POINTS, START), START),
}
GRID = {"K1_s": [-40, -20], "K2_s": [-10], "K3_s": [5], "K4_s": [20]}
REPLICATED: dict[str, Callable[[], Explorer]] = {
    "class-parallel": lambda: ClassParallel(POINTS, START, seed=3, replicates=3),
    "per-class": lambda: PerClass(POINTS, START, replicates=3),
    "joint": lambda: ConfigurationExplorer(joint_configurations(POINTS, START), START, replicates=3),
}


def test_points_keep_the_order_and_stand_once_when_equal_in_frames() -> None:
    grid = ClassGrid(K1_s=(-10, -5), K2_s=(-5, -5.1), K3_s=(5,), K4_s=(10, 5, 4))
    assert grid_points(grid, RATE) == [(-20.0, -10.0, 10.0, 20.0)]


def test_grid_without_a_point_in_frames_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"expected a point of the grid .* at 2 frames per second, got none"
    ):
        grid_points(ClassGrid(K1_s=(-0.3,), K2_s=(-0.2,), K3_s=(5,), K4_s=(10,)), RATE)


def test_symmetric_points_have_the_paper_s_proportions() -> None:
    assert symmetric_points((2.5, 10, 10.1), RATE) == [(-10.0, -5.0, 5.0, 10.0), (-40.0, -20.0, 20.0, 40.0)]


def test_more_combinations_of_all_classes_than_fit_into_memory_are_refused_before_they_are_built() -> None:
    points = {f"class {number}": grid_points(ClassGrid(), RATE) for number in range(17)}
    with pytest.raises(ConfigError, match=r"(?s)at most 10,000 combinations .*--mode class-parallel"):
        joint_configurations(points, START)


@pytest.mark.parametrize("mode", EXPLORERS)
@pytest.mark.parametrize("at_once", [1, 3])
def test_best_zones_of_every_class_are_found_confirmed_and_kept(mode: str, at_once: int) -> None:
    build = program(EXPLORERS[mode])
    trials = play(build, scores, at_once=at_once)
    choice = build().choice(trials)
    assert choice is not None and choice.role == "combined"
    assert {name: zones_of(choice.parameters, name) for name in BEST} == BEST
    assert choice.parameters["f"] == 16
    assert len(trials) <= build().planned


@pytest.mark.parametrize("mode", EXPLORERS)
def test_no_point_is_explored_twice_and_confirmation_uses_other_seeds(mode: str) -> None:
    trials = play(program(EXPLORERS[mode]), scores, at_once=2)
    explored = [tuple(sorted(trial.parameters.items())) for trial in trials if trial.role == "grid"]
    assert len(explored) == len(set(explored))
    assert {trial.replicate for trial in trials if trial.role == "grid"} == {0}
    confirmed = [(trial.role, trial.replicate) for trial in trials if trial.role != "grid"]
    assert confirmed == [(role, FIRST + seed) for seed in range(2) for role in ("start", "combined")]


def test_confirmation_shares_no_seed_with_a_search_or_a_final_that_chose_the_start() -> None:
    most_of_a_final = FinalStage().most_seeds
    assert FIRST_CONFIRMATION_REPLICATE >= FIRST_COMPARISON_REPLICATE + most_of_a_final


def test_confirmation_that_an_earlier_version_began_continues_with_its_seeds() -> None:
    build = program(EXPLORERS["joint"], seeds=3)
    trials = play(build, scores)
    earlier = [trial for trial in trials if trial.replicate <= FIRST + 1]
    for trial in earlier:
        trial.replicate -= (FIRST - 1) * (trial.role != "grid")
    assert build().next(earlier) == Proposal(parameters=START, replicate=3, role="start")


@pytest.mark.parametrize("mode", ["per-class", "joint"])
def test_points_are_judged_by_their_mean_over_replicates(mode: str) -> None:
    def lucky(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        """The first seed gives points beside the best ones a score they do not deserve."""
        found = scores(parameters, replicate)
        for name, best in BEST.items():
            if zones_of(parameters, name) != best and replicate == 0:
                found[name] += 1.0
        return found

    alone, build = program(EXPLORERS[mode]), program(REPLICATED[mode])
    misled = alone().choice(play(alone, lucky))
    assert misled is None or any(zones_of(misled.parameters, name) != BEST[name] for name in BEST)
    trials = play(build, lucky, at_once=2)
    choice = build().choice(trials)
    assert choice is not None
    assert {name: zones_of(choice.parameters, name) for name in BEST} == BEST
    assert len(trials) <= build().planned


@pytest.mark.parametrize("at_once", [1, 4])
def test_class_parallel_spends_its_replicates_on_the_better_half_of_each_class(at_once: int) -> None:
    build = program(REPLICATED["class-parallel"])
    trials = play(build, scores, at_once=at_once)
    explored = [trial for trial in trials if trial.role == "grid"]
    for name in BEST:
        seeds = Counter(zones_of(trial.parameters, name) for trial in explored)
        assert seeds[BEST[name]] == max(seeds.values()) >= 1 + 2 + 3
        assert min(seeds.values()) == 1
    asked = {(*sorted(trial.parameters.items()), trial.replicate) for trial in explored}
    assert len(asked) == len(explored) <= 3 * len(POINTS["goal"])
    confirming = {trial.replicate for trial in trials if trial.role != "grid"}
    assert min(confirming) > max(trial.replicate for trial in explored)


@pytest.mark.parametrize("points", [19, 20])
def test_class_parallel_doubles_the_seeds_of_half_of_an_odd_number_of_points_too(points: int) -> None:
    own = zones_of(START, "goal")
    grid = {"goal": [own, *(zones for zones in POINTS["goal"] if zones != own)][:points]}
    explorer = lambda: ClassParallel(grid, START, seed=3, replicates=3)  # noqa: E731 (an explorer a question)
    trials = play(program(explorer), scores)
    sweeps = Counter(trial.replicate for trial in trials if trial.role == "grid")
    assert list(sweeps.values()) == [points, 10, 10, 5, 5, 5, 5]


def test_grid_whose_result_is_compared_explores_no_further() -> None:
    """An earlier version explored fewer points before it compared."""
    build = program(REPLICATED["class-parallel"])
    trials = play(build, scores)
    sweep = max(trial.replicate for trial in trials if trial.role == "grid")
    assert build().next([trial for trial in trials if trial.replicate != sweep]) is Answer.DONE


def test_class_parallel_gives_every_sweep_other_neighbours() -> None:
    pairs: dict[int, set[object]] = {}
    for trial in play(program(REPLICATED["class-parallel"]), scores):
        if trial.role == "grid":
            pair = tuple(zones_of(trial.parameters, name) for name in BEST)
            pairs.setdefault(trial.replicate, set()).add(pair)
    assert pairs[1] != pairs[2]
    for name_index in range(len(BEST)):
        # The sweeps of one round go through the same points.
        first, second = (sorted(pair[name_index] for pair in pairs[sweep]) for sweep in (1, 2))  # type: ignore[index]
        assert first == second


def test_class_parallel_visits_every_point_of_every_class_exactly_once() -> None:
    trials = play(program(EXPLORERS["class-parallel"]), scores)
    for name in BEST:
        own = zones_of(START, name)
        visited = [zones_of(trial.parameters, name) for trial in trials if trial.role == "grid"]
        moves = [zones for zones in visited if zones != own]
        assert sorted(moves) == sorted(zones for zones in POINTS[name] if zones != own)
        assert visited[0] == own


def test_class_with_fewer_points_repeats_them() -> None:
    few = {"goal": POINTS["goal"], "card": POINTS["card"][:2]}
    trials = play(program(lambda: ClassParallel(few, START, seed=3)), scores)
    visited = Counter(zones_of(trial.parameters, "card") for trial in trials if trial.role == "grid")
    assert visited.keys() == {zones_of(START, "card"), *POINTS["card"][:2]}
    assert max(visited.values()) - min(visited.values()) <= 1


def test_class_parallel_needs_a_fraction_of_the_trials_of_per_class() -> None:
    wide = {name: grid_points(ClassGrid(), RATE) for name in ("a", "b", "c")}
    start: Parameters = {}
    for name in wide:
        start |= zone_parameters(name, (-80.0, -20.0, 20.0, 40.0))
    parallel = GridProgram(ClassParallel(wide, start, seed=0), start, seeds=3).planned
    one_round = 1 + sum(map(len, wide.values())) + 2 * 3
    assert parallel <= 0.4 * one_round


def test_per_class_starts_over_while_a_class_moves_because_another_did() -> None:
    def entangled(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        goal, card = zones_of(parameters, "goal"), zones_of(parameters, "card")
        # The best for goal depends on where card stands.
        return {"goal": 1.0 - abs(goal[2] - card[2]) / 500, "card": 1.0 - abs(card[2] - 120) / 500}

    start = {**START, **zone_parameters("card", (-80.0, -20.0, 20.0, 180.0))}
    build = lambda: GridProgram(PerClass(POINTS, start), start, seeds=1)  # noqa: E731 (a program a question)
    choice = build().choice(play(build, entangled))
    assert choice is not None
    assert zones_of(choice.parameters, "goal")[2] == zones_of(choice.parameters, "card")[2] == 120.0


def test_per_class_counts_the_trials_of_a_start_on_the_grid_once(monkeypatch: pytest.MonkeyPatch) -> None:
    start, seen = {**START, **zone_parameters("goal", POINTS["goal"][0])}, []

    def ranked(trials: Sequence[TrialState], name: str, points: Sequence[Any]) -> list[Any]:
        seen.append([trial.trial for trial in trials])
        return list(points)

    monkeypatch.setattr("hpo.tasks.calf.explorers._ranked", ranked)
    play(lambda: GridProgram(PerClass(POINTS, start), start, seeds=1), lambda *_: dict.fromkeys(BEST, 0.1))
    assert seen and all(len(set(trials)) == len(trials) for trials in seen)


def test_start_stays_when_nothing_on_the_grid_is_better() -> None:
    def worse_off_the_start(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        return dict.fromkeys(BEST, 0.5 if parameters == START else 0.1)

    trials = play(program(EXPLORERS["class-parallel"]), worse_off_the_start)
    choice = program(EXPLORERS["class-parallel"])().choice(trials)
    assert choice is not None and (choice.role, choice.parameters) == ("start", START)
    assert [trial.role for trial in trials if trial.role != "grid"] == ["start", "start"]


def test_failed_points_are_passed_over() -> None:
    def often_failing(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if zones_of(parameters, "goal") == BEST["goal"]:
            raise ValueError("diverged")
        return scores(parameters, replicate)

    build = program(EXPLORERS["class-parallel"])
    choice = build().choice(play(build, often_failing))
    assert choice is not None and zones_of(choice.parameters, "goal") != BEST["goal"]


@pytest.mark.parametrize(
    ("worth", "begun", "combined"),
    [
        ({1: 0.5, 2: 0.6, 3: 0.7}, [("start", FIRST), ("combined", FIRST)], 2),
        ({1: 0.5, 2: 0.4, 3: 0.7}, [("start", FIRST + seed) for seed in range(3)], 3),
    ],
)
def test_failed_point_that_is_trained_again_mixes_no_seeds_of_the_confirmation(
    worth: dict[int, float], begun: list[tuple[str, int]], combined: int
) -> None:
    """A result that has trials stays; a result that the point brings gets the seeds that the start has."""

    def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        return {"goal": worth[int(parameters["f"])] + replicate / 100}

    def full_disk(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if parameters["f"] == 3:
            raise ValueError("no space left")
        return scores(parameters, replicate)

    def build() -> GridProgram:
        return GridProgram(ConfigurationExplorer([{"f": 2}, {"f": 3}], {"f": 1}), {"f": 1}, seeds=3)

    trials = play(build, full_disk)[: 3 + len(begun)]
    assert [(trial.role, trial.replicate) for trial in trials[3:]] == begun
    end(trials[2], scores)
    while isinstance(asked(build(), trials), TrialState):
        end(trials[-1], scores)
    confirmed = sorted((trial.role, trial.replicate, trial.parameters["f"]) for trial in trials[3:])
    wanted = {("start", 1), ("combined", combined)}
    assert confirmed == sorted((role, FIRST + seed, f) for role, f in wanted for seed in range(3))
    choice = build().choice(trials)
    assert choice is not None and choice.parameters == {"f": combined}


def test_shared_symmetric_grid_moves_all_classes_alike() -> None:
    points = dict.fromkeys(BEST, symmetric_points((5, 10, 20), RATE))
    trials = play(program(lambda: ConfigurationExplorer(shared_configurations(points, START), START)), scores)
    for trial in trials[1:]:
        if trial.role == "grid":
            assert zones_of(trial.parameters, "goal") == zones_of(trial.parameters, "card")


@pytest.mark.parametrize("mode", ["class-parallel", "per-class"])
def test_class_without_an_ap_keeps_its_start(mode: str) -> None:
    build = program(EXPLORERS[mode])
    trials = play(build, lambda parameters, replicate: {"goal": scores(parameters, replicate)["goal"]})
    choice = build().choice(trials)
    assert choice is not None
    assert zones_of(choice.parameters, "goal") == BEST["goal"]
    assert zones_of(choice.parameters, "card") == zones_of(START, "card")


@pytest.mark.parametrize(
    ("settings", "moved"),
    [
        ({}, {"goal"}),
        ({"mode": "per-class"}, {"goal"}),
        ({"mode": "symmetric"}, {"goal"}),
        ({"mode": "symmetric", "shared": True}, {"goal", "card"}),
        ({"mode": "joint"}, {"goal", "card"}),
        ({"grid": {"goal": GRID}, "mode": "joint"}, {"goal", "card"}),  # the others have the usual values
    ],
)
def test_grid_moves_no_class_that_it_would_judge_by_an_ap_that_does_not_exist(
    settings: dict[str, Any], moved: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    goals, both = ([(0, 10, 0), (0, 60, 0)], [(0, 10, 0), (0, 60, 1)])
    stores = {"train": small_store([100, 100], both), "valid": small_store([100, 100], goals)}
    monkeypatch.setattr("hpo.tasks.calf.programs.open_reference", lambda split: stores[split.path])
    table = {"grid": {"default": GRID}, **settings}
    study = parse_study({"task": "calf", "stages": {**SEARCH, "grid-slicing": table}}, file="test")
    context = StageContext(
        study=study,
        stage="grid-slicing",
        shape=GamesShape(dims=6, classes=("goal", "card"), frame_rate=RATE),
        train=SplitRef(path="train", items=1),
        valid=SplitRef(path="valid", items=1),
        start=START,
        seed=0,
    )
    trials = play(lambda: TASK.program(context), scores)
    grid_trials = [trial for trial in trials if trial.role == "grid"]
    assert len(grid_trials) > 1
    assert {
        name
        for name in ("goal", "card")
        if any(zones_of(trial.parameters, name) != zones_of(START, name) for trial in grid_trials)
    } == moved
