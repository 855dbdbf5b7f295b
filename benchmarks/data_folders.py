"""What the commands say about data folders as people have them.

    python benchmarks/data_folders.py CASES

CASES is a folder of scripts that write one folder each (their first argument is its path). Prints every
command with its exit code and the lines in which it tells what it found.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CASES: dict[str, list[tuple[tuple[str, ...], list[str]]]] = {
    # Case -> (arguments of its script, commands); DIR is the folder that the script wrote.
    "both_label_versions": [
        (
            (),
            [
                "data check DIR --features resnet",
                "run bayes --study-file calf-v2 --data DIR --features resnet --dry-run",
            ],
        )
    ],
    "frame_rate_not_declared": [
        (("1",), ["data check DIR --features baidu_soccer_embeddings"]),
        (("5",), ["data check DIR --features ResNET_5fps_TF2_PCA512"]),
        (("25",), ["data check DIR --features ResNET_25fps_TF2_PCA512"]),
    ],
    "position_counted_from_match_start": [((), ["data check DIR --features resnet"])],
    "one_bad_label_hides_rest": [((), ["data check DIR --features resnet"])],
    "no_actions_in_valid": [
        ((), ["data check DIR --features resnet", "run bayes --data DIR --features resnet --dry-run"])
    ],
    "one_half_only": [
        ((way,), ["data check DIR --features ball", "run bayes --data DIR --features ball --dry-run"])
        for way in ("none", "empty", "short")
    ],
    "few_games_downloaded": [
        (
            (),
            [
                "data check DIR --features resnet",
                "data check DIR --features resnet --games 2,1",
                "run bayes --data DIR --features resnet --games 2,1 --dry-run",
            ],
        )
    ],
    "spots_lose_label_texts": [
        (
            (),
            [
                "run bayes --data DIR --features x --trials 1 --epochs 6 --study three",
                "evaluate --weights RUNS/studies/three/trials/bayes-0001/best.pt --data DIR --nms-window 20",
                "spot --weights RUNS/studies/three/trials/bayes-0001/best.pt --game DIR/l/s/test --to DIR/to",
            ],
        )
    ],
    "bmn_features_incomplete": [
        ((way,), ["data check DIR", "run bmn-slicing --data DIR --study-file bmn-demo --dry-run"])
        for way in ("missing", "bom", "t100")
    ],
}
TOLD = ("error:", "note", "  - ", "  fix:", "no problems", "  all ")
LONGEST = 230


def told(output: str) -> list[str]:
    """Return the lines of an output that tell what was found."""
    lines = [line for line in output.splitlines() if line.startswith(TOLD) or "/" in line[:40]]
    return [line.strip()[:LONGEST] for line in lines] or [output.strip().splitlines()[-1][:LONGEST]]


def run(command: str, folder: Path, runs: Path) -> tuple[int, list[str]]:
    """Run a command of ``hpo``; return its exit code and what it told."""
    words = [word.replace("DIR", str(folder)).replace("RUNS", str(runs)) for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-m", "hpo", *words],
        env={"PATH": "/usr/bin:/bin", "HPO_RUNS": str(runs), "HPO_CACHE": str(runs / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, [line.replace(str(folder), "DIR") for line in told(done.stdout + done.stderr)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run all cases and print what the commands say."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("cases", type=Path, metavar="CASES")
    scripts = parser.parse_args(arguments).cases
    for case, ways in CASES.items():
        for number, (options, commands) in enumerate(ways):
            with tempfile.TemporaryDirectory() as work:
                folder = Path(work) / f"{case}-{number}"
                script = [sys.executable, str(scripts / f"{case}.py"), str(folder), *options]
                subprocess.run(script, check=True)
                for command in commands:
                    code, lines = run(command, folder, Path(work) / "runs")
                    print(f"{' '.join((case, *options))}: hpo {command} -> {code}")
                    print("\n".join(f"    {line}" for line in lines), flush=True)


if __name__ == "__main__":
    main()
