"""First description and study file of a data set of one's own, from its label files or from a CSV file."""

import json
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from soccernet_folder import frames_of_its_own
from typer.testing import CliRunner, Result

from hpo.cli.main import app
from hpo.tasks.base.registry import load_study
from hpo.tasks.calf.study_file import CalfStudy
from model.data.checks.check import check_dataset
from model.data.layout.description import read_description
from model.data.layout.description_text import add_table
from model.errors import ConfigError, DataError, UserError

SCRIPT = Path(__file__).parents[3] / "examples" / "own_data.py"


def game(root: Path, name: str, times: dict[str, list[float]]) -> None:
    folder = root / "games" / name
    folder.mkdir(parents=True)
    annotations = [
        {"gameTime": "1 - 00:00", "position": str(round(1000 * time)), "label": label}
        for label, own in times.items()
        for time in own
    ]
    (folder / "Labels.json").write_text(json.dumps({"annotations": annotations}))
    np.save(folder / "1_VIDEO.npy", np.zeros((4000, 4), dtype=np.float32))


@pytest.fixture
def handball(tmp_path: Path) -> Path:
    """Goals every 16 s, turnovers every 400 s, one timeout."""
    times = {"Goal!": [16.0 * n for n in range(1, 40)], "turnover": [10.0, 410.0], "timeout": [300.0]}
    for name in ("a", "b", "c"):
        game(tmp_path, name, times)
    return tmp_path


def new(folder: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["data", "new", str(folder), *words])


def test_zones_and_ranges_follow_the_spacing_of_the_classes(handball: Path) -> None:
    done = new(handball, "--rate", "5", "--name", "handball")
    assert done.exit_code == 0, done.output
    description = read_description(handball)
    assert description.name == "handball" and description.classes == ("goal", "turnover", "timeout")
    assert description.features == {"video": "VIDEO"} and description.rate_of("VIDEO").per_second == 5
    study = load_study(handball / "study.toml")
    assert isinstance(study, CalfStudy)
    assert study.zones_of("goal") == (-8.0, -4.0, 4.0, 8.0)  # a quarter of 16 s, and half
    assert study.zones_of("turnover") == (-20.0, -10.0, 10.0, 20.0)  # never wider than the paper's
    assert study.zones_of("timeout") == (-20.0, -10.0, 10.0, 20.0)
    assert study.network.predictions == 10  # eight goals within 120 s, turnover and timeout
    assert "missing: train.txt, valid.txt, test.txt" in done.output
    text = (handball / "study.toml").read_text()
    assert "no part has two of these actions" in text and "its 117 actions are at least 16 s long" in text


def test_typed_rate_is_that_of_every_kind_of_features(handball: Path) -> None:
    done = new(handball, "--rate", "5", "--features", "VIDEO,I3D,NET_5fps")
    assert done.exit_code == 0, done.output
    description = read_description(handball)
    assert {description.rate_of(stem).per_second for stem in ("VIDEO", "I3D", "NET_5fps")} == {5.0}


@pytest.mark.parametrize("is_described", [False, True])
def test_rate_that_contradicts_the_name_of_the_files_is_refused(handball: Path, is_described: bool) -> None:
    if is_described:
        add_table(handball, {"classes": {"any": ["*"]}})
    refused = new(handball, "--rate", "5", "--features", "VIDEO,NET_2fps")
    assert isinstance(refused.exception, ConfigError)
    message = str(refused.exception)
    assert (
        "--rate: the files 1_NET_2fps.npy have 2 feature vectors per second by their name, got 5" in message
    )
    assert "give --rate 2" in message and not (handball / "study.toml").exists()


