"""The report's numbers and its page."""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

import ntk_prior.report
from ntk_prior.decision.draws import Drawn
from ntk_prior.report import build_page, summarize
from ntk_prior.report.table import MOST_REFUSED, table
from ntk_prior_cli.optuna_source import run_of_study
from tests.support.optuna_studies import sphere
from tests.support.reports import PRIOR, SCRIPT, content, evidence_of, hostile_run, row, small_run

optuna.logging.set_verbosity(optuna.logging.ERROR)


class TestNumbers:
    def test_every_configuration_is_counted_once(self) -> None:
        found = summarize(small_run())
        assert found.launched + found.refused == 60
        assert found.audited == 7
        assert [(one.verdict, one.refused, one.launched, one.audited) for one in found.verdicts] == [
            ("untrainable", 15, 2, 2),
            ("feasible", 0, 43, 5),
        ]
        assert found.best is not None
        assert found.best.trial.name == "trial 0"

    def test_the_example_of_a_verdict_is_a_refused_one_where_there_is_one(self) -> None:
        untrainable, feasible = summarize(small_run()).verdicts
        assert untrainable.example is not None
        assert feasible.example is not None
        assert not untrainable.example.trial.launched
        assert feasible.example.trial.launched

    def test_audits_that_would_have_been_refused_are_listed_the_best_first(self) -> None:
        found = summarize(small_run())
        assert [one.trial.name for one in found.held_back] == ["trial 51", "trial 59"]
        assert summarize(replace(small_run(), maximize=False)).held_back[0].trial.name == "trial 59"

    def test_a_verdict_that_audits_contradict_is_withdrawn_and_the_log_says_when(self) -> None:
        rows = [
            row(k, {}, *((0.1, "untrainable") if k % 2 else (0.9, "feasible")), drawn=Drawn.PLAIN, outcome=float(k % 2))
            for k in range(40)
        ]
        evidence = small_run().evidence[0]._replace(plain=True)
        said = [evidence._replace(score=0.1 if k % 2 else 0.9, losses=(-float(k % 2),),
                                  verdict="untrainable" if k % 2 else "feasible") for k in range(40)]  # fmt: skip
        run = replace(small_run(), rows=rows, evidence=said)
        found = summarize(run)
        assert found.trust.refusals < 0.5
        assert found.notices[0].words.startswith("the verdict untrainable is withdrawn")
        assert 2 < found.notices[0].after < 40
        assert "finished trials, the verdict untrainable is withdrawn" in build_page(run)

    def test_numbers_that_are_not_known_are_null_in_json(self) -> None:
        found = summarize(replace(small_run(), rows=[], evidence=())).to_json()
        assert json.loads(json.dumps(found, allow_nan=False))["score_against_outcome"]["auroc"] is None

    def test_refused_draws_beyond_a_limit_are_counted_but_not_listed(self) -> None:
        rows = [row(k, {"x": k}, 0.1, "diverges", launched=False) for k in range(MOST_REFUSED + 7)]
        run = replace(small_run(), rows=[row(0, {"x": 0}, 0.9, "feasible"), *rows], evidence=())
        found = table(run)
        assert found["left_out"] == 7
        assert [cells[0] for cells in found["rows"][:2]] == ["trial 0", "refused 7"]
        assert summarize(run).refused == MOST_REFUSED + 7

    @pytest.mark.parametrize(
        ("value", "cell"),
        [(math.inf, "inf"), (math.nan, "nan"), (2**60, str(2**60)), (True, "True"), ([1, 2], "[1, 2]"), (None, None)],
    )
    def test_what_json_has_no_number_for_is_text(self, value: Any, cell: Any) -> None:
        run = replace(small_run(), rows=[row(0, {"odd": value}, 0.5, "feasible")])
        (cells,) = json.loads(json.dumps(table(run), allow_nan=False))["rows"]
        assert cells[6] == cell


