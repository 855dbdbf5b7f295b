"""Every mistake a user can make has one clear error and exit code 2."""

from pathlib import Path

import pytest
from e2e.command_line import CommandLine

from hpo.journal.events import StudyCreated
from hpo.journal.journal import Journal


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["run", "bayes", "--data", "nowhere"], "no such data folder"),
        (["run", "bayes", "--games", "4"], "expected --games or --videos TRAIN,VALID"),
        (["run", "bayes", "--games", "0,2"], "expected --games or --videos TRAIN,VALID"),
        (["run", "bayes", "--device", "tpu"], "expected --device auto, cpu or cuda"),
        (["run", "bayes", "--study-file", "nothing"], "unknown study file 'nothing'"),
        (["run", "bayes", "--study-file", "./none.toml"], "cannot read the study file"),
        (["run", "bayes", "--trials", "0"], "--trials"),
        (["run", "bays"], "'bays' is neither a command of this program nor a stage of a study"),
        (["run", "bmn-slicing", "--study", "x"], "fix: to start one of that name, add --data or --from"),
        (["resume"], "there is no study yet"),
        (["status", "unknown"], "there is no study 'unknown'"),
        (["best", "unknown"], "there is no study 'unknown'"),
        (["data", "check", "nowhere"], "nowhere"),
        (["import-weights", "nowhere.h5"], "no such file of weights: nowhere.h5"),
        (["evaluate", "--weights", "nowhere.pt"], "no such file: nowhere.pt"),
        (["evaluate", "--weights", "x.pt", "--split", "half"], "expected --split train, valid, test"),
        (["evaluate", "--weights", "x.pt", "--nms-window", "wide"], "expected --nms-window in seconds"),
        (["evaluate", "--weights", "x.pt", "--nms-window", "0"], "above 0, or \"tolerance\", got '0'"),
        (["analyse", "--to", "a"], "expected either --weights or --run STUDY/TRIAL, got neither"),
        (["analyse", "--to", "a", "--weights", "x.pt", "--run", "s/t"], "--run STUDY/TRIAL, got both"),
        (["spot", "--weights", "x.pt"], "expected either --game FOLDER or --video FILE, got neither"),
        (
            ["run", "bmn-slicing", "--videos", "3"],
            "expected --games or --videos TRAIN,VALID such as 60,30",
        ),
        (["highlights", "--game", "x", "--to", "a", "--before", "inf"], "--before"),
        (["analyse", "--to", "a", "--weights", "nowhere.pt"], "no such file: nowhere.pt"),
        (["analyse", "--to", "a", "--run", "unknown/trial"], "there is no study 'unknown'"),
        (["spot", "--weights", "nowhere.pt", "--game", "x"], "no such file: nowhere.pt"),
        (["highlights", "--game", "x", "--to", "a"], "expected either --weights or --run STUDY/TRIAL"),
        (
            ["highlights", "--game", "x", "--to", "a", "--copy"],
            "--copy is for the streams of videos, expected --video-1",
        ),
        (["highlights", "--game", "x", "--game", "y", "--to", "a"], "expected one --game, got 2"),
        (
            ["highlights", "--game", "x", "--to", "a", "--opportunities", "--timecode-rate", "30"],
            "for which --timecode-rate has no meaning",
        ),
        (["highlights", "--game", "x", "--to", "a", "--run", "unknown/trial"], "there is no study 'unknown'"),
        (["submit", "--", "run", "final", "--from", "/etc/hostname"], "is not sent to the cluster"),
        (["submit", "--", "run", "bayes", "--data", "./games"], "--data ./games is relative to a folder"),
        (["precision", "nowhere.csv"], "cannot read the review table as CSV"),
        (["data", "download", "--to", "x", "--features", "rsnet"], "unknown SoccerNet features 'rsnet'"),
    ],
)
def test_mistake_is_one_clear_error(hpo: CommandLine, words: list[str], said: str) -> None:
    answer = hpo.run(*words)
    assert answer.returncode == 2, answer.stdout + answer.stderr
    assert said in answer.stderr
    assert "Traceback" not in answer.stderr


def test_unknown_searcher_names_the_known_ones(hpo: CommandLine) -> None:
    answer = hpo.run(*hpo.study("x", "--searcher", "magic"))
    assert answer.returncode == 2
    assert "bayes-opt" in answer.stderr
    assert "magic" in answer.stderr


def test_more_games_than_the_split_has_is_refused_before_any_trial(hpo: CommandLine) -> None:
    answer = hpo.run(*hpo.study("x", "--games", "99,1"))
    assert answer.returncode == 2
    assert "has 2 games, 99 were requested" in answer.stderr
    assert not (hpo.folder / "hpo-runs" / "studies").exists()


def test_receptive_field_longer_than_a_chunk_is_refused(hpo: CommandLine) -> None:
    words = hpo.study("x")
    study_file = hpo.folder / "small.toml"
    study_file.write_text(study_file.read_text() + 'r_s = { type = "float", low = 10, high = 150 }\n')
    answer = hpo.run(*words)
    assert answer.returncode == 2
    assert "but the space contains r_s = 150 (300 frames at 2 per second)" in answer.stderr


def test_data_with_a_missing_half_names_the_file(hpo: CommandLine, tmp_path: Path) -> None:
    import shutil

    broken = tmp_path / "broken"
    shutil.copytree(hpo.data, broken)
    missing = next(broken.glob("synthetic/train/*/2_*.npy"))
    missing.unlink()
    answer = hpo.run("run", "bayes", "--data", str(broken))
    assert answer.returncode == 2
    assert missing.name in answer.stderr


def test_study_name_that_is_a_path_is_refused(hpo: CommandLine) -> None:
    answer = hpo.run(*hpo.study("../away"))
    assert answer.returncode == 2
    assert "plain file name" in answer.stderr


def take(hpo: CommandLine, name: str) -> None:
    """Give a study this name that has begun and asked for nothing."""
    created = StudyCreated(
        study=name, plan={"study": {"task": "calf"}}, seed=0, data_digest="d", code_digest="c", versions={}
    )
    with Journal.create(hpo.folder / "hpo-runs" / "studies" / name) as journal:
        journal.append(created)


def test_study_name_that_is_taken_is_refused_with_the_way_to_go_on(hpo: CommandLine) -> None:
    take(hpo, "taken")
    answer = hpo.run("run", "paper", "--data", str(hpo.data), "--study", "taken")
    assert answer.returncode == 2
    assert "study 'taken' exists already" in answer.stderr
    assert "choose another name with --study NEW" in answer.stderr


def test_warm_start_of_a_study_that_exists_is_refused(hpo: CommandLine) -> None:
    take(hpo, "taken")
    answer = hpo.run(*hpo.study("taken", "--warm-start", "older"))
    assert answer.returncode == 2
    assert "--warm-start is for a new study, and 'taken' exists" in answer.stderr


def test_folder_whose_name_is_no_text_is_shown_all_the_same(hpo: CommandLine) -> None:
    import os
    import shutil

    odd = hpo.folder / os.fsdecode(b"data-\xff")
    shutil.copytree(hpo.data, odd)
    next(odd.glob("synthetic/train/*/2_*.npy")).unlink()
    answer = hpo.run("data", "check", str(odd))
    assert answer.returncode == 2
    assert "missing" in answer.stdout
    assert "Traceback" not in answer.stderr
