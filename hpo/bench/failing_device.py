"""Trains a trial in a process of its own and makes its GPU fail once: ``python -m hpo.bench.failing_device``.

The specification of the trial is read from standard input. The first process ends because its device has
failed; the next one continues the trial to its end. Exit codes: 0 finished, 1 the device failed, 3 the trial
failed.
"""

import json
import sys
from pathlib import Path

import torch

from hpo.trial import in_training
from hpo.trial.array import TrialArray
from hpo.trial.specification import TrialSpec


def main() -> int:
    """Train the trial; return the exit code."""
    spec = TrialSpec.from_json(json.load(sys.stdin))
    death = in_training.take(Path(spec.folder))
    array, seen = TrialArray(), 0
    while True:
        result = array.step(spec.to_json(), seen, death)
        if death is None and not result["ended"]:
            break_device()
        if result["ended"]:
            print(result.get("failed") or result.get("unwritable", ""))
            return 0 if result.get("finished") else 3
        seen = result["epoch"]


def break_device() -> None:
    """Read past the end of a tensor on the GPU, which fails an assertion on the device."""
    outside = torch.ones(1, dtype=torch.int64, device="cuda")
    torch.zeros(1, device="cuda").index_select(0, outside)


if __name__ == "__main__":
    sys.exit(main())
