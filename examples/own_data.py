"""Make a data folder from a CSV file of actions with the columns game, part, time, label.

    python own_data.py actions.csv handball --rate 5 --features VIDEO

The time is given in seconds, as minutes:seconds or as hours:minutes:seconds since the start of the part.
Semicolons and decimal commas, as Excel writes them, are read too; the text is UTF-8 ("CSV UTF-8" in Excel):

    game,part,time,label
    final,1,07:32,goal
    final,2,95.5,timeout

It writes games/NAME/Labels.json and the lists train.txt, valid.txt and test.txt (60, 20 and 20 % of the
games); hpo data new then writes dataset.toml and study.toml. Copy the features of part 1 of the game final to
handball/games/final/1_VIDEO.npy, an array (frames, values).
"""

import argparse
import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

from model.data.labels.annotation_files import read_annotations
from model.errors import DataError
from model.timeline import annotated


def read_games(file):
    """Return game -> annotations as label files hold them."""
    try:
        read = read_annotations(file, game="", part=1)
    except DataError as error:
        sys.exit(f"error: {error}")
    if read.problems:
        sys.exit("\n".join(f"error: {problem}" for problem in read.problems))
    games = defaultdict(list)
    for action in read.annotations:
        games[action.game].append(annotated(action.part, round(1000 * action.time_s), action.label))
    return games


def write_folder(games, folder):
    for name, annotations in games.items():
        game = folder / "games" / name
        game.mkdir(parents=True, exist_ok=True)
        (game / "Labels.json").write_text(json.dumps({"annotations": annotations}, indent=2))
    names = [f"games/{name}" for name in sorted(games)]
    random.Random(0).shuffle(names)
    fifth = max(1, len(names) // 5)
    lists = {"test": names[:fifth], "valid": names[fifth : 2 * fifth], "train": names[2 * fifth :]}
    for split, listed in lists.items():
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed), encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description="Make a data folder from a CSV file of actions.")
    parser.add_argument("csv", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rate", required=True, help="feature vectors per second")
    parser.add_argument("--features", required=True, help="stem of the feature files, such as VIDEO")
    typed = parser.parse_args()
    if (typed.folder / "dataset.toml").exists():
        sys.exit(f"error: {typed.folder} is a data folder already: move it away, or name another folder")
    games = read_games(typed.csv)
    if len(games) < 3:
        sys.exit(f"error: {typed.csv}: expected 3 games or more, one for each split, got {len(games)}")
    write_folder(games, typed.folder)
    words = ["data", "new", typed.folder, "--rate", typed.rate, "--features", typed.features]
    sys.exit(subprocess.run([sys.executable, "-m", "hpo", *words], check=False).returncode)


if __name__ == "__main__":
    main()
