"""State of a device after an error: whether it still works, and whether its memory was too small."""

import torch


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
