from collections.abc import Mapping

from stage_play import play

from hpo.journal.events import Value
from hpo.programs.listed import ListedProgram
from hpo.space.space import Parameters
from hpo.tasks.base.registry import parse_study
from hpo.tasks.calf.comparisons import FULL, ablation_entries, lambda_entries, sensitivity_entries
from hpo.tasks.calf.settings import trial_config
from hpo.tasks.calf.shape import GamesShape
from hpo.tasks.calf.zones import zone_parameters, zones_of
from model.encoding import time_shift
from model.losses.segmentation import segmentation_loss_elements
from model.timeline import NO_FUTURE, NO_PAST, FrameRate

CLASSES = ("goal", "card")
START: Parameters = {
    "lambda_seg": 1.5,
    **zone_parameters("goal", (-40.0, -20.0, 120.0, 180.0)),
    **zone_parameters("card", (-40.0, -20.0, 20.0, 40.0)),
}


def build(seeds: int = 2) -> ListedProgram:
    return ListedProgram({"a": {"f": 1}, "b": {"f": 2}}, seeds=seeds, first_replicate=101)


def scores(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
    return {"goal": float(parameters["f"]) / 10 + replicate / 1000}


def test_every_entry_gets_a_seed_before_any_gets_the_next() -> None:
    trials = play(build, scores, at_once=2)
    assert [(trial.role, trial.replicate) for trial in trials] == [
        ("a", 101),
        ("b", 101),
        ("a", 102),
        ("b", 102),
    ]
    choice = build().choice(trials)
    assert choice is not None and (choice.role, choice.parameters) == ("b", {"f": 2})


def test_entry_with_a_failed_seed_does_not_win_over_one_with_all_of_its_seeds() -> None:
    def fragile(parameters: Mapping[str, Value], replicate: int) -> dict[str, float]:
        if parameters["f"] == 2 and replicate == 102:
            raise ValueError("diverged")
        return scores(parameters, replicate)

    choice = build().choice(play(build, fragile))
    assert choice is not None and choice.role == "a"


def test_ablations_change_one_thing_each() -> None:
    entries = ablation_entries(START, CLASSES)
    changed = {
        role: {name.partition(".")[0] for name, value in entry.items() if START.get(name) != value}
        for role, entry in entries.items()
    }
    assert list(changed.values()) == [
        set(),
        {"lambda_seg"},
        {"K1_frames", "K2_frames", "K3_frames", "K4_frames"},
        {"tau_max", "tau_min"},
        {"matching"},
    ]


def test_without_slicing_every_frame_but_the_action_s_own_is_background() -> None:
    import torch

    entry = ablation_entries(START, CLASSES)["(ii) no context slicing"]
    study = parse_study(
        {
            "task": "calf",
            "stages": {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 1, "high": 2}}}},
        },
        file="test",
    )
    shape = GamesShape(dims=4, classes=CLASSES, frame_rate=FrameRate(2.0))
    zones = trial_config(study, entry, shape, seed=0).loss.zones.tensor()
    past = torch.tensor([NO_PAST, NO_PAST, 0, 1, 2])[:, None].expand(-1, 2)
    future = torch.tensor([-2, -1, NO_FUTURE, NO_FUTURE, NO_FUTURE])[:, None].expand(-1, 2)
    shift = time_shift(past, future, zones)
    for score, punished in (
        (0.99, [True, True, False, True, True]),
        (0.01, [False, False, True, False, False]),
    ):
        loss = segmentation_loss_elements(torch.full((5, 2), score), shift, zones, tau_max=0.9, tau_min=0.1)
        assert (loss[:, 0] > 1.0).tolist() == punished


def test_sensitivity_moves_one_parameter_of_one_class_and_keeps_the_order() -> None:
    entries = sensitivity_entries(START, CLASSES, [0.5, 2.0])
    assert FULL in entries and entries["K3.card 10"]["K3_frames.card"] == 10.0
    # K2 halved is fine, doubled it meets K1; K4 halved meets K3.
    assert "K2.goal -10" in entries and "K2.goal -40" not in entries and "K4.card 20" not in entries
    for role, entry in entries.items():
        moved = [name for name in START if entry[name] != START[name]]
        assert len(moved) == (role != FULL)
        for name in CLASSES:
            k1, k2, k3, k4 = zones_of(entry, name)
            assert k1 < k2 < 0 < k3 < k4


def test_lambda_sweep_changes_lambda_alone() -> None:
    entries = lambda_entries(START, [0.01, 100.0])
    assert [entry["lambda_seg"] for entry in entries.values()] == [0.01, 100.0]
    assert all({**entry, "lambda_seg": 1.5} == START for entry in entries.values())
