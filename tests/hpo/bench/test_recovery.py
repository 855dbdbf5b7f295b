"""A device that fails in a child: what recovers passes, what does not fails."""

import sys
from pathlib import Path

from hpo.bench.recovery import check_device_fault
from hpo.bench.setting import Setting

STAND_IN = (sys.executable, str(Path(__file__).with_name("failing_process.py")))


def test_trial_whose_process_ends_with_its_device_is_finished_by_the_next(setting: Setting) -> None:
    (line,) = check_device_fault(setting, STAND_IN)
    assert line.verdict == "PASS", line
    assert "device-side assert triggered" in line.figures and "finished the trial" in line.figures


def test_process_that_goes_on_with_a_failed_device_fails(setting: Setting) -> None:
    (line,) = check_device_fault(setting, (*STAND_IN, "stays"))
    assert line.verdict == "FAIL" and "exit code 3" in line.figures, line


def test_second_process_that_does_not_finish_fails(setting: Setting) -> None:
    """The first leaves the record of a failed device, as does every one after it."""
    script = (
        "import json, sys; from pathlib import Path; from hpo.trial.files import IN_TRAINING; "
        "folder = Path(json.load(sys.stdin)['folder']); folder.mkdir(exist_ok=True); "
        "(folder / IN_TRAINING).write_text('broken'); sys.exit(1)"
    )
    (line,) = check_device_fault(setting, (sys.executable, "-c", script))
    assert line.verdict == "FAIL" and "the next process ended with exit code 1" in line.figures, line
