"""Texts for a paper: what stands in them, and that both files can be read by their programs."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from calf_plan import calf_plan
from judged_studies import final, final_study, played
from shown_stages import trial

from hpo.journal.events import StageAsked, StageFinished, StageStarted, StudyRenamed
from hpo.journal.trial_state import TrialStatus
from hpo.page.facts import cost_table
from hpo.page.paper import LATEX, MARKDOWN, methods_paragraph, write_paper
from hpo.study.configurations.finalists import OWN
from hpo.study.recorded.verdict import verdict
from model.errors import UserError


def test_files_hold_verdict_table_and_methods(tmp_path: Path) -> None:
    state = final_study()
    assert write_paper(calf_plan(), state, tmp_path) == [tmp_path / MARKDOWN, tmp_path / LATEX]
    text, latex = (tmp_path / MARKDOWN).read_text(), (tmp_path / LATEX).read_text()
    found = verdict(calf_plan(), state)
    assert found is not None and f"The configuration {found.sentence}" in text
    assert "in frames" not in text + latex  # neither zones nor receptive field were varied
    assert "| found | 5 | 3 | 0.4100 ± 0.0248 | 0.5100 ± 0.0248 |" in text
    assert r"found & 5 & 3 & 0.4100 $\pm$ 0.0248 & 0.5100 $\pm$ 0.0248 \\" in latex
    assert r"(95 \%, 3 seeds)" in latex and "{lrrrr}" in latex
    assert latex.count("{") == latex.count("}")


def test_names_are_shown_in_latex_as_they_are_written(tmp_path: Path) -> None:
    name = "a<b>|c--d---e_f"
    state = played("final", final({OWN: (0.3,), name: (0.4,)}, {}), role=name)
    latex = write_paper(calf_plan(), state, tmp_path)[1].read_text()
    assert r"a\textless{}b\textgreater{}\textbar{}c-{}-d-{}-{}-e\_f & 5" in latex


@pytest.mark.parametrize(
    ("symbols", "note"),
    [
        (["f", "beta"], ""),
        (["f", "r_s"], "r_s is in seconds."),
        (["r", "K1.goal"], "K1 to K4 and r are in frames, of which 2 are one second."),
        (["r", "r_s"], "r is in frames, of which 2 are one second; r_s is in seconds."),
    ],
)
def test_note_explains_only_the_units_of_what_the_text_names(symbols: list[str], note: str) -> None:
    plan = calf_plan()
    assert plan.description.units_note(plan.shape, symbols) == note


def test_unit_of_a_searched_hyperparameter_stands_in_both_files(tmp_path: Path) -> None:
    state = final_study()
    zones = {"K1_frames.goal": {"grid": "class-parallel"}}
    state.apply(StageStarted(stage="grid-slicing", space=zones, trials=1))
    assert "in frames" not in write_paper(calf_plan(), state, tmp_path)[0].read_text()
    axis = {"type": "int", "low": 10, "high": 90, "log": False}
    state.apply(StageStarted(stage="bayes", space={"r_frames": axis}, trials=1))
    for file in write_paper(calf_plan(), state, tmp_path):
        assert "r is in frames, of which 2 are one second." in file.read_text()


def test_table_of_one_configuration_has_what_the_search_varied(tmp_path: Path) -> None:
    trials = final({OWN: (0.3, 0.4)}, {})
    state = played("final", [replace(each, parameters={"f": 4, "beta": 0.5}) for each in trials], role=OWN)
    axis = {"type": "int", "low": 2, "high": 9, "log": False}
    state.apply(StageStarted(stage="bayes", space={"f": axis}, trials=1))
    text = write_paper(calf_plan(), state, tmp_path)[0].read_text()
    assert "| configuration | f | seeds | Average-mAP, validation |" in text


def test_methods_have_the_numbers_of_the_study() -> None:
    text = methods_paragraph(calf_plan(), final_study())
    assert "task calf on test/TEST, 2 training and 1 validation game, to maximise Average-mAP" in text
    assert "evaluated 6 networks once on the test split (4 games)" in text
    assert "with 5 new seeds each for" in text and "(6 trials finished, 0 stopped early, 0 failed)" in text
    assert "on cpu in float32, from seed 7" in text


@pytest.mark.parametrize(
    ("settings", "epochs", "words"),
    [
        ({"replicates": 2}, 12, "the scheduler asha, which stops poor trials early, at most 2 seeds per"),
        (
            {"replicates": 1},
            12,
            "the scheduler asha, which stops poor trials early, 1 seed per configuration and",
        ),
        ({"replicates": 1}, 1, "the searcher botorch, no scheduler, 1 seed per configuration and 1 epoch"),
        ({"replicates": 2, "scheduler": "none"}, 12, "botorch, no scheduler, 2 seeds per configuration"),
    ],
)
def test_methods_of_a_search_name_its_scheduler_and_promise_no_seeds(
    settings: dict[str, Any], epochs: int, words: str
) -> None:
    plan, state = calf_plan(), played("bayes", [trial(1, 0.25), trial(2, 0.5)])
    state.stages["bayes"].epochs = epochs
    table = plan.study.stages.named("bayes").model_dump(mode="json")
    state.apply(StageAsked(stage="bayes", settings={**table, "epochs": epochs, **settings}))
    text = methods_paragraph(plan, state)
    assert words in text and "is judged by its mean score over seeds on the validation split." in text


def test_methods_of_a_search_tell_what_was_fixed_as_the_page_does() -> None:
    state = played("bayes", [trial(1, 0.25)])
    state.stages["bayes"].space = {
        "f": {"type": "int", "low": 16, "high": 16, "log": False},
        "beta": {"type": "float", "low": 0.001, "high": 0.5, "log": True},
    }
    text = methods_paragraph(calf_plan(), state)
    assert "searched f (fixed: 16), beta (0.001 to 0.5, logarithmic) with the searcher" in text


def test_test_split_has_the_seeds_of_its_row_or_says_how_many_were_tested(tmp_path: Path) -> None:
    state = final_study()
    state.trials["t12"].status = TrialStatus.STOPPED
    text = write_paper(calf_plan(), state, tmp_path)[0].read_text()
    assert "| found | 5 | 2 | 0.4100 ± 0.1271 | 0.5100 ± 0.1271 |" in text
    state.trials["t11"].tested = None
    text = write_paper(calf_plan(), state, tmp_path)[0].read_text()
    assert "| found | 5 | 2 | 0.4100 ± 0.1271 | 0.5000 (1 seed) |" in text


def test_search_that_judges_by_a_model_says_so_and_shows_the_expected_scores(tmp_path: Path) -> None:
    state = played("bayes", [trial(1, 0.25), trial(2, 0.5)])
    expected = {"t1": (0.4, 0.01), "t2": (0.3, 0.01)}
    chosen = StageFinished(stage="bayes", best_trial="t1", chosen={"f": 5}, expected=expected, noise=0.0472)
    state.apply(replace(chosen, role="t1"))
    text = write_paper(calf_plan(), state, tmp_path)[0].read_text()
    assert "| configuration | f | lambda_seg | expected | seeds | Average-mAP, validation |" in text
    assert "| t1 | 5 | 1.1 | 0.4000 ± 0.0196 | 1 | 0.2500 |" in text
    assert "judges a configuration by its expected score: the mean over seeds" in text
    assert (
        "relies on a seed-to-seed noise of 0.047, which the model learnt from the search (prior: at" in text
    )
    assert "is judged by its mean" not in text


def test_paper_and_page_count_the_time_of_failed_trials_alike() -> None:
    state = played("bayes", [trial(1, 0.25, duration_s=5.0), trial(2, None)])
    assert "All trials took 6 s of training" in methods_paragraph(calf_plan(), state)
    assert [row[2] for row in cost_table(state).rows] == ["6 s", "6 s"]
    elapsed = cost_table(state).rows[-1][3]
    state.apply(StudyRenamed(study="new", at=state.updated_at + timedelta(days=30)))
    assert cost_table(state).rows[-1][3] == elapsed


def test_name_that_is_not_utf_8_is_written_with_its_bytes(tmp_path: Path) -> None:
    plan = replace(calf_plan(), dataset="test/caf\udce9")
    text, latex = (file.read_text() for file in write_paper(plan, final_study(), tmp_path))
    assert r"test/caf\udce9" in text and r"test/caf\textbackslash{}udce9" in latex


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write the file"):
        write_paper(calf_plan(), final_study(), tmp_path / "none" / "there")
