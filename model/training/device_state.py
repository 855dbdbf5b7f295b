"""State of a device: its name and load, whether it still works, and whether its memory was too small."""

import contextlib

import torch

MEGABYTE = 1e6


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


def ran_out_of_memory(error: BaseException | None) -> bool:
    """Return whether ``error`` or an error that it replaced says that the device's memory is too small.

    The end of a CUDA capture in which memory ran out raises another error.
    """
    while error is not None:
        if isinstance(error, torch.OutOfMemoryError):
            return True
        error = error.__cause__ or error.__context__
    return False


def describe_device(device: torch.device) -> str:
    """Return name and memory of a GPU, such as ``NVIDIA H100 80GB HBM3, 84.9 GB``.

    The result is empty for a processor and for a GPU that does not answer.
    """
    if device.type == "cuda":
        with contextlib.suppress(Exception):  # errors of CUDA have many types
            properties = torch.cuda.get_device_properties(device)
            return f"{properties.name}, {properties.total_memory / 1e9:.1f} GB"
    return ""


def device_load(device: torch.device) -> dict[str, float]:
    """Return this process's memory on a GPU, and the GPU's utilisation, under MLflow's names for them.

    The result is empty for a processor. The utilisation needs the package ``nvidia-ml-py``.
    """
    load: dict[str, float] = {}
    if device.type == "cuda":
        with contextlib.suppress(Exception):  # the package and the driver raise many types
            reserved = torch.cuda.max_memory_reserved(device)
            load["system/gpu_0_memory_usage_megabytes"] = reserved / MEGABYTE
            load["system/gpu_0_utilization_percentage"] = float(torch.cuda.utilization(device))
    return load
