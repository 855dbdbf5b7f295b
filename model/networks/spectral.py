"""Long temporal convolutions as matrix products in the frequency domain.

The pyramid of the paper convolves 240 frames with kernels of up to r frames: 0.22 of 0.25 million
multiplications per frame. A discrete Fourier transform as a product with a constant matrix, one small
product per frequency and the inverse transform need a quarter of these multiplications, and a seventh where
the signal is folded first. All are plain matrix products, which bfloat16 and GPUs accelerate.

The product grows with the square of the number of frames. For the long chunks of high frame rates, such as
3000 frames at 25 per second, the fast Fourier transform takes its place.
"""

import math
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional

LONGEST_PRODUCT = 1024
"""Number of points up to which the transform is a product: a matrix then takes at most 4 MB."""

TENSOR_CORE_ROWS = 8
"""Number of rows to whose multiples a GPU's products are padded, as its tensor cores want them."""


class Transform(ABC):
    """Discrete Fourier transform as products with constant matrices.

    Rows of a spectrum are frequencies, each with its real and its imaginary part.
    """

    kernel: Float[Tensor, "rows taps"]
    """Transform of a kernel, divided by the number of points, so that ``back`` needs no factor."""

    @abstractmethod
    def to_frequency(
        self, signal: Float[Tensor, "slots frames numbers"]
    ) -> Float[Tensor, "slots rows numbers"]:
        """Transform a signal."""

    @abstractmethod
    def back(
        self, spectrum: Float[Tensor, "slots rows numbers"], frames: int
    ) -> Float[Tensor, "slots frames numbers"]:
        """Transform a spectrum to ``frames`` points: the transpose of ``to_frequency``."""


