"""A simulated GPU: tensors that hold numbers on the processor and say that they are on ``cuda:0``.

It refuses what a GPU refuses: operations on tensors of two devices, and, while a CUDA graph is captured,
whatever waits for the host or copies from it. A graph repeats its operations on the same memory. Only in a
process of ``shim``.
"""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakSet

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map

GPU = torch.device("cuda", 0)
READS = (
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "unique",
    "repeat_interleave",
    "equal",
    "is_nonzero",
)
"""Operations whose result or size the host has to wait for."""


class RefusedError(RuntimeError):
    """What a GPU would not do."""


class Device:
    """State of the simulated GPU."""

    waits: ClassVar[Counter[str]] = Counter()
    """Operations for which the host waited, or that copied between host and device, by kind."""
    captures = 0
    replays = 0
    pools: ClassVar[set[int]] = set()
    is_strict = False
    """Whether to refuse whatever waits for the host, as ``torch.cuda.set_sync_debug_mode`` can ask for."""
    tape: list[tuple[Callable[..., Any], Any, Any, Any]] | None = None
    """Operations of the graph that is being captured."""

    @classmethod
    def reset(cls) -> None:
        """Forget all counts."""
        cls.waits, cls.captures, cls.replays, cls.pools = Counter(), 0, 0, set()

    @classmethod
    def wait(cls, kind: str, name: str) -> None:
        """Count an operation that a capture must not contain."""
        if cls.tape is not None:
            raise RefusedError(f"{kind} by {name} during a capture")
        if cls.is_strict:
            raise RefusedError(f"called a synchronizing CUDA operation: {kind} by {name}")
        cls.waits[kind] += 1


