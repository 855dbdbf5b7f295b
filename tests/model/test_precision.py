import pytest
import torch

from model.precision import (
    NumberFormats,
    Precision,
    compute_dtype,
    computing,
    number_formats,
    precisions_of,
    processor_precision,
)

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize(
    ("precision", "dtype"),
    [("float32", torch.float32), ("tf32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_features_have_the_type_of_the_precision(precision: Precision, dtype: torch.dtype) -> None:
    assert compute_dtype(precision) == dtype


def flags() -> tuple[bool, bool, bool]:
    products = torch.backends.cuda.matmul
    return (
        products.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        products.allow_bf16_reduced_precision_reduction,
    )


@pytest.mark.parametrize(
    ("precision", "expected"),
    [
        ("float32", (False, False, False)),
        ("tf32", (True, True, False)),
        ("bfloat16", (False, False, False)),
    ],
)
def test_every_format_of_a_gpu_is_set_inside_and_restored_after(
    precision: Precision, expected: tuple[bool, bool, bool]
) -> None:
    before = flags()
    with computing(precision, CPU):
        assert flags() == before
    with pytest.raises(KeyError), computing(precision, GPU):
        assert flags() == expected
        raise KeyError
    assert flags() == before


def test_processor_has_no_tf32() -> None:
    assert precisions_of(CPU) == ("float32", "bfloat16")
    assert precisions_of(GPU) == ("float32", "tf32", "bfloat16")
    assert number_formats("tf32", CPU) == NumberFormats("float32")
    assert number_formats("tf32", GPU) == NumberFormats("tf32", "float32")


@pytest.mark.parametrize(
    ("capabilities", "chosen"),
    [
        ({"avx512_bf16": True, "amx_bf16": False}, "bfloat16"),
        ({"avx512_bf16": False, "amx_bf16": True}, "bfloat16"),
        ({"architecture": "aarch64", "bf16": True}, "bfloat16"),
        ({"avx512_bf16": False, "avx512_f": True}, "float32"),
    ],
)
def test_processor_computes_in_bfloat16_where_it_has_it(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, object], chosen: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert processor_precision() == chosen


@pytest.mark.parametrize(("supported", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_older_pytorch_is_asked_in_another_way(
    monkeypatch: pytest.MonkeyPatch, supported: bool, chosen: str
) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    assert processor_precision() == chosen
