"""Games, lists and files that a data folder lacks, and links that lead nowhere."""

import subprocess
import unicodedata
from pathlib import Path

import pytest
from soccernet_folder import SPLITS, halves, opened, problems, v2_notes, write_game, write_splits

from model.data.checks.check import check_dataset
from model.errors import DataError

# Partial downloads.


@pytest.fixture
def partial(tmp_path: Path) -> Path:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    with (root / "train.txt").open("a") as stream:
        stream.writelines(f"l/s/missing-{number}\n" for number in range(298))
    return root


def test_missing_games_are_one_problem_with_count_first_names_and_remedy(partial: Path) -> None:
    (problem,) = problems(check_dataset(partial, features="X"))
    assert (
        "298 of 299 games of split train have no folder, the first: l/s/missing-0; l/s/missing-1" in problem
    )
    assert "--games" in problem and "hpo data download" in problem
    with pytest.raises(DataError, match="1 problem"):
        opened(partial, features="X")


def test_only_games_that_are_used_must_be_there(partial: Path) -> None:
    assert opened(partial, features="X", count=1).games == ("l/s/train",)
    report = check_dataset(partial, features="X", splits=("train", "valid"), counts=(1, 1))
    assert report.problems == () and report.games == {"train": 1, "valid": 1}
    with pytest.raises(DataError, match="299 games, 300 were requested"):
        opened(partial, features="X", count=300)


def test_features_that_most_games_lack_are_one_problem(partial: Path) -> None:
    for number in range(298):
        write_game(partial, f"l/s/missing-{number}", v2_notes(last_s=250), {})
    (problem,) = problems(check_dataset(partial, features="X"))
    assert "298 of 299 games of split train have no features X" in problem


def test_first_games_are_advised_only_where_they_are_there(partial: Path) -> None:
    (problem,) = problems(check_dataset(partial, features="X"))
    assert "use at most the first 1 (--games TRAIN,VALID)" in problem
    lines = (partial / "train.txt").read_text().splitlines()
    (partial / "train.txt").write_text("\n".join(reversed(lines)))
    (problem,) = problems(check_dataset(partial, features="X"))
    assert "take the games out of train.txt" in problem and "--games" not in problem
    report = check_dataset(partial, features="X", splits=("train", "valid"), counts=(2, 1))
    assert [line.partition(": ")[2] for line in problems(report)] == [
        "no such game folder; take the games out of train.txt, or download them: "
        f"hpo data download --features X --labels v2 --to {partial}"
    ] * 2


def test_more_games_than_a_split_has_are_a_problem(partial: Path) -> None:
    (partial / "train.txt").write_text("l/s/train\n")
    report = check_dataset(partial, features="X", splits=("train", "valid"), counts=(4, 1))
    assert problems(report) == [
        f"{partial / 'train.txt'}: split 'train' has 1 game, 4 were requested; request at most 1"
    ]


def test_missing_list_for_which_that_of_the_package_is_used_is_told(partial: Path) -> None:
    pytest.importorskip("SoccerNet")
    (partial / "train.txt").write_text("l/s/train\n")
    (partial / "valid.txt").unlink()
    (problem,) = problems(check_dataset(partial, features="X"))
    assert problem.startswith(f"{partial}: 100 of 100 games of split valid have no folder")
    assert "there is no valid.txt, so the list of the SoccerNet package is used: write valid.txt" in problem
    assert "out of valid.txt" not in problem and "--games" not in problem


def test_missing_games_of_ones_own_are_not_to_be_downloaded_whatever_the_name(partial: Path) -> None:
    (partial / "dataset.toml").write_text(
        'name = "soccernet-handball"\nlabels_file = "Labels-v2.json"\n[classes]\nany = ["*"]\n'
    )
    (problem,) = problems(check_dataset(partial, features="X"))
    assert problem.endswith("add their files") and "download" not in problem


# Links and folders in the place of files.


def test_broken_links_and_folders_are_told_as_such(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    dangling, loop, folder = (root / f"l/s/{split}/2_X.npy" for split in SPLITS)
    for file in (dangling, loop, folder):
        file.unlink()
    dangling.symlink_to("/nowhere/2_X.npy")
    loop.symlink_to("2_X.npy")
    folder.mkdir()
    report = check_dataset(root, features="X")
    fix = "where there is nothing; correct the link, or copy its target here"
    assert problems(report) == [
        f"{dangling}: a link to /nowhere/2_X.npy, {fix}",
        f"{loop}: a link to 2_X.npy, {fix}",
        f"{folder}: expected a .npy file, got a folder; move it away and put the file here",
    ]
    assert report.notices == ()  # no game has other halves than the rest


def test_folder_whose_accents_are_in_another_unicode_form_is_named_with_the_renaming(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    listed, there = (root / unicodedata.normalize(form, "l/s/Málaga") for form in ("NFC", "NFD"))
    (root / "l/s/train").rename(there)
    (root / "train.txt").write_text(f"{listed.relative_to(root)}\n")
    (problem,) = [line for line in problems(check_dataset(root, features="X")) if str(listed) in line]
    assert "in another Unicode form" in problem
    subprocess.run(problem.partition("rename it: ")[2], shell=True, check=True)
    assert problems(check_dataset(root, features="X")) == []


def test_broken_links_to_labels_and_games_are_told_as_such(tmp_path: Path) -> None:
    root = tmp_path / "data"
    write_splits(root, lambda game: write_game(root, game, v2_notes(last_s=250), halves("X", 600)))
    labels, game = root / "l/s/valid/Labels-v2.json", root / "l/s/test"
    labels.unlink()
    labels.symlink_to("gone.json")
    game.rename(root / "moved")
    game.symlink_to("gone")
    found = problems(check_dataset(root, features="X"))
    assert len(found) == 2
    assert (
        f"{labels}: a link to gone.json, where" in found[0] and f"{game}: a link to gone, where" in found[1]
    )