def test_league_behind_a_link_is_described_too(
    handball: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("root")
    (root / "league").symlink_to(handball / "games")
    done = new(root, "--rate", "5")
    assert done.exit_code == 0, done.output
    assert "3 label files" in done.output and read_description(root).features == {"video": "VIDEO"}


def test_features_of_a_tenth_part_have_the_stem_of_the_others(handball: Path) -> None:
    file = handball / "games/a/1_VIDEO.npy"
    for part in (10, 12):
        (file.parent / f"{part}_VIDEO.npy").write_bytes(file.read_bytes())
    assert new(handball, "--rate", "5").exit_code == 0
    assert read_description(handball).features == {"video": "VIDEO"}


def test_ranges_never_fall_below_two_frames(tmp_path: Path) -> None:
    game(tmp_path, "a", {"pass": [0.5 * n for n in range(200)]})
    assert new(tmp_path, "--rate", "1").exit_code == 0
    study = load_study(tmp_path / "study.toml")
    assert isinstance(study, CalfStudy)
    assert study.zones_of("pass") == (-2.0, -1.0, 1.0, 2.0)
    assert study.searched["r_s"].extremes() == (2.0, 16.0) and study.network.chunk_s == 24.0


def test_fast_actions_get_tolerances_and_a_chunk_that_suit_them(tmp_path: Path) -> None:
    rally = {"serve": [1.0], "swing": [2.0, 2.0, 3.2, 4.4, 5.6], "ace": [6.0]}  # one was exported twice
    game(tmp_path, "a", rally)
    assert new(tmp_path, "--rate", "25").exit_code == 0
    study = load_study(tmp_path / "study.toml")
    assert isinstance(study, CalfStudy)
    assert study.zones_of("swing") == (-0.6, -0.3, 0.3, 0.6)
    assert study.zones_of("serve") == (-3.0, -1.5, 1.5, 3.0)  # the rally of 6 s in place of a gap
    assert study.network.chunk_s == 6.0, "the median of the units, 1.5 s, would give a chunk of 18 s"
    assert study.scoring.tolerances == (0.5, 1.0, 1.5, 2.0, 2.5, 3.0)


def test_annotations_on_the_same_frame_are_one_action_of_the_spacing(tmp_path: Path) -> None:
    times = [20.0 * n for n in range(1, 6)]
    game(tmp_path, "a", {"goal": [*times, *(time + 0.2 for time in times)]})
    done = new(tmp_path, "--rate", "2")
    assert "goal: 5 actions, zones -10 -5 5 10 s" in done.output
    assert (
        "note: 5 actions lie on the same frame as another one of the class, and are left out" in done.output
    )


def test_without_labels_classes_and_features_are_typed(tmp_path: Path) -> None:
    done = new(tmp_path, "--rate", "2", "--classes", "goal,time out", "--features", "VIDEO")
    assert done.exit_code == 0, done.output
    assert read_description(tmp_path).patterns == {"goal": ("goal",), "time-out": ("time out",)}
    study = load_study(tmp_path / "study.toml")
    assert isinstance(study, CalfStudy) and study.zones_of("goal") == (-20.0, -10.0, 10.0, 20.0)


def test_blanks_around_typed_features_are_no_part_of_their_stems(handball: Path) -> None:
    assert new(handball, "--rate", "5", "--features", "VIDEO, AUDIO,,VIDEO").exit_code == 0
    assert read_description(handball).features == {"video": "VIDEO", "audio": "AUDIO"}


def test_labels_left_out_are_ignored_and_not_unknown(handball: Path) -> None:
    assert new(handball, "--rate", "5", "--classes", "Goal!").exit_code == 0
    description = read_description(handball)
    assert description.classes == ("goal",) and set(description.ignored) == {"turnover", "timeout"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the frame rate is unknown"),
        (("--rate", "0"), "--rate: frame rate must be a positive number"),
        (("--rate", "4410"), "--rate: expected at most 1000 feature vectors per second, got 4410"),
        (("--rate", "nan"), "--rate: frame rate must be a positive number"),
        (("--rate", "5", "--classes", "goal"), "expected --classes with labels of the label files, got goal"),
        (("--rate", "5", "--labels-file", "None.json"), "the classes are unknown"),
        (("--rate", "5", "--features", " , "), "expected --features with stems of feature files"),
        (("--rate", "5", "--features", "1_VIDEO.npy"), "got the file name 1_VIDEO.npy"),
        (("--rate", "5", "--features", "VIDEO.npy"), "got the file name VIDEO.npy"),
        (("--rate", "5", "--features", "Video,VIDEO"), "Video and VIDEO would both be named video"),
    ],
)
def test_what_cannot_be_guessed_is_asked_for(handball: Path, words: tuple[str, ...], message: str) -> None:
    done = new(handball, *words)
    assert isinstance(done.exception, UserError) and message in str(done.exception)
    assert not (handball / "dataset.toml").exists() and not (handball / "study.toml").exists()


