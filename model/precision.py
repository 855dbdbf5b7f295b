"""Number formats of the matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "tf32", "bfloat16"]
"""Number format of matrix products; ``tf32``: float32 with 10 bits of the fraction, on a GPU only."""


@dataclass(frozen=True, slots=True)
class NumberFormats:
    """Number formats in which a device computes.

    PyTorch's defaults differ between its libraries: cuDNN rounds float32 to TF32 and cuBLAS does not, and
    sums of bfloat16 products may be rounded to bfloat16. Here each is set on purpose.
    """

    products: Precision
    """Format of the factors of matrix products and convolutions."""
    sums: Literal["float32"] = "float32"
    """Format in which their products are summed, and of weights, normalisation and losses."""


def compute_dtype(precision: Precision) -> "torch.dtype":
    """Return the type of the features that enter a network, which is that of its matrix products.

    Weights, sums, norms and losses are float32 in either case.
    """
    import torch  # commands that only read a study do without

    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def precisions_of(device: "torch.device") -> tuple[Precision, ...]:
    """Return the number formats that a device has; a processor computes ``tf32`` as ``float32``."""
    every: tuple[Precision, ...] = get_args(Precision)
    return every if device.type == "cuda" else tuple(each for each in every if each != "tf32")


def processor_precision() -> Precision:
    """Return ``bfloat16`` on a processor that multiplies it in hardware, else ``float32``.

    In hardware it is faster than float32, elsewhere ten times as slow. A rule gives the same answer every
    time, which a measurement beside other work does not.
    """
    import torch

    # PyTorch names the instructions differently on x86 and on ARM. Version 2.6 knows those of x86 only.
    if hasattr(torch.cpu, "get_capabilities"):
        capabilities = torch.cpu.get_capabilities()
        has_products = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    else:
        has_products = torch.cpu._is_avx512_bf16_supported()
    return "bfloat16" if has_products else "float32"


def number_formats(precision: Precision, device: "torch.device") -> NumberFormats:
    """Return the formats in which ``device`` computes inside ``computing``."""
    return NumberFormats(precision if precision in precisions_of(device) else "float32")


@contextmanager
def computing(precision: Precision, device: "torch.device") -> Iterator[None]:
    """Compute in the formats of ``number_formats`` inside the context; afterwards as before."""
    if device.type != "cuda":
        yield
        return
    import torch

    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = (
        products.allow_tf32,
        convolutions.allow_tf32,
        products.allow_bf16_reduced_precision_reduction,
    )
    products.allow_tf32 = convolutions.allow_tf32 = precision == "tf32"
    products.allow_bf16_reduced_precision_reduction = False
    try:
        yield
    finally:
        products.allow_tf32, convolutions.allow_tf32 = before[:2]
        products.allow_bf16_reduced_precision_reduction = before[2]
