"""State of a device: its name and load, and whether it still works."""

import contextlib
import threading
from statistics import fmean
from types import TracebackType

import torch

MEGABYTE = 1e6
SAMPLE_S = 1.0
"""Seconds between two samples of a GPU's utilisation."""
MEMORY, UTILISATION = "system/gpu_0_memory_usage_megabytes", "system/gpu_0_utilization_percentage"
"""MLflow's names for the load of the first GPU; a process that trains sees only its own."""


def still_works(device: torch.device) -> bool:
    """Return whether a device still works in this process.

    After an illegal access, a failed assertion or a memory error on a GPU, every further call of CUDA in the
    process fails; only a new process can use the GPU again.
    """
    if device.type != "cuda":
        return True
    try:
        torch.cuda.synchronize(device)
    except Exception:  # errors of CUDA, and of a machine that has lost its GPU, have many types
        return False
    return True


def describe_device(device: torch.device) -> str:
    """Return name and memory of a GPU, such as ``NVIDIA H100 80GB HBM3, 84.9 GB``.

    The result is empty for a processor and for a GPU that does not answer.
    """
    if device.type == "cuda":
        with contextlib.suppress(Exception):  # errors of CUDA have many types
            properties = torch.cuda.get_device_properties(device)
            return f"{properties.name}, {properties.total_memory / 1e9:.1f} GB"
    return ""


class LoadMeter:
    """Context that measures the load of a GPU while it is open; nothing is measured on a processor.

    The utilisation is sampled beside the work: after it, when trials are scored and written, a GPU is idle.
    """

    def __init__(self, device: torch.device) -> None:
        """Prepare to measure ``device``."""
        self._device = device
        self._samples: list[float] = []
        self._ended = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "LoadMeter":
        if self._device.type == "cuda":
            with contextlib.suppress(Exception):  # errors of CUDA have many types
                torch.cuda.reset_peak_memory_stats(self._device)
            self._sampler.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        if self._device.type == "cuda":
            self._sampler.join()

    @property
    def load(self) -> dict[str, float]:
        """Largest memory of this process on the GPU and mean utilisation, under MLflow's names for them.

        Without the package ``nvidia-ml-py`` there is no utilisation.
        """
        if self._device.type != "cuda":
            return {}
        load = {}
        with contextlib.suppress(Exception):  # a GPU that has failed does not answer
            load[MEMORY] = torch.cuda.max_memory_reserved(self._device) / MEGABYTE
        if self._samples:
            load[UTILISATION] = fmean(self._samples)
        return load

    def _sample(self) -> None:
        has_ended = False
        with contextlib.suppress(Exception):  # the package and the driver raise many types
            while not has_ended:
                has_ended = self._ended.wait(SAMPLE_S)
                if not (has_ended and self._samples):
                    self._samples.append(float(torch.cuda.utilization(self._device)))
