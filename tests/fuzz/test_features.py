"""Feature files: shape, kind and every value of the file, or a problem that names it."""

import io
import tempfile
from pathlib import Path

import numpy as np
from fuzz.broken import damaged
from fuzz.cases import FUZZ, outcome
from hypothesis import given
from hypothesis import strategies as st

from model.data.layout.feature_file import FeatureFile, read_header, row_blocks, unusable_values
from model.errors import Problem, UserError

HEADERS = (
    "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': '<f4', 'fortran_order': True, 'shape': (99999999999999999999, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }",
    "{'descr': '<f2', 'fortran_order': False, 'shape': (4611686018427387904, 4), }",
    "{'descr': '|O', 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
    "{'descr': '<f4', 'fortran_order': False, 'shape': (True, 3), }",
    "{'descr': '<f4', 'shape': (2, 3)}",
    "[" * 300,
    "(" * 9000,
    "__import__('os').system('true')",
    "{'descr': '<f4', 'fortran_order': False, 'shape': 3}",
    "",
)


@st.composite
def arrays(draw: st.DrawFn) -> bytes:
    kind = draw(st.sampled_from(("<f4", "<f2", ">f4", "<f8", "<i4", ">i8", "u1", "?", "<U3", "<c8")))
    shape = draw(
        st.sampled_from(
            ((3, 2), (1, 1), (0, 2), (3,), (2, 2, 2), (), (1, 3, 2), (3, 2, 1, 1), (3, 1, 2), (2, 0))
        )
    )
    array = np.zeros(shape, dtype=kind)
    if array.size and draw(st.booleans()):
        if kind in ("<f4", "<f2"):
            array.flat[-1] = draw(st.sampled_from((np.nan, np.inf, 7.0)))
        if kind == "<f8":
            array.flat[-1] = draw(st.sampled_from((np.nan, 1e300, 0.1)))
        if kind in ("<i4", ">i8"):
            array.flat[-1] = draw(st.sampled_from((-(2**24) - 1, 2**24, 2**30)))
    content = io.BytesIO()
    if draw(st.integers(0, 9)) == 0:
        np.savez(content, features=array)
    else:
        np.save(content, np.asfortranarray(array) if draw(st.booleans()) else array)
    return content.getvalue()


@st.composite
def headed(draw: st.DrawFn) -> bytes:
    header = draw(st.sampled_from(HEADERS)).encode() + b"\n"
    version = draw(st.sampled_from((b"\x01\x00", b"\x02\x00", b"\x03\x00", b"\x09\x00")))
    length = len(header).to_bytes(2 if version[0] == 1 else 4, "little")
    return b"\x93NUMPY" + version + length + header + draw(st.binary(max_size=30))


@FUZZ
@given(st.one_of(arrays(), damaged(arrays()), headed(), damaged(headed()), st.binary(max_size=200)))
def test_features_are_all_read_or_a_problem_is_reported(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "1_X.npy")
        file.write_bytes(content)
        came = outcome(lambda: read_header(file))
        assert not isinstance(came, UserError)
        if isinstance(came, Problem):
            assert came.file == str(file)
            assert len(str(came)) < 600 and "\n" not in str(came)
            return
        assert isinstance(came, FeatureFile)
        array = np.load(io.BytesIO(content), allow_pickle=False)
        assert array.size == came.frames * came.dims
        if not came.frames:
            return
        blocks = np.concatenate(list(row_blocks(came)))
        assert blocks.shape == (came.frames, came.dims) and str(blocks.dtype) == came.dtype
        if unusable_values(came) is None:
            kept = array.reshape(blocks.shape)
            assert np.isfinite(blocks).all()
            # Other integers are refused; float64 is rounded, as any float32 is.
            assert np.array_equal(blocks, kept if kept.dtype.kind in "iub" else kept.astype(came.dtype))
        else:
            with np.errstate(over="ignore"):
                assert not np.isfinite(array.astype("f4")).all() or np.abs(array.astype("f8")).max() > 2**24
