"""Long convolutions in time as matrix products in the frequency domain.

The pyramid of the paper convolves 240 frames with kernels of up to r frames: 0.22 of 0.25 million
multiplications a frame. A discrete Fourier transform written as a product with a constant matrix, one small
product a frequency and the inverse transform need a quarter of them, and all are plain matrix products,
which bfloat16 and GPUs speed up. Against ``conv1d`` on two cores: 4 times in float32, 12 in bfloat16.
"""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor


@lru_cache(maxsize=64)
def _transforms(frames: int, longest: int, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Matrices (2 bins, frames), (2 bins, longest) and (frames, 2 bins): signal, kernel and way back.

    Circular convolution over frames + longest // 2 points equals zero-padded convolution on the first
    ``frames`` of them: what wraps around falls on points that are not read.
    """
    points = frames + longest // 2
    bins = points // 2 + 1
    turn = 2.0 * math.pi * torch.arange(bins, dtype=torch.float64)[:, None] / points
    time = torch.arange(frames, dtype=torch.float64)
    tap = (longest - 1) // 2 - torch.arange(longest, dtype=torch.float64)
    signal = torch.cat([(turn * time).cos(), -(turn * time).sin()])
    kernel = torch.cat([(turn * tap).cos(), -(turn * tap).sin()])
    share = torch.full((bins, 1), 2.0 / points, dtype=torch.float64)
    share[0] = 1.0 / points
    if points % 2 == 0:
        share[-1] = 1.0 / points
    back = signal * torch.cat([share, share])
    return signal.float().to(device), kernel.float().to(device), back.T.float().contiguous().to(device)


def convolve(
    signal: Float[Tensor, "frames batch channels"],
    kernels: list[Float[Tensor, "_ channels _"]],
    bias: Float[Tensor, " all_outputs"],
) -> Float[Tensor, "frames batch all_outputs"]:
    """Convolve with several kernels of different lengths, zero-padded to keep the number of frames.

    Args:
        signal: Time first.
        kernels: The tap in the middle, index (taps - 1) // 2, meets the frame itself.
        bias: Added to every frame.

    Returns:
        The outputs of all kernels, one after the other.
    """
    frames, batch, channels = signal.shape
    longest = max(len(kernel) for kernel in kernels)
    to_frequency, kernel_to_frequency, back = _transforms(frames, longest, str(signal.device))
    real, imaginary = (to_frequency @ signal.reshape(frames, -1)).view(2, -1, batch, channels)
    spectra = [_kernel_spectrum(kernel, longest, kernel_to_frequency) for kernel in kernels]
    kernel_real, kernel_imaginary = torch.cat(spectra, dim=-1)
    product_real = torch.baddbmm(torch.bmm(real, kernel_real), imaginary, kernel_imaginary, alpha=-1.0)
    product_imaginary = torch.baddbmm(torch.bmm(real, kernel_imaginary), imaginary, kernel_real)
    product = torch.cat([product_real, product_imaginary]).view(back.shape[1], -1)
    return torch.addmm(bias.repeat(batch), back, product).view(frames, batch, -1)


def _kernel_spectrum(
    kernel: Float[Tensor, "taps channels outputs"], longest: int, to_frequency: Float[Tensor, "rows longest"]
) -> Float[Tensor, "2 bins channels outputs"]:
    """Transform one kernel, its middle tap aligned with that of the longest."""
    taps, channels, outputs = kernel.shape
    first = (longest - 1) // 2 - (taps - 1) // 2
    spectrum = to_frequency[:, first : first + taps] @ kernel.reshape(taps, -1)
    return spectrum.view(2, -1, channels, outputs)
