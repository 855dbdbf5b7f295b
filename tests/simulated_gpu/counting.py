"""Kernels, bytes and operations of a training step on a GPU, counted without numbers and without a GPU.

The tensors have shapes and say that they are on ``cuda:0``, but hold nothing. Only in a process of ``shim``.
"""

import json
import math
import sys
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model.data.chunks import ChunkSource
from model.encoding import Zones
from model.losses.complete import LossConfig
from model.networks.calf_config import NetworkConfig
from model.training.config import TrialConfig
from model.training.recorder import Recorder
from model.training.roofline import count_operations
from model.training.slot import Slot
from model.training.steps import RecordedSteps

GPU = torch.device("cuda", 0)
VIEWS = {
    *("view", "_unsafe_view", "_reshape_alias", "view_as", "as_strided", "alias", "detach", "lift_fresh"),
    *("slice", "select", "narrow", "unbind", "split", "split_with_sizes", "diagonal"),
    *("expand", "squeeze", "unsqueeze", "transpose", "t", "permute"),
    *("empty", "empty_like", "new_empty", "empty_strided"),
}
"""Operations without a kernel."""
KERNELS = {
    **dict.fromkeys(("baddbmm", "slice_backward", "select_backward", "masked_fill", "index_put_"), 2),
    **dict.fromkeys(("scatter_reduce", "scatter_add", "constant_pad_nd", "index_copy"), 2),
    **{"max_pool2d_with_indices_backward": 2, "sort": 3, "topk": 4},
}
"""Kernels of operations with more than one: most first copy or fill their result."""
ROWS_PER_LAUNCH, CHUNKS_PER_LAUNCH, CHUNK = 36, 320, 65536
"""Limits of a launch of the fused Adam (MultiTensorApply.cuh, four lists of tensors)."""
TENSORS_PER_LAUNCH = 110
"""Limit of a launch on one list of tensors."""


@dataclass(frozen=True, slots=True)
class StepWork:
    """Work of one training step of an array."""

    kernels: int
    """Kernels on the device: launches of the host where the step is not recorded."""
    stacks: int
    """Stacks that the trials are computed as."""
    gigabytes: float
    """Bytes that the kernels read and write, as if there were no cache."""
    gigaflops: float
    """Operations of matrix products."""
    peak_gigabytes: float
    """Largest memory of a step beside weights, moments and data."""


class _Counts(TorchDispatchMode):
    """Counts kernels and bytes and follows the memory of a step; refuses tensors of the host.

    Args:
        first: True for the first step, which copies constants to the device.
    """

    def __init__(self, *, first: bool = False) -> None:
        super().__init__()
        self._first = first
        self.kernels: Counter[str] = Counter()
        self.bytes = 0
        self.peak = 0
        self._current = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self, function: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        # The fused Adam, whose results lie in its arguments, cannot be done without numbers.
        result = None if "_fused_adam_" in str(function) else function(*args, **(kwargs or {}))
        name = str(function).removeprefix("aten.").split(".")[0]
        if str(function).startswith("prim."):
            return result
        read = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        written = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        devices = {leaf.device.type for leaf in (*read, *written)}
        if not self._first and any(leaf.dim() for leaf in (*read, *written) if leaf.device.type == "cpu"):
            raise RuntimeError(f"{name}: tensors on {' and '.join(sorted(devices))}")
        for leaf in written:
            self._follow(leaf)
        if name not in VIEWS:
            self.kernels[name] += _kernels(name, args)
            self.bytes += _bytes(name, args, read, written)
        return result

    def _follow(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key in self._alive:
            return
        size = math.ceil(storage.nbytes() / 512) * 512
        self._alive.add(key)
        self._current += size
        self.peak = max(self.peak, self._current)
        weakref.finalize(storage, self._forget, key, size)

    def _forget(self, key: int, size: int) -> None:
        self._alive.discard(key)
        self._current -= size


def _kernels(name: str, args: Sequence[Any]) -> int:
    if name == "_fused_adam_":
        chunks = sum(math.ceil(row.numel() / CHUNK) for row in args[0])
        return max(math.ceil(len(args[0]) / ROWS_PER_LAUNCH), math.ceil(chunks / CHUNKS_PER_LAUNCH))
    if name.startswith("_foreach"):
        return math.ceil(len(args[0]) / TENSORS_PER_LAUNCH)
    return KERNELS.get(name, 1)


def _bytes(name: str, args: Sequence[Any], read: list[Tensor], written: list[Tensor]) -> int:
    if name == "_fused_adam_":
        # Weights, gradients and both moments are read; all but the gradients are written.
        return sum(7 * row.nbytes for row in args[0])
    fresh = [leaf for leaf in written if not any(leaf is each for each in read)]
    moved = [leaf for leaf in (*read, *fresh) if 0 not in leaf.stride()]
    in_place = sum(leaf.nbytes for leaf in written if any(leaf is each for each in read))
    return sum(leaf.nbytes for leaf in moved) + in_place


def trials(
    count: int, sizes: Sequence[tuple[int, int]], *, classes: int = 3, dims: int = 512
) -> list[TrialConfig]:
    """Return trials whose (f, r) are those of ``sizes``, in turn."""
    network = NetworkConfig(input_size=dims, classes=classes)
    loss = LossConfig(zones=Zones(((-40.0, -20.0, 20.0, 40.0),) * classes))
    chosen = [sizes[index % len(sizes)] for index in range(count)]
    return [
        TrialConfig(network=replace(network, class_features=f, receptive_field_frames=r), loss=loss)
        for f, r in chosen
    ]


def work_of_step(configs: Sequence[TrialConfig], *, dtype: torch.dtype, batch: int = 32) -> StepWork:
    """Count the second step of an array whose trials see the same chunks."""
    slots = [Slot(config) for config in configs]
    network = configs[0].network
    with FakeTensorMode(allow_non_fake_inputs=True):
        source = _source(network, dtype)
        steps = RecordedSteps([slots], source, GPU, Recorder())
        place = torch.zeros(3, 1, batch, dtype=torch.int64, device=GPU)
        with _Counts(first=True):
            steps._learn(place)
        counts = _Counts()
        with count_operations() as operations, counts:
            steps._learn(place)
    return StepWork(
        kernels=sum(counts.kernels.values()),
        stacks=len(steps._parts),
        gigabytes=round(counts.bytes / 1e9, 3),
        gigaflops=round(operations.get_total_flops() / 1e9, 1),
        peak_gigabytes=round(counts.peak / 1e9, 3),
    )


def _source(network: NetworkConfig, dtype: torch.dtype) -> ChunkSource:
    """Chunks of ten halves of 45 minutes, on the device."""
    source: Any = object.__new__(ChunkSource)
    source._device, source._dtype, source.is_resident = GPU, dtype, True
    source._within = torch.arange(network.chunk_frames, device=GPU)[:, None]
    source._first = torch.zeros(10, dtype=torch.int64, device=GPU)
    source._frames = torch.full((10,), 5400, device=GPU)
    source._features = torch.empty(54_000, network.input_size, dtype=torch.float16, device=GPU)
    source._past, source._future = (
        torch.empty(54_000, network.classes, dtype=torch.int16, device=GPU) for _ in range(2)
    )
    return source  # type: ignore[no-any-return]


def main() -> None:
    """Count the steps that standard input describes: a JSON list of the arguments of ``trials``."""
    torch.set_num_threads(1)
    found = []
    for case in json.load(sys.stdin):
        dtype = getattr(torch, case.pop("dtype", "float32"))
        found.append(asdict(work_of_step(trials(**case), dtype=dtype)))
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
