import pytest

from hpo.report.reproduction import (
    Change,
    Reproduction,
    ValidationPair,
    Verdict,
    reproduction_record,
    verdict_lines,
)


def pair(recorded: float, again: float, *, epoch: int = 1, loss: float = 0.5) -> ValidationPair:
    return ValidationPair(
        epoch=epoch,
        recorded={
            "average_map": recorded,
            "valid/loss": 0.5,
            "chunks_per_s": 100.0,
            "score": recorded,
            "system/gpu_0_memory_usage_megabytes": 3900.0,
        },
        repeated={"average_map": again, "valid/loss": loss, "chunks_per_s": 90.0},
        metric="average_map",
    )


def result(*pairs: ValidationPair, changes: tuple[Change, ...] = (), **fields: object) -> Reproduction:
    known = {"study": "s", "trial": "t", "run": "r", "score": "Average-mAP", "other_data": False} | fields
    return Reproduction(validations=pairs, changes=changes, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pairs", "verdict"),
    [
        ([pair(0.4, 0.4), pair(0.5, 0.5, epoch=2)], Verdict.EQUAL),
        ([pair(0.4, 0.4, loss=0.5000001)], Verdict.CLOSE),
        ([pair(0.4, 0.41), pair(0.5, 0.48, epoch=2)], Verdict.CLOSE),
        ([pair(0.4, 0.4), pair(0.5, 0.55, epoch=2)], Verdict.DIFFERENT),
    ],
)
def test_verdict_is_that_of_the_validation_that_differs_most_and_the_clock_does_not_count(
    pairs: list[ValidationPair], verdict: Verdict
) -> None:
    assert result(*pairs).verdict is verdict
    assert result(*pairs).succeeded is (verdict is not Verdict.DIFFERENT)


def test_metric_that_only_one_training_has_differs() -> None:
    lacking = ValidationPair(
        epoch=1,
        recorded={"average_map": 0.4},
        repeated={"average_map": 0.4, "ap/goal": 0.4},
        metric="average_map",
    )
    assert lacking.differing == ["ap/goal"]


def test_metric_of_a_task_that_is_called_score_is_compared() -> None:
    scores = ValidationPair(epoch=1, recorded={"score": 0.4}, repeated={"score": 0.9}, metric="score")
    assert result(scores).verdict is Verdict.DIFFERENT


def test_equal_numbers_on_other_data_are_no_reproduction() -> None:
    other = result(pair(0.4, 0.4), other_data=True)
    assert other.verdict is Verdict.OTHER_DATA and not other.succeeded


def test_training_that_diverged_is_different_with_its_reason() -> None:
    diverged = result(pair(0.4, 0.4), failure="the second training diverged: loss is nan")
    assert diverged.verdict is Verdict.DIFFERENT
    assert verdict_lines(diverged)[0] == "different: the second training diverged: loss is nan"


def test_what_changed_is_named_and_where_nothing_did_that_is_said() -> None:
    change = Change(what="torch", recorded="2.12", now="2.13")
    assert "  torch: recorded 2.12, now 2.13" in verdict_lines(result(pair(0.4, 0.41), changes=(change,)))
    assert "nothing that the record contains has changed" in verdict_lines(result(pair(0.4, 0.41)))[-1]
    assert len(verdict_lines(result(pair(0.4, 0.4)))) == 1
    assert verdict_lines(result(pair(0.4, 0.41)))[0].endswith("by at most 0.01; up to 0.03 counts as close")
    record = reproduction_record(result(pair(0.4, 0.41), changes=(change,)))
    assert record["verdict"] == "close" and record["changes"][0]["what"] == "torch"
