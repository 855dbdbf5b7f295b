import pytest
import torch

from model.precision import Precision, compute_dtype


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_features_have_the_type_of_the_precision(precision: Precision, dtype: torch.dtype) -> None:
    assert compute_dtype(precision) == dtype
