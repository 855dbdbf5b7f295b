import re
from pathlib import Path

import pytest
from shown_stages import trial, view

from hpo.page.study_page import AnalysesSection, ShownTable, StageSection, StudyPage, shown_table
from hpo.report.figures.draw import draw_stage
from hpo.report.html import explored, picture, stage_page
from hpo.report.stage_tables import comparison_table
from hpo.tasks.base.presentation.stage_presentation import StagePresentation
from hpo.tasks.base.score import Score
from model.errors import UserError

ANY = StagePresentation()
NASTY = '<script>alert("x")</script>'
EMPTY = ShownTable(header=[], rows=[])


def page(**changed: object) -> StudyPage:
    fields = {
        "study": "s",
        "identity": "i",
        "summary": "Complete.",
        "verdict": "",
        "settings": {},
        "data": {},
        "stages": [],
        "best": EMPTY,
        "analyses": AnalysesSection(heading="Analyses", figures=[], remark="None yet."),
        "failures": EMPTY,
        "notes": [],
        "cost": EMPTY,
        "commands": [],
        "files": {},
    }
    return StudyPage(**{**fields, **changed})  # type: ignore[arg-type]


def test_nothing_that_comes_from_outside_becomes_part_of_the_page() -> None:
    failures = ShownTable(header=["trial", "reason"], rows=[["t1", NASTY]], caption=NASTY)
    stage = StageSection(
        name=NASTY, facts={NASTY: NASTY}, tables=[failures], remarks=[NASTY], figures=[], failures=[NASTY]
    )
    html = page(
        study=NASTY,
        settings={NASTY: NASTY},
        stages=[stage],
        failures=failures,
        notes=[NASTY],
        commands=[NASTY],
        files={NASTY: NASTY},
    ).html()
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#34;x&#34;)&lt;/script&gt;") == 21


def test_words_in_a_figure_cannot_end_its_script() -> None:
    drawn = draw_stage(
        view("bayes", [trial(1, 0.3), trial(2, None, reason="</script><script>alert(1)")]), ANY
    )
    body = str(explored(drawn.figures[0], place="a"))
    assert body.count("</script>") == body.count("<script")
    assert "<script>alert" not in body


def test_title_of_a_picture_is_escaped() -> None:
    body = picture('" onload="alert(1)', b"png").body
    assert 'alt="&#34; onload=&#34;alert(1)"' in body and "base64,cG5n" in body


def test_page_with_figures_holds_plotly_once_and_loads_nothing() -> None:
    html = stage_page("Stage bayes", draw_stage(view("bayes", [trial(1, 0.3), trial(2, 0.4)]), ANY).figures)
    assert html.count("plotly.js v") == 1
    assert not re.search(r"<(?:script|img|link)[^>]*(?:src|href)=.?http", html)
    assert len(html) < 6_000_000


def test_table_of_the_terminal_keeps_its_cells() -> None:
    trials = [trial(1, 0.5, role="full model"), trial(2, 0.3, role="(i) no segmentation")]
    shown = shown_table(
        comparison_table(
            trials,
            score=Score("average_map", "Average-mAP"),
            reference="full model",
            published={"full model": 0.625},
        )
    )
    assert shown.header[0] == "configuration" and shown.header[-1] == "paper: Average-mAP"
    assert [list(row)[-1] for row in shown.rows] == ["0.625", ""]


def test_page_that_cannot_be_written_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write the page: No such file") as refused:
        page().write(tmp_path / "nowhere" / "page.html")
    assert refused.value.details["fix"].endswith("hpo report s --to FILE")