def mixed_run() -> Any:
    """Each way in which a trial can come about, with its own number of trials."""
    kinds: list[tuple[int, Drawn | None, float | None, str | None]] = [
        (1, Drawn.PLAIN, 0.1, "untrainable"),
        (2, Drawn.UNSEEN, 0.2, "untrainable"),
        (3, Drawn.UNJUDGED, None, "outside_theory"),
        (4, None, None, None),
        (5, Drawn.SCREENED, 0.9, "feasible"),
    ]
    rows = []
    for count, drawn, score, verdict in kinds:
        for _ in range(count):
            number = len(rows)
            one = row(number, {"depth": number + 1, "gain": number / 10}, 0.5, "feasible", drawn=drawn, outcome=0.5)
            rows.append(one._replace(trial=one.trial._replace(score=score, verdict=verdict)))
    return replace(small_run(), rows=rows, evidence=small_run().evidence[:1])


class TestTrialsThatThePriorHadNoSayIn:
    def test_audits_unjudged_trials_and_those_before_the_prior_could_be_asked_are_counted_apart(self) -> None:
        found = summarize(mixed_run())
        assert (found.audited, found.unseen, found.unjudged, found.unasked) == (1, 2, 3, 4)
        assert len(found.held_back) == 3
        told = found.to_json()
        assert (told["audited"], told["before_the_prior_could_be_asked"]) == (1, 2)
        assert (told["not_judged"], told["not_asked"]) == (3, 4)
        assert (told["audited_would_be_refused"], told["others_would_be_refused"]) == (1, 2)

    def test_the_page_tells_them_apart_in_words_pictures_and_table(self) -> None:
        html = build_page(mixed_run())
        assert (
            "trials launched, 1 of them as audits, 2 before the prior could be asked, 3 of which the prior had nothing "
            "to say, 4 without a note of the prior&#39;s"
        ) in html
        fates = [cells[1] for cells in content(html, "trials-data")["rows"]]
        assert {fate: fates.count(fate) for fate in fates} == {
            "launched: audit": 1,
            "launched: before the prior could be asked": 2,
            "launched: the prior was silent": 3,
            "launched: the prior was not asked": 4,
            "launched": 5,
        }
        for fate in set(fates):
            assert f"<dt>{fate}</dt>" in html
        symbols = [trace["marker"].get("symbol") for trace in content(html, "map-plot-figure")["data"]]
        assert {"square", "diamond", "square-open", "circle-open"} <= {one for one in symbols if isinstance(one, str)}

    def test_a_run_without_any_note_shows_nothing_hollow_and_says_nothing_of_refusals(self) -> None:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        study.optimize(sphere, n_trials=10)
        html = build_page(run_of_study(study, None))
        for trace in content(html, "map-plot-figure")["data"]:
            assert "open" not in str(trace["marker"].get("symbol"))
            assert trace["marker"].get("color") != "white"
        assert "hollow" not in html.partition("plotly.js v")[0]
        assert {cells[1] for cells in content(html, "trials-data")["rows"]} == {"launched: the prior was not asked"}


class TestTrustInWords:
    def test_the_words_say_how_many_of_those_that_it_would_refuse_came_out_good_and_how_many_others_failed(
        self,
    ) -> None:
        rows = [row(k, {"depth": k}, 0.9, "feasible", outcome=0.5 + k / 100) for k in range(20)]
        rows += [row(20 + k, {"depth": k}, 0.9, "feasible") for k in range(11)]
        rows = [one if k < 20 else one._replace(trial=one.trial._replace(failed=True)) for k, one in enumerate(rows)]
        rows.append(row(31, {"depth": 40}, 0.1, "untrainable", drawn=Drawn.PLAIN, outcome=0.6))
        run = replace(small_run(), rows=rows, evidence=evidence_of(rows))
        html = build_page(run)
        assert "1 of 1 launched trials that it would refuse came out good" in html
        assert "11 of 31 that it let through failed or were pruned" in html
        assert "nothing speaks against" not in html

    def test_a_prior_that_was_never_contradicted_because_never_tried_is_called_untested(self) -> None:
        rows = [row(k, {"depth": k}, 0.9, "feasible", outcome=0.5) for k in range(5)]
        html = build_page(replace(small_run(), rows=rows, evidence=evidence_of(rows)))
        assert "untested, since no trial that it would refuse was launched" in html

    def test_an_order_of_scores_that_is_wrong_is_not_passed_over(self) -> None:
        rows = [row(k, {"depth": k}, 0.4 + k / 50, "feasible", outcome=-k / 50) for k in range(20)]
        run = replace(small_run(), rows=rows, evidence=evidence_of(rows))
        assert "trust in the order of its scores is 0.0" in build_page(run)


