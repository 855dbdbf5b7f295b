"""Check that a trial survives a GPU that fails: its process ends, and a new one continues the trial."""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from hpo.bench.line import Line, judged
from hpo.bench.setting import Setting
from hpo.tasks.base.splits import SplitRef
from hpo.trial import in_training
from hpo.trial.specification import TrialSpec
from model.data.stores.store import Store

FAILING = (sys.executable, "-m", "hpo.bench.failing_device")
NAME = "device assert"
STUDY: dict[str, Any] = {
    "task": "calf",
    "training": {"epochs": 3, "validate_every": 1},
    "stages": {"bayes": {"trials": 1, "space": {"f": {"type": "int", "low": 1, "high": 8}}}},
}


def check_device_fault(setting: Setting, command: Sequence[str] = FAILING) -> Iterator[Line]:
    """Train a trial whose device fails in the first process, and continue it in a second one."""
    spec = _trial(setting)
    first, _ = _train(spec, command, setting.left_s)
    death = in_training.read(Path(spec.folder))
    if first != 1 or death is None:
        yield judged(NAME, False, f"the process did not end with its device, but with exit code {first}")
        return
    second, said = _train(spec, command, setting.left_s)
    if second:
        yield judged(NAME, False, f"the next process ended with exit code {second} {said}".rstrip())
        return
    yield judged(NAME, True, f"the process ended ({death}); a new one finished the trial")


def _train(spec: TrialSpec, command: Sequence[str], timeout_s: float) -> tuple[int, str]:
    done = subprocess.run(
        command,
        input=json.dumps(spec.to_json()),
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    return done.returncode, (done.stdout + done.stderr).strip()[-200:]


def _trial(setting: Setting) -> TrialSpec:
    return TrialSpec(
        trial="bayes-0001",
        parameters={"f": 4},
        seed=0,
        data_seed=0,
        study=STUDY,
        train=_reference(setting.train),
        valid=_reference(setting.valid),
        precision="float32",
        device=setting.device.type,
        folder=str(setting.folder / "failing-device"),
    )


def _reference(store: Store) -> SplitRef:
    return SplitRef(path=str(store.path), items=len(store.games))
