"""Trained networks through the command line: import, evaluate, spot, analyse."""

import csv
import json
from pathlib import Path

import pytest
from e2e.command_line import CommandLine

from model.data.synthetic import write_synthetic
from model.weights.trained import TrainedNetwork

CLASSES = ("goal", "card", "substitution")


def test_trained_network_scores_and_spots_a_split(hpo: CommandLine, weights: Path) -> None:
    words = ("evaluate", "--weights", str(weights), "--data", str(hpo.data))
    shown = hpo.run(*words)
    assert shown.returncode == 0, shown.stderr
    assert "Average-mAP on 1 game of the test split, in float32" in shown.stdout
    record = json.loads(hpo.run(*words, "--split", "valid", "--nms-window", "20", "--json").stdout)
    assert (record["split"], record["nms_window_s"]) == ("valid", 20.0)
    assert list(record["loose"]["all"]["per_class"]) == list(CLASSES)
    assert list(record["tight"]["all"]["per_tolerance"]) == ["1", "2", "3", "4", "5"]
    assert 0.0 <= record["loose"]["all"]["average_map"] <= 1.0

    game = next(hpo.data.glob("synthetic/test/*"))
    spotted = hpo.run("spot", "--weights", str(weights), "--game", str(game), "--to", "results")
    assert spotted.returncode == 0, spotted.stderr
    file = hpo.folder / "results" / "synthetic" / "test" / game.name / "results_spotting.json"
    predictions = json.loads(file.read_text())["predictions"]
    confidences = [float(entry["confidence"]) for entry in predictions]
    assert confidences == sorted(confidences, reverse=True) and confidences
    assert {entry["half"] for entry in predictions} == {"1", "2"}


def test_best_checkpoint_of_a_trial_evaluates_to_the_score_that_the_study_reports(hpo: CommandLine) -> None:
    done = hpo.run(*hpo.study("small", "--trials", "1"))
    assert done.returncode == 0, done.stderr
    (trial,) = hpo.best("small")
    best = hpo.folder / "hpo-runs" / "studies" / "small" / "trials" / trial["trial"] / "best.pt"
    answer = hpo.run(
        "evaluate", "--weights", str(best), "--data", str(hpo.data), "--split", "valid", "--json"
    )
    assert answer.returncode == 0, answer.stderr
    score = json.loads(answer.stdout)["loose"]["all"]["average_map"]
    assert score == pytest.approx(trial["average_map"], abs=1e-6)


def test_analysis_of_a_network_agrees_with_its_evaluation(hpo: CommandLine, weights: Path) -> None:
    words = ("--weights", str(weights), "--data", str(hpo.data), "--split", "test")
    answer = hpo.run("analyse", *words, "--to", "analysis")
    assert answer.returncode == 0, answer.stderr
    assert "25 tables and figures in analysis" in answer.stdout
    with (hpo.folder / "analysis" / "summary.csv").open(newline="") as stream:
        (summary,) = csv.DictReader(stream)
    record = json.loads(hpo.run("evaluate", *words, "--json").stdout)
    assert float(summary["average_map"]) == record["loose"]["all"]["average_map"]
    for kind, start in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        figures = sorted((hpo.folder / "analysis").glob(f"*.{kind}"))
        assert len(figures) == 9 and all(file.read_bytes().startswith(start) for file in figures)
    refused = hpo.run("analyse", *words, "--to", "analysis", "--game", "none")
    assert refused.returncode == 2 and "the test split has no game 'none'" in refused.stderr


def test_analysis_of_a_run_lies_with_it_in_mlflow_and_leaves_the_test_split_closed(hpo: CommandLine) -> None:
    done = hpo.run(*hpo.study("small", "--trials", "1"))
    assert done.returncode == 0, done.stderr
    (trial,) = hpo.best("small")
    name = f"small/{trial['trial']}"
    refused = hpo.run("analyse", "--run", name, "--to", "analysis")
    assert refused.returncode == 2 and "the test split is closed" in refused.stderr
    folder = hpo.folder / "hpo-runs" / "studies" / "small" / "analysis-valid"
    folder.mkdir()
    (folder / "networks-of-others.png").write_bytes(b"a file that was in the folder before")
    written = hpo.run("report", "small", "--analyse", "--to", "small.html")
    assert written.returncode == 0, written.stderr
    assert f"Average-mAP {trial['average_map']:.4f}" in written.stdout
    artifacts = hpo.folder / "hpo-runs" / "artifacts"
    assert len(list(artifacts.glob("**/analysis-valid/timeline.png"))) == 1
    assert not list(artifacts.glob("**/networks-of-others.png"))
    (own,) = artifacts.glob("**/analysis-valid/summary.csv")
    stored, other = own.read_bytes(), hpo.folder / "other"
    write_synthetic(other, games={"train": 1, "valid": 1, "test": 1}, dims=16, minutes=20, seed=2)
    options = ("--split", "valid", "--data", str(other), "--to", "analysis")
    answer = hpo.run("analyse", "--run", name, *options)
    assert answer.returncode == 0, answer.stderr
    assert f"not stored in MLflow: the data in {other} are not those of {name}" in answer.stderr
    assert own.read_bytes() == stored
    page = (hpo.folder / "small.html").read_text()
    assert "Timeline, valid split" in page and f"{trial['average_map']:.4f}" in page
    assert len(list(artifacts.glob("**/small.html"))) == 1
    assert len(list(artifacts.glob("**/figures/history.png"))) == 1


def test_published_weights_are_imported_and_say_what_they_are(hpo: CommandLine, shared: Path) -> None:
    file = next((shared / "weights").glob("*.h5"))
    answer = hpo.run("import-weights", str(file), "--to", "published.pt")
    assert answer.returncode == 0, answer.stderr
    assert "original code (Keras)" in answer.stdout
    assert "332,129 trainable and 480 non-trainable values" in answer.stdout
    trained = TrainedNetwork.load(hpo.folder / "published.pt")
    assert trained.classes == CLASSES and trained.origin == "published-2020"
    refused = hpo.run("import-weights", "published.pt")
    assert refused.returncode == 2 and "is a network of this project already" in refused.stderr
    refused = hpo.run("evaluate", "--weights", "published.pt", "--data", str(hpo.data))
    assert refused.returncode == 2
    assert "dimensions per frame: expected 512, got 16" in refused.stderr
