"""The check's child process where a stand-in GPU fails: its second training raises an error of CUDA."""

import sys

from hpo.bench import failing_device
from hpo.trial import array as array_module
from model.training.trainer import TrainingArray

broken = False
advance = TrainingArray.advance


def break_device() -> None:
    global broken
    broken = True


def refuse_if_broken(array: TrainingArray) -> object:
    if broken:
        raise RuntimeError("CUDA error: device-side assert triggered")
    return advance(array)


failing_device.break_device = break_device
# With "stays" the process does not find out that its device has failed.
array_module.still_works = lambda device: not broken or "stays" in sys.argv
TrainingArray.advance = refuse_if_broken  # type: ignore[assignment,method-assign]
sys.exit(failing_device.main())
