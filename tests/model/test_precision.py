import pytest
import torch

from model.precision import Precision, compute_dtype, reduced_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_products_and_features_have_the_type_of_the_precision(
    precision: Precision, dtype: torch.dtype
) -> None:
    assert compute_dtype(precision) == dtype
    with reduced_precision(CPU, precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
    assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