class _WholeTransform(Transform):
    """Transform in one product, for a GPU: passes over memory cost it more than multiplications."""

    def __init__(self, frames: int, taps: int, device: str, dtype: torch.dtype) -> None:
        points = frames + taps // 2
        frequencies = torch.arange(points // 2 + 1)
        # Frequencies whose rows are zero add nothing.
        padding = (0, 0, 0, -2 * len(frequencies) % (2 * TENSOR_CORE_ROWS))
        self._signal, self.kernel = (
            functional.pad(matrix, padding).float().to(device=device, dtype=dtype)
            for matrix in (
                _waves(frequencies, torch.arange(frames), points),
                _kernel_waves(frequencies, taps, points),
            )
        )

    def to_frequency(
        self, signal: Float[Tensor, "slots frames numbers"]
    ) -> Float[Tensor, "slots rows numbers"]:
        """Transform a signal."""
        return torch.bmm(_each(self._signal, signal), signal)

    def back(
        self, spectrum: Float[Tensor, "slots rows numbers"], frames: int
    ) -> Float[Tensor, "slots frames numbers"]:
        """Transform a spectrum to all of its ``frames`` points."""
        return torch.bmm(_each(self._signal.T, spectrum), spectrum)


class _FoldedTransform(Transform):
    """Transform with a quarter of the multiplications, for a processor.

    A wave of an even frequency repeats after half of the points; one of an odd frequency then changes its
    sign. Within half of the points, cosines and sines are their own mirror images, or these with the other
    sign. So a signal is folded twice, into sums and differences, before it is multiplied. Even frequencies
    have the first rows of a spectrum.
    """

    def __init__(self, frames: int, taps: int, dtype: torch.dtype) -> None:
        self._quarter = math.ceil((frames + taps // 2) / 4)
        self._half = 2 * self._quarter
        even, odd = (torch.arange(first, self._half + 1, 2) for first in (0, 1))
        self._even = slice(0, 2 * len(even))
        self._odd = slice(2 * len(even), None)
        frequencies, quarter = torch.cat([even, odd]), torch.arange(self._quarter + 1)
        self._waves = _waves(frequencies, quarter, 2 * self._half).float().to(dtype)
        self.kernel = _kernel_waves(frequencies, taps, 2 * self._half).float().to(dtype)

    def to_frequency(
        self, signal: Float[Tensor, "slots frames numbers"]
    ) -> Float[Tensor, "slots rows numbers"]:
        """Transform a signal."""
        slots, frames, numbers = signal.shape
        whole = functional.pad(signal, (0, 0, 0, 2 * self._half - frames))
        first, second = whole[:, : self._half], whole[:, self._half :]
        spectrum = signal.new_empty(slots, len(self._waves), numbers)
        for rows, half in ((self._even, first + second), (self._odd, first - second)):
            for (part, waves), folded in zip(self._mirrored(spectrum, rows), self._fold(half), strict=True):
                torch.bmm(_each(waves, signal), folded, out=part)
        return spectrum

    def back(
        self, spectrum: Float[Tensor, "slots rows numbers"], frames: int
    ) -> Float[Tensor, "slots frames numbers"]:
        """Transform a spectrum to ``frames`` points."""
        even, odd = (
            self._unfold(*(torch.bmm(_each(waves.T, part), part) for part, waves in parts))
            for parts in (self._mirrored(spectrum, self._even), self._mirrored(spectrum, self._odd))
        )
        signal = spectrum.new_empty(len(spectrum), frames, spectrum.shape[2])
        first, second = signal[:, : self._half], signal[:, self._half :]
        torch.add(even[:, :frames], odd[:, :frames], out=first)
        torch.sub(even[:, : second.shape[1]], odd[:, : second.shape[1]], out=second)
        return signal

    def _mirrored(self, spectrum: Tensor, rows: slice) -> list[tuple[Tensor, Tensor]]:
        """Return ``rows`` with their waves: first those that a mirror does not change, then the others."""
        parts = [(spectrum[:, rows][:, part::2], self._waves[rows][part::2]) for part in (0, 1)]
        return parts if rows == self._even else parts[::-1]

    def _fold(self, half: Float[Tensor, "slots half numbers"]) -> tuple[Tensor, Tensor]:
        """Add the second quarter of the points to the first as in a mirror, and subtract it."""
        sums, late = half[:, : self._quarter + 1].clone(), half[:, self._quarter + 1 :].flip(1)
        differences = sums.clone()
        sums[:, 1 : self._quarter] += late
        differences[:, 1 : self._quarter] -= late
        return sums, differences

    def _unfold(self, sums: Tensor, differences: Tensor) -> Float[Tensor, "slots half numbers"]:
        """Apply the transpose of ``_fold``."""
        half = sums.new_empty(len(sums), self._half, sums.shape[2])
        torch.add(sums, differences, out=half[:, : self._quarter + 1])
        half[:, self._quarter + 1 :] = (sums - differences)[:, 1 : self._quarter].flip(1)
        return half


@lru_cache(maxsize=64)
def _transform(frames: int, taps: int, device: str, dtype: torch.dtype) -> Transform:
    """Transform for a circular convolution over at least frames + taps // 2 points.

    It equals the zero-padded convolution on the first ``frames`` points: what wraps around falls on points
    that are not read.
    """
    if device.startswith("cuda"):
        return _WholeTransform(frames, taps, device, dtype)
    return _FoldedTransform(frames, taps, dtype)


def _waves(
    frequencies: Int[Tensor, " frequencies"], times: Int[Tensor, " times"], points: int
) -> Float[Tensor, "rows times"]:
    """Real and imaginary part of every frequency at every time, one row each."""
    angle = 2.0 * math.pi / points * frequencies[:, None] * times.double()
    return torch.stack([angle.cos(), -angle.sin()], dim=1).flatten(0, 1)


def _kernel_waves(
    frequencies: Int[Tensor, " frequencies"], taps: int, points: int
) -> Float[Tensor, "rows taps"]:
    """Waves of a kernel's taps with the share of every frequency in a signal."""
    alone = (frequencies == 0) | (2 * frequencies == points)
    share = torch.where(alone, 1.0, 2.0).double() / points
    waves = _waves(frequencies, (taps - 1) // 2 - torch.arange(taps), points)
    return waves * share.repeat_interleave(2)[:, None]


def _each(matrix: Float[Tensor, "rows columns"], signal: Float[Tensor, "slots ..."]) -> Tensor:
    """One matrix for every slot of a signal."""
    return matrix.expand(len(signal), -1, -1)


def transform_for(
    signal: Float[Tensor, "slots frames batch channels"], kernel: Float[Tensor, "slots taps channels outputs"]
) -> Transform | None:
    """Return the transform with which ``convolve`` works; None for long chunks, which need no matrices.

    A recording on a GPU reads its matrices at every replay: keep it as long as the recording.
    """
    frames, taps = signal.shape[1], kernel.shape[1]
    if frames + taps // 2 > LONGEST_PRODUCT:
        return None
    return _transform(frames, taps, str(signal.device), signal.dtype)


def convolve(
    signal: Float[Tensor, "slots frames batch channels"],
    kernel: Float[Tensor, "slots taps channels outputs"],
    bias: Float[Tensor, "slots outputs"],
) -> Float[Tensor, "slots frames batch outputs"]:
    """Convolve over time, zero-padded to keep the number of frames, in the number format of the signal.

    Args:
        signal: Signal, time first.
        kernel: Kernel whose middle tap, index (taps - 1) // 2, applies to the frame itself. Shorter kernels
            are centred there and padded with zeros.
        bias: Constant added to every frame.
    """
    transform = transform_for(signal, kernel)
    if transform is None:
        long: Tensor = _FastConvolution.apply(signal.float(), kernel.float())  # type: ignore[no-untyped-call]
        return (long + bias.float()[:, None, None]).to(signal.dtype)
    dtype = signal.dtype
    output: Tensor = _Convolution.apply(signal, kernel.to(dtype), bias.to(dtype), transform)  # type: ignore[no-untyped-call]
    return output


class _Convolution(torch.autograd.Function):
    """Convolution by the transforms of ``Transform``, with one product of matrices per frequency.

    Written out because autograd would copy every part of a spectrum. The product of complex numbers is one of
    real ones: (a + ib)(c + id) has the parts (a, -b) (c, d) and (b, a) (c, d), so that the signal's numbers
    are laid out twice and the kernel's, of which there are more, once.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor, bias: Tensor, transform: Transform) -> Tensor:
        slots, frames, batch, channels = signal.shape
        taps, outputs = kernel.shape[1], kernel.shape[3]
        spectrum = transform.to_frequency(signal.reshape(slots, frames, -1))
        real, imaginary = spectrum.view(-1, 2, batch, channels).unbind(1)
        twice = spectrum.new_empty(len(real), 2, batch, 2, channels)
        twice[:, 0, :, 0] = twice[:, 1, :, 1] = real
        twice[:, 1, :, 0] = imaginary
        torch.neg(imaginary, out=twice[:, 0, :, 1])
        of_signal = twice.view(len(real), 2 * batch, 2 * channels)
        of_kernel = torch.bmm(_each(transform.kernel, kernel), kernel.reshape(slots, taps, -1))
        of_kernel = of_kernel.view(len(real), 2 * channels, outputs)
        product = torch.bmm(of_signal, of_kernel).view(slots, -1, batch, outputs)
        # The first frequency is the constant.
        product[:, 0] += bias[:, None]
        ctx.save_for_backward(of_signal, of_kernel)
        ctx.transform, ctx.taps = transform, taps
        return transform.back(product.flatten(2), frames).view(slots, frames, batch, outputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        of_signal, of_kernel = ctx.saved_tensors
        transform: Transform = ctx.transform
        slots, frames, batch, outputs = gradient.shape
        channels = of_signal.shape[2] // 2
        slope = transform.to_frequency(gradient.reshape(slots, frames, -1))
        to_bias = slope[:, 0].view(slots, batch, outputs).float().sum(dim=1).to(slope.dtype)
        slope = slope.view(-1, 2 * batch, outputs)
        twice = torch.bmm(slope, of_kernel.transpose(1, 2)).view(-1, 2, batch, 2, channels)
        spectrum = slope.new_empty(len(twice), 2, batch, channels)
        torch.add(twice[:, 0, :, 0], twice[:, 1, :, 1], out=spectrum[:, 0])
        torch.sub(twice[:, 1, :, 0], twice[:, 0, :, 1], out=spectrum[:, 1])
        to_signal = transform.back(spectrum.view(slots, -1, batch * channels), frames)
        to_kernel = torch.bmm(of_signal.transpose(1, 2), slope).view(slots, -1, channels * outputs)
        to_kernel = torch.bmm(_each(transform.kernel.T, to_kernel), to_kernel)
        return (
            to_signal.view(slots, frames, batch, channels),
            to_kernel.view(slots, ctx.taps, channels, outputs),
            to_bias,
            None,
        )


class _FastConvolution(torch.autograd.Function):
    """Convolution by the fast Fourier transform, in float32.

    Written out because autograd would transform complex numbers where real ones are enough.
    """

    @staticmethod
    def forward(ctx: Any, signal: Tensor, kernel: Tensor) -> Tensor:
        from scipy.fft import next_fast_len  # only for long chunks: the import takes a moment

        frames, taps = signal.shape[1], kernel.shape[1]
        ctx.sizes = frames, taps, next_fast_len(frames + taps // 2, real=True)
        # Later by the taps before the middle one; what wraps around then falls on zeros.
        late = functional.pad(signal, (0, 0, 0, 0, (taps - 1) // 2, 0))
        of_signal, of_kernel = (_spectrum(part, ctx.sizes[2]) for part in (late, kernel))
        ctx.save_for_backward(*of_signal, *of_kernel)
        kernel_real, kernel_imaginary = of_kernel
        return _in_time(of_signal, (kernel_real, -kernel_imaginary), ctx.sizes[2], len(signal))[:, :frames]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        frames, taps, points = ctx.sizes
        signal_real, signal_imaginary, *of_kernel = (part.transpose(1, 2) for part in ctx.saved_tensors)
        slope_real, slope_imaginary = _spectrum(gradient, points)
        of_signal, of_slope = (signal_real, signal_imaginary), (slope_real, -slope_imaginary)
        slots, first = len(gradient), (taps - 1) // 2
        to_signal = _in_time((slope_real, slope_imaginary), (of_kernel[0], of_kernel[1]), points, slots)
        to_kernel = _in_time(of_signal, of_slope, points, slots)
        return to_signal[:, first : first + frames], to_kernel[:, :taps]


def _spectrum(signal: Float[Tensor, "slots time rows columns"], points: int) -> tuple[Tensor, Tensor]:
    """Return real and imaginary part, (slots x bins, rows, columns); one matrix per frequency."""
    spectrum = torch.fft.rfft(signal, points, dim=1).flatten(0, 1)
    # Parts of a complex tensor have gaps between their numbers, with which products are many times slower.
    return spectrum.real.contiguous(), spectrum.imag.contiguous()


def _in_time(
    left: tuple[Tensor, Tensor], right: tuple[Tensor, Tensor], points: int, slots: int
) -> Float[Tensor, "slots points rows columns"]:
    """Transform the product of two spectra back; four real products take a fifth of a complex one's time."""
    (a, b), (c, d) = left, right
    real = torch.baddbmm(torch.bmm(a, c), b, d, alpha=-1.0)
    imaginary = torch.baddbmm(torch.bmm(a, d), b, c)
    spectrum = torch.complex(real, imaginary).view(slots, -1, *real.shape[1:])
    signal: Tensor = torch.fft.irfft(spectrum, points, dim=1)
    return signal
