"""Cost of faults in a study: trials lost, trials repeated, seconds until the training continues.

    python benchmarks/faults.py --work DIR [--only WORD]

Runs the faults of tests/faults on the small synthetic study of the tests, writes everything into DIR, and
prints one line per fault. The first study has no fault; all others must end with the same scores. The
benchmark needs the extra ``test``, and the right to mount file systems for the fault "full disk".
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import mkdtemp

# In place of the folder of this file, whose name hides that of the tests.
sys.path.pop(0)
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from e2e.command_line import CommandLine
from faults.faults import FAULTS, CannotMountError
from faults.study import STUDY, WORDS, Account, scores

from model.data.synthetic import write_synthetic


def main() -> None:
    """Run all faults and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for data and studies")
    parser.add_argument("--only", default="", help="faults with this word in their name")
    options = parser.parse_args()
    here = _command_line(options.work)
    undisturbed = here.run(*here.study(STUDY, *WORDS))
    assert undisturbed.returncode == 0, undisturbed.stderr
    expected = scores(here.events(STUDY))
    print("| fault | trials lost | trials repeated | seconds to recover | same scores |")
    print("|---|---|---|---|---|", flush=True)
    for name, play in FAULTS.items():
        if options.only in name:
            print(_line(name, play, _command_line(options.work), expected), flush=True)


def _command_line(work: Path) -> CommandLine:
    data = work / "small"
    if not (data / "dataset.toml").exists():
        write_synthetic(data, games={"train": 2, "valid": 1, "test": 1}, dims=16, minutes=20, seed=1)
    return CommandLine(Path(mkdtemp(dir=work)), data, work / "cache")


def _line(
    name: str, play: Callable[[CommandLine], Account], hpo: CommandLine, expected: dict[str, float]
) -> str:
    try:
        account = play(hpo)
    except CannotMountError as error:
        return f"| {name} | not run: {error} | | | |"
    recorded = {
        trial for (trial, status), runs in account.recorded.items() if (status, runs) == ("finished", 1)
    }
    same = account.finished == expected and recorded == set(expected)
    recovered = f"{account.recovered_s:.1f}"
    return f"| {name} | {account.lost} | {account.repeated} | {recovered} | {'yes' if same else 'no'} |"


if __name__ == "__main__":
    main()
