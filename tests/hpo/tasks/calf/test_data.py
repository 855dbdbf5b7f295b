"""Data of a study and of a trained network: labels, features, and what is told about them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from soccernet_folder import halves, v1_notes, v2_notes, write_game, write_splits

from hpo.config.environment import read_environment
from hpo.study.plan import StudyPlan, StudyRequest, make_plan
from hpo.tasks.base.splits import DataRequest, OpenedData
from hpo.tasks.calf.data import open_for, open_games, request_for
from hpo.tasks.calf.fixed_lines import fixed_lines
from hpo.tasks.calf.presentation import commands
from hpo.tasks.calf.study_file import CalfStudy
from hpo.tasks.calf.task import TASK
from hpo.tasks.calf.tried_lines import tried_lines
from hpo.tasks.calf.zones import inherited_zones
from model.data.layout.description_text import add_table
from model.errors import ConfigError, DataError
from model.networks.calf import CalfNetwork
from model.networks.calf_config import NetworkConfig
from model.recipe import Recipe
from model.timeline import FrameRate
from model.weights.trained import TrainedNetwork

CLASSES = ("goal", "card", "substitution")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder with labels of both versions and two kinds of features."""
    root = tmp_path / "data"

    def write(game: str) -> None:
        write_game(root, game, v1_notes(), halves("X", 600), "Labels.json")
        write_game(root, game, v2_notes(last_s=250), halves("Y", 600))

    return write_splits(root, write)


def study(**tables: Any) -> CalfStudy:
    stages = {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 4, "high": 8}}}}
    return CalfStudy.model_validate({"task": "calf", "stages": stages, **tables})


def opened(root: Path, study_file: CalfStudy) -> OpenedData[Any]:
    request = DataRequest(
        place=str(root),
        features="X",
        counts=None,
        cache=root.parent / "cache",
        labels=study_file.labels,
    )
    return TASK.open_data(request, study_file, lambda *_: None)


def trained(stem: str | None, labels: str | None = "v1") -> TrainedNetwork:
    config = NetworkConfig(
        input_size=3, classes=3, class_features=2, receptive_field_frames=20, chunk_frames=60, predictions=2
    )
    network = CalfNetwork(config, torch.Generator())
    return TrainedNetwork(
        network=network, classes=CLASSES, frame_rate=FrameRate(2.0), stem=stem, labels=labels
    )


def test_choice_between_two_versions_of_labels_is_told(root: Path) -> None:
    data = opened(root, study())
    assert data.shape.classes == CLASSES
    assert len(data.notices) == 1 and "--labels v2" in data.notices[0]


def test_study_file_that_says_its_labels_decides(root: Path) -> None:
    data = opened(root, study(data={"labels": "v2"}))
    assert len(data.shape.classes) == 17 and data.shape.labels == "v2" and data.notices == ()


def test_shape_keeps_stem_and_label_texts_through_the_journal(root: Path) -> None:
    shape = opened(root, study(data={"labels": "v2"})).shape
    assert shape.stem == "X" and shape.label_texts[:2] == ("Penalty", "Kick-off") and len(shape.digest) == 64
    assert TASK.shape_from_json(TASK.shape_to_json(shape)) == shape
    older = {"dims": 3, "classes": ["goal"], "frame_rate": 2.0}
    assert TASK.shape_from_json(older).stem is None


def planned(root: Path, labels: str, of_file: str) -> StudyPlan:
    file = root.parent / "mine.toml"
    file.write_text(
        f'task = "calf"\n{of_file}\ntraining.precision = "float32"\n[stages.bayes]\ntrials = 1\n'
        '[stages.bayes.space]\nf = { type = "int", low = 4, high = 8 }\n'
    )
    request = StudyRequest(study_file=str(file), data=str(root), features="X", labels=labels, device="cpu")
    return make_plan(request, read_environment(), lambda *_: None)


