"""Make a data folder from a CSV file of actions with the columns game, part, time, label.

    python own_data.py actions.csv handball --rate 5 --features VIDEO

The time is given in seconds or as minutes:seconds since the start of the part. Semicolons and decimal commas,
as Excel writes them, are read too:

    game,part,time,label
    final,1,07:32,goal
    final,2,95.5,timeout

It writes games/NAME/Labels.json and the lists train.txt, valid.txt and test.txt (60, 20 and 20 % of the
games); hpo data new then writes dataset.toml and study.toml. Copy the features of part 1 of the game final to
handball/games/final/1_VIDEO.npy, an array (frames, values).
"""

import argparse
import csv
import json
import random
import subprocess
import sys
from collections import defaultdict
from pathlib import Path


def seconds(text):
    minutes, _, rest = text.rpartition(":")
    return 60 * int(minutes or 0) + float(rest)


def read_games(file):
    """Return game -> annotations as label files hold them."""
    games = defaultdict(list)
    with file.open(newline="", encoding="utf-8-sig") as rows:
        separator = max(",;\t", key=rows.readline().count)
        rows.seek(0)
        for number, row in enumerate(csv.DictReader(rows, delimiter=separator), start=2):
            try:
                written = row["time"] if separator == "," else row["time"].replace(",", ".")
                part, time = int(row["part"]), seconds(written)
                clock = f"{part} - {int(time) // 60:02d}:{int(time) % 60:02d}"
                action = {
                    "gameTime": clock,
                    "label": row["label"].strip(),
                    "position": str(round(1000 * time)),
                }
                games[row["game"].strip()].append(action)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                sys.exit(
                    f"error: {file}, line {number}: expected game, part, time, label, got {row} ({error})"
                )
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
        (folder / f"{split}.txt").write_text("".join(f"{name}\n" for name in listed))


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
