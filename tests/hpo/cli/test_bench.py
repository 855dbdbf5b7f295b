import pytest
from typer.testing import CliRunner

from hpo.cli.main import app
from model.errors import ConfigError


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--arrays", "1,x"], "'x'"),
        (["--arrays", "0"], "'0'"),
        (["--precision", "float16"], "'float16'"),
        (["--device", "tpu"], "'tpu'"),
        (["--device", "cpu", "--precision", "float32,tf32"], "--precision tf32"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_is(words: list[str], named: str) -> None:
    result = CliRunner().invoke(app, ["bench", *words])
    assert isinstance(result.exception, ConfigError)
    assert named in str(result.exception)


def test_check_has_its_own_sizes() -> None:
    result = CliRunner().invoke(app, ["bench", "--check", "--arrays", "4"])
    assert isinstance(result.exception, ConfigError)
    assert "--arrays" in str(result.exception) and result.stdout == ""


@pytest.mark.parametrize(("passes", "code"), [(True, 0), (False, 1)])
def test_check_prints_a_line_each_and_ends_with_1_if_one_fails(
    monkeypatch: pytest.MonkeyPatch, passes: bool, code: int
) -> None:
    from hpo.bench import checks
    from hpo.bench.line import Line, judged, not_checked

    def lines(setting: object) -> list[Line]:
        return [
            judged("numbers", True, "3"),
            judged("memory", passes, "4 MB"),
            not_checked("x", "needs a GPU"),
        ]

    monkeypatch.setattr(checks, "run_checks", lines)
    result = CliRunner().invoke(app, ["bench", "--check", "--device", "cpu"])
    assert result.exit_code == code, result.output
    first, second, third, last = result.stdout.splitlines()
    assert first.split() == ["PASS", "numbers", "3"]
    assert second.split() == ["PASS" if passes else "FAIL", "memory", "4", "MB"]
    assert third.endswith("not checked: needs a GPU")
    assert last.startswith("2 passed, 0 failed" if passes else "1 passed, 1 failed")


def test_measured_arrays_come_as_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    from model.training import benchmark

    monkeypatch.setattr(benchmark, "GAMES", {"train": 1, "valid": 1, "test": 1})
    monkeypatch.setattr(benchmark, "DIMS", 16)
    words = ["--arrays", "1,2", "--device", "cpu", "--precision", "float32", "--seconds", "0.1"]
    result = CliRunner().invoke(app, ["bench", *words])
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("cpu (")
    starts = [line.split("  ")[0].strip() for line in lines]
    assert starts.count("1") == starts.count("2") == starts.count("2, mixed f and r") == 1
    assert "peak:" in lines[-1]