class GpuTensor(Tensor):
    """A tensor on the simulated GPU."""

    inner: Tensor

    @staticmethod
    def __new__(cls, inner: Tensor) -> "GpuTensor":
        """Wrap the tensor that holds the numbers."""
        made: GpuTensor = Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
            cls,
            inner.size(),
            strides=inner.stride(),
            storage_offset=inner.storage_offset(),
            dtype=inner.dtype,
            device=GPU,
        )
        made.inner = inner
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def tolist(self) -> Any:
        """Read all numbers."""
        Device.wait("read", "tolist")
        return self.inner.tolist()

    def __repr__(self) -> str:  # type: ignore[override]
        """Show the numbers."""
        return f"GpuTensor({self.inner!r})"

    @classmethod
    def __torch_dispatch__(
        cls, function: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do an operation."""
        return _do(function, args, dict(kwargs or {}))


class SimulatedGpu(TorchDispatchMode):
    """Context in which tensors can be made on, and moved to, ``cuda``."""

    def __torch_dispatch__(
        self, function: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Do an operation."""
        return _do(function, args, dict(kwargs or {}))


def _do(function: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    name = str(function).removeprefix("aten.").split(".")[0]
    if str(function).startswith("prim.device"):
        return GPU if isinstance(args[0], GpuTensor) else args[0].device
    given = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    on_gpu = [leaf for leaf in given if isinstance(leaf, GpuTensor)]
    wanted = None if kwargs.get("device") is None else torch.device(kwargs["device"]).type
    if not on_gpu and wanted != "cuda":
        return function(*args, **kwargs)
    if not (name == "_to_copy" and kwargs.get("non_blocking") and all(map(_is_locked, given))):
        _check(name, args, given, wanted)
    to_host = name in ("_to_copy", "to") and wanted == "cpu"
    inner_args, inner_kwargs = tree_map(
        lambda leaf: leaf.inner if isinstance(leaf, GpuTensor) else leaf, (args, kwargs)
    )
    if "device" in inner_kwargs:
        inner_kwargs["device"] = torch.device("cpu")
    result = function(*inner_args, **inner_kwargs)
    if to_host:
        return result.clone() if result is inner_args[0] else result
    if name == "_local_scalar_dense" or (name == "copy_" and not isinstance(args[0], GpuTensor)):
        return result if name == "_local_scalar_dense" else args[0]
    if Device.tape is not None:
        Device.tape.append((function, inner_args, inner_kwargs, result))
    wrapped = tree_map(lambda leaf: GpuTensor(leaf) if isinstance(leaf, Tensor) else leaf, result)
    return return_and_correct_aliasing(function, args, kwargs, wrapped) if on_gpu else wrapped


def _lock_pages(tensor: Tensor) -> Tensor:
    """Copy a tensor to page-locked memory, from which a copy to the device need not be waited for."""
    copy = tensor.clone()
    copy.page_locked = True  # type: ignore[attr-defined]
    return copy


def _is_locked(tensor: Tensor) -> bool:
    return getattr(tensor, "page_locked", False)


def _check(name: str, args: Sequence[Any], given: list[Tensor], wanted: str | None) -> None:
    """Refuse tensors of two devices, and count or refuse what waits for the host."""
    on_host = [leaf for leaf in given if not isinstance(leaf, GpuTensor)]
    if len(on_host) == len(given):
        if given:
            Device.wait("copy to the device", name)
    elif name in READS:
        Device.wait("read", name)
    elif name in ("index", "index_put", "index_put_"):
        for index in (leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor)):
            if index.dtype in (torch.bool, torch.uint8):
                Device.wait("read", f"{name} by a mask")
            if not isinstance(index, GpuTensor):
                Device.wait("copy to the device", f"{name} by an index of the host")
    elif name in ("_to_copy", "to"):
        if wanted == "cpu":
            Device.wait("read", name)
    elif name == "copy_":
        if on_host:
            Device.wait("copy to the device" if isinstance(args[0], GpuTensor) else "read", name)
    elif any(leaf.dim() for leaf in on_host):
        raise RefusedError(f"{name}: tensors on cuda:0 and on the host")
    elif on_host and name == "where":
        Device.wait("copy to the device", f"{name} with a number of the host")


class Graph:
    """A CUDA graph."""

    def __init__(self) -> None:
        self.tape: list[tuple[Callable[..., Any], Any, Any, Any]] = []

    def replay(self) -> None:
        """Repeat the operations; what they give overwrites what they gave before."""
        Device.replays += 1
        for function, args, kwargs, before in self.tape:
            again = function(*args, **kwargs)
            for new, old in zip(tree_leaves(again), tree_leaves(before), strict=True):
                if isinstance(old, Tensor) and new is not old:
                    if new.untyped_storage().data_ptr() != old.untyped_storage().data_ptr():
                        with torch.no_grad():
                            old.copy_(new)


class Pool:
    """Memory of graphs, which ends with the last of them."""

    def __init__(self) -> None:
        self.graphs: WeakSet[Graph] = WeakSet()
        self.was_used = False

    def add(self, graph: Graph) -> None:
        """Give a graph memory of the pool."""
        if self.was_used and not self.graphs:
            raise RuntimeError("it->second->use_count > 0 INTERNAL ASSERT FAILED")
        self.was_used = True
        self.graphs.add(graph)


@contextlib.contextmanager
def _capture(graph: Graph, pool: Pool, stream: object) -> Iterator[None]:
    pool.add(graph)
    Device.captures += 1
    Device.pools.add(id(pool))
    Device.tape = graph.tape
    try:
        yield
    finally:
        Device.tape = None


class _Stream:
    def wait_stream(self, stream: object) -> None:
        pass


def _set_sync_debug_mode(mode: str) -> None:
    Device.is_strict = mode == "error"


def install() -> None:
    """Let PyTorch's functions for CUDA mean the simulated GPU."""
    torch._C._set_only_lift_cpu_tensors(True)  # type: ignore[attr-defined]
    stands_in: dict[str, Any] = {
        "_lazy_init": lambda: None,
        "is_available": lambda: True,
        "is_bf16_supported": lambda *_, **__: True,
        "Stream": _Stream,
        "current_stream": lambda *_: _Stream(),
        "stream": lambda stream: contextlib.nullcontext(),
        "CUDAGraph": Graph,
        "graph": _capture,
        "graph_pool_handle": Pool,
        "empty_cache": lambda: None,
        "synchronize": lambda *_: None,
        "set_sync_debug_mode": _set_sync_debug_mode,
        "mem_get_info": lambda *_: (80 << 30, 80 << 30),
    }
    for name, function in stands_in.items():
        setattr(torch.cuda, name, function)
    torch.Tensor.pin_memory = _lock_pages  # type: ignore[assignment,method-assign]
    torch.accelerator.current_accelerator = lambda check_available=False: None
