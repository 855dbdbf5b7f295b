"""Checks of the machine: GPU, driver, torch, and the number formats in which it multiplies."""

import shutil
import subprocess
from collections.abc import Iterator
from typing import get_args

import torch

from hpo.bench.line import NEEDS_GPU, Line, judged, not_checked
from hpo.bench.setting import Setting
from model.precision import Precision, compute_dtype, computing, precisions_of
from model.training.device_state import UTILISATION, LoadMeter, describe_device

_ASKED = "name,memory.total,driver_version,compute_mode"
_ASK_S = 30.0
_ROWS = 512

FIRST_WITH_TF32 = (8, 0)
"""Compute capability of the first GPUs that have TF32."""
PRODUCT_ERROR: dict[Precision, tuple[float, float]] = {
    "float32": (0.0, 1e-5),
    "tf32": (1e-5, 1e-2),
    "bfloat16": (1e-4, 5e-2),
}
"""Relative error of a product in each format: the least and the greatest. A smaller one is another format."""


def check_driver(setting: Setting) -> Iterator[Line]:
    """Report the GPUs of this machine, as the driver describes them."""
    name, gpus = "GPU and driver", gpus_of_driver()
    if gpus is None:
        yield not_checked(name, "nvidia-smi is not installed or does not answer")
        return
    prohibited = any("Prohibited" in gpu for gpu in gpus)
    yield judged(name, bool(gpus) and not prohibited, "; ".join(gpus) or "nvidia-smi lists no GPU")


def check_load(setting: Setting) -> Iterator[Line]:
    """Report the load of the GPU as MLflow records it for every trial."""
    with LoadMeter(setting.device) as meter:
        _product_error("float32", setting.device)
    name, load = "GPU in MLflow", meter.load
    measured = ", ".join(f"{metric} {value:.0f}" for metric, value in load.items())
    figures = f"{describe_device(setting.device)}; {measured}"
    if UTILISATION in load:
        yield judged(name, True, figures)
    else:
        yield not_checked(name, f"{figures}; utilisation needs: pip install '.[gpu]'")


def check_torch(setting: Setting) -> Iterator[Line]:
    """Report torch's version; fail if this machine has a GPU that torch was built without."""
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else "no CUDA"
    version = f"{torch.__version__} ({built}), {torch.get_num_threads()} threads"
    unused = None if torch.cuda.is_available() else gpus_of_driver()
    if unused:
        version = f"{version}; it cannot use {unused[0].split(',')[0]}: install torch for its driver"
    yield judged("torch", not unused, version)


def check_products(setting: Setting) -> Iterator[Line]:
    """Multiply in each number format and compare the rounding with what the format has."""
    available = precisions_of(setting.device)
    for precision in get_args(Precision):
        name = f"product in {precision}"
        if precision not in available:
            yield not_checked(name, NEEDS_GPU)
            continue
        if precision == "tf32" and torch.cuda.get_device_capability(setting.device) < FIRST_WITH_TF32:
            yield not_checked(name, "this GPU is older than TF32 and computes it as float32")
            continue
        least, greatest = PRODUCT_ERROR[precision]
        error = _product_error(precision, setting.device)
        flags = f"; {_flags(precision, setting.device)}" if setting.has_gpu else ""
        yield judged(
            name,
            least <= error <= greatest,
            f"relative error {error:.1e}, expected {least:.0e} to {greatest:.0e}{flags}",
        )


def gpus_of_driver() -> list[str] | None:
    """Return name, memory, driver and compute mode of every GPU; None if ``nvidia-smi`` does not answer."""
    if not shutil.which("nvidia-smi"):
        return None
    try:
        answer = subprocess.run(
            ["nvidia-smi", f"--query-gpu={_ASKED}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=_ASK_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if answer.returncode else answer.stdout.split("\n")[:-1]


def _product_error(precision: Precision, device: torch.device) -> float:
    generator = torch.Generator().manual_seed(0)
    factors = torch.randn(2, _ROWS, _ROWS, generator=generator)
    with computing(precision, device):
        first, second = factors.to(device).to(compute_dtype(precision))
        found = (first @ second).double().cpu()
    exact = factors[0].double() @ factors[1].double()
    return float((found - exact).norm() / exact.norm())


def _flags(precision: Precision, device: torch.device) -> str:
    with computing(precision, device):
        products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
        return (
            f"tf32 in cuBLAS {_on(products.allow_tf32)}, in cuDNN {_on(convolutions.allow_tf32)}, "
            f"sums in bfloat16 {_on(products.allow_bf16_reduced_precision_reduction)}"
        )


def _on(flag: bool) -> str:
    return "on" if flag else "off"