def test_existing_files_and_wrong_labels_are_errors(handball: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        raise new(handball / "none", "--rate", "5").exception or AssertionError
    labels = handball / "games" / "b" / "Labels.json"
    labels.write_text("[]")
    with pytest.raises(DataError, match=r"expected .*annotations"):
        raise new(handball, "--rate", "5").exception or AssertionError
    labels.unlink()
    (handball / "study.toml").write_text("")
    with pytest.raises(DataError, match="is not replaced"):
        raise new(handball, "--rate", "5").exception or AssertionError


def test_description_with_classes_gets_features_and_a_study_file(handball: Path) -> None:
    add_table(handball, {"classes": {"goal": ["Goal!"], "other": ["turnover", "timeout"]}})
    before = (handball / "dataset.toml").read_text()
    refused = new(handball, "--rate", "5", "--classes", "Goal!")
    assert isinstance(refused.exception, DataError) and "leave --classes out" in str(refused.exception)
    assert new(handball, "--rate", "5").exit_code == 0
    assert (handball / "dataset.toml").read_text().startswith(before.rstrip())
    description = read_description(handball)
    assert description.classes == ("goal", "other") and description.rate_of("VIDEO").per_second == 5
    (handball / "study.toml").unlink()
    assert new(handball).exit_code == 0 and (handball / "study.toml").exists()
    (handball / "study.toml").unlink()
    refused = new(handball, "--rate", "2")
    assert isinstance(refused.exception, DataError) and "leave --rate out" in str(refused.exception)


def test_empty_table_of_features_is_filled(handball: Path) -> None:
    add_table(handball, {"classes": {"any": ["*"]}, "features": {}})
    assert new(handball, "--rate", "5").exit_code == 0
    assert read_description(handball).features == {"video": "VIDEO"}


def test_name_with_a_line_break_gives_a_study_file_that_can_be_read(handball: Path) -> None:
    assert new(handball, "--rate", "5", "--name", 'a"b\ntask = 1\n').exit_code == 0
    assert isinstance(load_study(handball / "study.toml"), CalfStudy)
    assert read_description(handball).name == 'a"b\ntask = 1\n'


def test_advice_for_a_label_that_no_class_can_be_named_after_can_be_followed(tmp_path: Path) -> None:
    game(tmp_path, "a", {"default": [1.0, 9.0]})
    refused = new(tmp_path, "--rate", "5").exception
    assert isinstance(refused, DataError) and "first write a dataset.toml" in str(refused)
    (tmp_path / "dataset.toml").write_text(
        'name = "strokes"\nlabels_file = "Labels.json"\n[classes]\nhit = ["default"]\n'
    )
    assert new(tmp_path, "--rate", "5").exit_code == 0
    assert read_description(tmp_path).classes == ("hit",)


def test_labels_that_give_the_same_class_name_are_refused(tmp_path: Path) -> None:
    game(tmp_path, "a", {"Goal": [1.0], "goal": [5.0], "goal?": [9.0]})
    done = new(tmp_path, "--rate", "5")
    assert isinstance(done.exception, DataError)
    assert "no distinct class names: 'goal' from 'Goal', 'goal', 'goal?'" in str(done.exception)
    assert new(tmp_path, "--rate", "5", "--classes", "Goal,goal").exit_code == 0
    description = read_description(tmp_path)
    assert description.patterns == {"goal": ("Goal", "goal")} and description.class_of("goal?") is None


def test_features_belong_beside_the_folder_of_a_label_file_that_has_one(handball: Path) -> None:
    for name in ("a", "b", "c"):
        folder = handball / "games" / name
        (folder / "by-hand").mkdir()
        (folder / "Labels.json").rename(folder / "by-hand" / "L.json")
        (folder / "1_VIDEO.npy").unlink()
    done = new(handball, "--rate", "5", "--labels-file", "by-hand/L.json", "--features", "VIDEO")
    assert done.exit_code == 0, done.output
    first = handball / "games" / "a" / "1_VIDEO.npy"
    assert f"missing: features; of part 1 of this game: {first}" in done.output.replace("\n", "")


def script(*words: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False, cwd=SCRIPT.parents[1]
    )


def test_example_makes_a_data_folder_from_a_csv_file(tmp_path: Path) -> None:
    rows = [
        f"match{n},1,{t // 60}:{t % 60:02d},{'goal' if t % 40 else 'foul'}"
        for n in range(5)
        for t in range(20, 500, 20)
    ]
    (tmp_path / "actions.csv").write_text("game,part,time,label\n" + "\n".join(rows) + "\n")
    made = tmp_path / "made"
    done = script(tmp_path / "actions.csv", made, "--rate", "5", "--features", "VIDEO")
    assert done.returncode == 0, done.stderr
    first = made / "games" / "match0" / "1_VIDEO.npy"
    assert f"missing: features; of part 1 of this game: {first}" in done.stdout
    (problem,) = check_dataset(made, features=None).problems
    assert "none of the 5 games has features VIDEO yet" in str(problem) and "1_VIDEO.npy" in str(problem)
    for folder in (made / "games").iterdir():
        np.save(folder / "1_VIDEO.npy", frames_of_its_own(2600))
    report = check_dataset(made, features=None)
    assert report.problems == () and report.games == {"train": 3, "valid": 1, "test": 1}
    assert report.actions["train"] == {"goal": 36, "foul": 36}
    assert tomllib.loads((made / "study.toml").read_text())["zones_s"]["foul"] == [-20.0, -10.0, 10.0, 20.0]


def test_example_reads_files_of_excel_and_keeps_a_folder_that_is_there(tmp_path: Path) -> None:
    rows = [f"match{n};1;{t},5;goal" for n in range(3) for t in (20, 60)]
    text = "game;part;time;label\n" + "\n".join(rows) + "\n"
    (tmp_path / "actions.csv").write_text(text, encoding="utf-8-sig")
    words = (tmp_path / "actions.csv", tmp_path / "made", "--rate", "5", "--features", "VIDEO")
    assert script(*words).returncode == 0
    labels = tmp_path / "made" / "games" / "match0" / "Labels.json"
    assert json.loads(labels.read_text())["annotations"][1]["position"] == "60500"
    labels.write_text("mended by hand")
    again = script(*words)
    assert again.returncode == 1 and "is a data folder already" in again.stderr
    assert labels.read_text() == "mended by hand"


def example(monkeypatch: pytest.MonkeyPatch, file: Path) -> str:
    """What the example says about a file from which it makes no folder."""
    words = ["own_data.py", str(file), str(file.parent / "made"), "--rate", "5", "--features", "VIDEO"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not (file.parent / "made").exists()
    return str(ended.value)


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("a,one,10,goal", "line 3: part is 'one'"),
        ("a,1,-5,goal", "line 3: time is '-5'"),
        ("a,1,inf,goal", "line 3: time is 'inf'"),
        ("../a,1,10,goal", "line 3: game '../a' cannot be used"),
        ("a,1,10,Zeitstrafe für A", "line 3: expected text in UTF-8, got byte 0xfc; save the file as UTF-8"),
    ],
)
def test_example_names_the_line_that_it_cannot_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str, fault: str
) -> None:
    file = tmp_path / "actions.csv"
    file.write_text(f"game,part,time,label\na,1,10,goal\n{row}\n", encoding="cp1252")
    said = example(monkeypatch, file)
    assert said.startswith("error: ") and fault in said


def test_example_says_that_its_file_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "No such file" in example(monkeypatch, tmp_path / "none.csv")


def test_example_reads_hours_and_utf_16(tmp_path: Path) -> None:
    file = tmp_path / "actions.csv"
    file.write_text("game;part;time;label\nSpiel 1;1;1:02:03,5;Tür\n", encoding="utf-16")
    games = runpy.run_path(str(SCRIPT))["read_games"](file)
    assert games == {"Spiel 1": [{"gameTime": "1 - 62:03", "label": "Tür", "position": "3723500"}]}


def test_feature_files_without_their_part_are_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    np.save(tmp_path / "a" / "clip.npy", np.zeros((4, 4), dtype=np.float32))
    refused = new(tmp_path, "--rate", "5", "--classes", "goal")
    assert isinstance(refused.exception, ConfigError)
    assert refused.exception.details["got"] == "a/clip.npy"
    assert "GAME/1_clip.npy is the first part" in str(refused.exception)