def test_labels_of_the_command_line_and_of_the_study_file_must_agree(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HPO_CACHE", str(root.parent / "cache"))
    with pytest.raises(ConfigError, match=r"expected labels v2, which the study file .* is for"):
        planned(root, "v1", 'data.labels = "v2"')
    found = planned(root, "v2", "")
    assert found.study.labels == "v2" and found.notices == ()
    assert StudyPlan.from_json(found.to_json(), file="journal.jsonl") == found


def test_zones_of_classes_that_the_data_lacks_are_told_and_a_typing_mistake_is_refused(root: Path) -> None:
    zones = {"default": [-20, -10, 10, 20], "handball": [-9, -5, 5, 9]}
    data = opened(root, study(data={"labels": "v1"}, zones_s=zones))
    assert data.notices == ("zones_s names classes that the data does not have: handball",)
    with pytest.raises(ConfigError, match="no class 'gaol'"):
        opened(root, study(zones_s={"default": [-20, -10, 10, 20], "gaol": [-9, -5, 5, 9]}))


@pytest.mark.parametrize("split", ["train", "valid"])
def test_split_without_actions_is_refused_before_the_first_trial(split: str, root: Path) -> None:
    write_game(root, f"l/s/{split}", [], {}, "Labels.json")
    with pytest.raises(DataError, match=f"split '{split}' has no actions"):
        opened(root, study(data={"labels": "v1"}))


def test_class_that_a_split_lacks_is_told(root: Path) -> None:
    write_game(root, "l/s/valid", v1_notes()[:2], {}, "Labels.json")
    (notice,) = opened(root, study(data={"labels": "v1"})).notices
    assert notice.startswith("split valid has no action of 1 of 3 classes") and "substitution" in notice


def test_network_reads_the_features_and_labels_of_its_training(root: Path, tmp_path: Path) -> None:
    request = request_for(trained("X"), str(root), tmp_path / "cache", features=None)
    assert (request.features, request.labels) == ("X", "v1")
    store = open_games(request, "test")
    trained("X").check_fits(store)
    assert store.stem == "X"


def test_features_are_chosen_among_those_that_the_description_names(root: Path, tmp_path: Path) -> None:
    # Most folders have one kind, of the three that SoccerNet's description names.
    with pytest.raises(ConfigError, match="the description of the data names several kinds") as refused:
        request_for(trained(None), str(root), tmp_path / "cache", features=None)
    assert refused.value.details["known"] == "resnet, c3d, i3d"


def test_features_of_another_recipe_are_refused_unless_forced(root: Path, tmp_path: Path) -> None:
    recipe = Recipe(model="net", weights="1" * 64, preprocessing="224 px", frame_rate=2.0)
    add_table(root, {"features": {"X": {"stem": "X", "frame_rate": 2.0, "recipe": recipe.table()}}})
    network = replace(trained("X"), recipe=replace(recipe, weights="2" * 64))
    place, cache = str(root), tmp_path / "cache"
    with pytest.raises(ConfigError, match="another recipe than those of the training; weights: expected 2"):
        open_for(network, place, cache, "test", features=None)
    forced = open_for(network, place, cache, "test", features=None, force_features=True)
    assert forced.recipe == recipe and forced.classes == CLASSES and forced.frame_rate.per_second == 2


def test_other_features_than_those_of_the_training_are_refused_unless_forced(
    root: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="trained on the features X, got Y"):
        request_for(trained("X"), str(root), tmp_path / "cache", features="Y")
    forced = request_for(trained("X"), str(root), tmp_path / "cache", features="Y", force_features=True)
    assert forced.features == "Y"
    # An imported network does not say on which features it was trained.
    assert request_for(trained(None), str(root), tmp_path / "cache", features="Y").features == "Y"


def test_file_of_a_network_keeps_features_and_labels(tmp_path: Path) -> None:
    config = trained("X").network.config
    network = TrainedNetwork(
        network=CalfNetwork(config, torch.Generator()),
        classes=CLASSES,
        frame_rate=FrameRate(5.0),
        stem="X",
        labels="v1",
        label_texts=("soccer", "card", "subs"),
        train_digest="abc",
    )
    network.save(tmp_path / "best.pt")
    again = TrainedNetwork.load(tmp_path / "best.pt")
    kept = ("stem", "labels", "label_texts", "train_digest", "frame_rate")
    assert all(getattr(again, name) == getattr(network, name) for name in kept)


def test_data_of_another_sport_do_not_get_the_zones_of_soccer_silently() -> None:
    paper = CalfStudy.model_validate({"task": "calf"})
    (notice,) = inherited_zones(paper, ("goal", "timeout"))
    assert "goal -20 -10 60 90 s, timeout -20 -10 10 20 s" in notice and "hpo data new FOLDER" in notice
    own = CalfStudy.model_validate({"task": "calf", "zones_s": {"default": [-4, -2, 2, 4]}})
    assert inherited_zones(own, ("goal",)) == ()


def test_plan_says_where_zones_come_from() -> None:
    zones = {"default": [-20, -10, 10, 20], "pass": [-4, -2, 2, 4]}
    chosen = CalfStudy.model_validate({"task": "calf", "zones_s": zones})
    fixed, scored, *rows = fixed_lines(chosen, ("pass", "shot"), FrameRate(5.0))
    assert "chunk 120 s (600 frames at 5 frames per second), margin 20 s" in fixed
    assert "Average-mAP: tolerances of 5 to 60 s, suppression as wide as each of them" in scored
    assert rows[0] == "zones     pass -4 -2 2 4 s (zones_s.pass of the study file)"
    assert rows[1].startswith(
        "zones     shot -20 -10 10 20 s (zones_s.default of the study file, the value of"
    )


def test_plan_shows_the_values_that_a_grid_tries_and_where_they_come_from() -> None:
    def tried(stage: str, **table: object) -> list[str]:
        study_file = CalfStudy.model_validate({"task": "calf", "stages": {stage: table}})
        return tried_lines(study_file, stage, ("pass", "shot"))

    usual = "K1 -40 -20 -10, K2 -20 -10 -5, K3 5 10 30 60, K4 10 20 60 90 s (grid.default of the stage"
    assert tried("grid-slicing") == [f"grid      every class {usual}, the usual values, for soccer)"]
    own = {"K1_s": [-4], "K2_s": [-2], "K3_s": [2, 3], "K4_s": [4]}
    assert tried("grid-slicing", grid={"pass": own}) == [
        "grid      pass K1 -4, K2 -2, K3 2 3, K4 4 s (grid.pass of the stage)",
        f"grid      other classes {usual}, the usual values, for soccer)",
    ]
    symmetric = "grid      K3 2 4 s with K1 = 2 K2 = -2 K3 = -K4 for each class (symmetric_s of the stage)"
    assert tried("grid-slicing", mode="symmetric", symmetric_s=[2, 4]) == [symmetric]
    assert tried("lambda-sweep", values=[0.1, 10]) == ["values    lambda_seg 0.1 10 (values of the stage)"]
    assert "0.5 2 of each slicing parameter" in tried("sensitivity", factors=[0.5, 2])[0]
    assert tried("ablation") == []


def test_game_in_both_splits_is_refused(root: Path) -> None:
    (root / "valid.txt").write_text("l/s/valid\nl/s/train\n")
    with pytest.raises(DataError, match="1 game of split 'valid' is also in split 'train'"):
        opened(root, study())


def test_link_to_a_training_game_is_refused_as_a_validation_game(root: Path) -> None:
    (root / "l/s/copy").symlink_to("train")
    (root / "valid.txt").write_text("l/s/valid\nl/s/copy\n")
    with pytest.raises(DataError, match="also in split 'train'") as refused:
        opened(root, study())
    assert refused.value.details["first"] == "l/s/copy, the same folder as l/s/train"


def tested(root: Path) -> None:
    TASK.open_test(
        DataRequest(place=str(root), features="X", counts=None, cache=root.parent / "cache"), lambda *_: None
    )


@pytest.mark.parametrize(
    ("split", "why"),
    [("train", "show what was learnt by heart"), ("valid", "favour what was chosen on them")],
)
def test_test_split_with_a_game_that_the_study_has_used_is_refused(split: str, why: str, root: Path) -> None:
    (root / "test.txt").write_text(f"l/s/test\nl/s/{split}\n")
    with pytest.raises(DataError, match=f"of split 'test' is also in split '{split}': scores would {why}"):
        tested(root)


def test_test_split_whose_features_have_another_width_is_refused(root: Path) -> None:
    tested(root)
    for half in (1, 2):
        np.save(root / f"l/s/test/{half}_X.npy", np.zeros((600, 4), dtype=np.float32))
    with pytest.raises(ConfigError, match="features have 3 dimensions in train and 4 in test"):
        tested(root)


def test_games_that_two_processes_want_at_once_are_generated_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "DEMO_GAMES", {"train": 1, "valid": 1})
    monkeypatch.setattr(commands, "DEMO_MINUTES", 14)
    done: list[int] = []

    def make(_: int) -> None:
        commands.make_games(tmp_path / "games", 0, lambda what, number, games: done.append(number))

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(make, range(2)))
    assert done == [1, 2] and (tmp_path / "games" / "dataset.toml").is_file()