class TestThePage:
    def test_names_that_read_from_right_to_left_are_isolated_from_the_words_around_them(self) -> None:
        name = "\u202elive"
        rows = [row(k, {name: k, "depth": k, "choice": name}, 0.1 * k, name, drawn=Drawn.PLAIN, outcome=0.1 * k)
                for k in range(1, 6)]  # fmt: skip
        rows = [one._replace(trial=one.trial._replace(name=name), state=name, reason=name) for one in rows]
        run = replace(
            small_run(), name=name, rows=rows, outcome_name=name, evidence=evidence_of(rows), facts={name: name}
        )
        html = build_page(run)
        body, _, blocks = html.partition('<script type="application/json"')
        for text in re.split(r"<bdi>[^<]*</bdi>|\u2068[^\u2069]*\u2069", body):
            assert "\u202e" not in text
        cells = content(f'<script type="application/json"{blocks}', "trials-data")
        assert cells["rows"][0][0] == f"{name}\u202c"
        for figure in ("map", "calibration"):
            for text in re.findall(
                r"[^\"]*\u202e[^\"]*", json.dumps(content(html, f"{figure}-plot-figure"), ensure_ascii=False)
            ):
                assert "\u202e" not in re.sub("\u2068[^\u2069]*\u2069", "", text)

    def test_it_holds_all_that_it_needs(self) -> None:
        html = build_page(small_run(prior=PRIOR))
        assert "plotly.js v" in html
        assert len(content(html, "trials-data")["rows"]) == 60
        assert {trace["type"] for trace in content(html, "map-plot-figure")["data"]} >= {"heatmap", "scatter"}
        for outside in ('src="http', "src='http", 'href="http', "@import"):
            assert outside not in html.partition("plotly.js v")[0]

    def test_markup_is_escaped_wherever_it_comes_from(self) -> None:
        html = build_page(hostile_run())
        assert SCRIPT not in html
        assert "<img src=x" not in html
        assert SCRIPT in content(html, "trials-data")["columns"][4]["label"]
        assert content(html, "trials-data")["rows"][0][5] == SCRIPT
        texts = json.dumps(content(html, "calibration-plot-figure")["layout"])
        assert "<b>" not in texts
        assert "&lt;b&gt;" in texts

    def test_half_a_character_does_not_keep_the_page_from_being_written(self, tmp_path: Path) -> None:
        path = tmp_path / "report.html"
        ntk_prior.report.write_page(replace(small_run(), name="half \ud800"), path)
        assert "half ?" in path.read_text(encoding="utf-8")

    def test_a_run_without_a_prior_says_so(self) -> None:
        launched = [one for one in small_run().rows if one.trial.launched]
        rows = [one._replace(trial=one.trial._replace(verdict=None, score=None, drawn=None)) for one in launched]
        html = build_page(replace(small_run(), rows=rows, evidence=(), refused_in=None))
        assert "The prior was not asked about any configuration of this run." in html
        assert "No finished trial has a score of the prior yet." in html

    def test_a_missing_library_names_the_extra(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "jinja2", None)
        monkeypatch.delitem(sys.modules, "ntk_prior.report.html_page")
        monkeypatch.delitem(sys.modules, "ntk_prior.report")
        with pytest.raises(ImportError, match=r"jinja2.*pip install 'ntk-prior\[report\]'"):
            __import__("ntk_prior.report")
