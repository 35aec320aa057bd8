"""Figures and note on the study's page of a running optuna-dashboard, seen in a browser."""

from __future__ import annotations

import html
import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import optuna
import pytest
from optuna.samplers import RandomSampler
from optuna_dashboard import get_note, save_note, wsgi

from ntk_prior.decision.draws import Drawn
from ntk_prior.decision.records import Record
from ntk_prior.plots import theme
from ntk_prior_optuna import NTKPriorSampler
from ntk_prior_optuna.dashboard import HEADING, LINE, DashboardCallback, as_tile, note
from ntk_prior_optuna.run import goal, read_run
from tests.support.optuna_studies import SPACE, sphere
from tests.support.priors import Judged, is_silent, likes_small_x

if TYPE_CHECKING:
    from tests.support.browser import Watched

pytest_plugins = ["tests.support.browser"]

TITLES = (
    "What the prior said of each trial",
    "Score against outcome",
    "Compute launched and avoided",
    "Trust in the prior",
)


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


def study_in(storage: Any, prior: Any = likes_small_x, **options: Any) -> optuna.Study:
    sampler = NTKPriorSampler(prior, RandomSampler(seed=0), search_space=SPACE, seed=0)
    return optuna.create_study(storage=storage, sampler=sampler, **options)


@pytest.fixture
def storage(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def address(storage: str) -> Iterator[str]:
    """A running optuna-dashboard over that storage."""
    optuna.create_study(storage=storage, study_name="another")
    server = make_server("127.0.0.1", 0, wsgi(storage), handler_class=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/dashboard/studies"
    server.shutdown()
    thread.join()
    server.server_close()


def figures_in(study: optuna.Study) -> set[str]:
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return {found[1] for key in attributes if (found := re.search(r"(ntk-prior-\w+)", key))}


def words_of(study: optuna.Study) -> str:
    run = read_run(study, goal(study, None, "loss"))
    return note(run, run.evidence)


def titles_of_tiles(study: optuna.Study) -> str:
    """What the storage keeps of the figures, as one text."""
    attributes = study._storage.get_study_system_attrs(study._study_id)
    return "".join(str(value) for value in attributes.values())


def test_the_study_s_page_shows_figures_and_the_note(storage: str, address: str, watched: Watched) -> None:
    study = study_in(storage)
    study.optimize(sphere, n_trials=20, callbacks=[DashboardCallback(every=10)])
    watched.page.goto(f"{address}/{study._study_id}")
    for title in TITLES:
        watched.page.get_by_text(title, exact=True).wait_for()
    watched.page.goto(f"{address}/{study._study_id}/note")
    watched.page.get_by_role("heading", name="What the prior did").wait_for()
    assert watched.page.get_by_role("cell", name="feasible").count() == 1
    assert watched.errors == []


def test_markup_in_a_verdict_is_shown_not_run(storage: str, address: str, watched: Watched) -> None:
    verdict = "<img src=x onerror=alert(1)>|<script>alert(2)</script>"
    study = study_in(storage, lambda config: Judged(0.9 if config["x"] > 0 else 0.1, verdict))
    study.optimize(sphere, n_trials=12, callbacks=[DashboardCallback(every=12)])
    dialogs: list[str] = []
    watched.page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    watched.page.goto(f"{address}/{study._study_id}/note")
    watched.page.get_by_text("<script>alert(2)</script>").first.wait_for()
    watched.page.goto(f"{address}/{study._study_id}")
    watched.page.get_by_text(TITLES[3], exact=True).wait_for()
    assert dialogs == []


def test_they_are_written_every_so_many_trials() -> None:
    study = study_in(None)
    study.optimize(sphere, n_trials=9, callbacks=[DashboardCallback(every=10)])
    assert figures_in(study) == set()
    assert get_note(study) == ""
    study.optimize(sphere, n_trials=1, callbacks=[DashboardCallback(every=10)])
    assert figures_in(study) == {f"ntk-prior-{name}" for name in ("feasibility", "calibration", "savings", "trust")}


def test_the_user_s_own_note_stays_and_ours_is_replaced() -> None:
    study = study_in(None)
    save_note(study, "My words.\n\n")
    study.optimize(sphere, n_trials=20, callbacks=[DashboardCallback(every=10)])
    note = get_note(study)
    assert note.startswith("My words.\n\n## ")
    assert note.count(HEADING) == 1
    counts = [int(cell) for cell in re.findall(r"\| (\d+) \| 0 \|", note)]
    assert sum(counts) == 20


def test_a_withdrawn_verdict_is_in_the_note() -> None:
    def is_wrong(config: Any) -> Judged:
        return Judged(0.1, "untrainable") if abs(config["x"]) < 0.7 else Judged(0.9)

    study = study_in(None, is_wrong)
    study.optimize(sphere, n_trials=60, callbacks=[DashboardCallback(every=60)])
    assert "**untrainable is withdrawn**: after " in get_note(study)


def test_the_note_counts_audits_and_other_trials_without_the_prior_s_say_apart() -> None:
    study = study_in(None)
    study.optimize(sphere, n_trials=10)
    for drawn, score in (("unseen", 0.1), ("unseen", 0.9), ("unjudged", None)):
        record = Record(score, "feasible" if score else "outside_theory", "", Drawn(drawn)).to_json()
        kept = optuna.trial.create_trial(params={"x": 0.1}, distributions={"x": SPACE["x"]}, value=1.0,
                                         user_attrs={"ntk_prior": record})  # fmt: skip
        study.add_trial(kept)
    study.add_trial(optuna.trial.create_trial(value=1.0, params={"x": 0.2}, distributions={"x": SPACE["x"]}))
    said = words_of(study)
    assert "- 2 launched trials were drawn before the prior could be asked, and judged afterwards." in said
    assert "- 1 launched trials were such that the prior had nothing to say of them." in said
    assert "- 1 launched trials have no note of the prior's." in said
    assert "nothing speaks against" not in said


def test_a_verdict_that_reads_from_right_to_left_keeps_its_direction_to_itself() -> None:
    study = study_in(None, lambda config: Judged(0.9, "\u202elive"))
    study.optimize(sphere, n_trials=3)
    assert "| \u2068\u202elive\u202c\u2069 | 3 | 0 |" in words_of(study)


def test_a_figure_that_would_be_empty_says_why_on_its_tile() -> None:
    study = study_in(None, is_silent)
    study.optimize(sphere, n_trials=3)
    DashboardCallback().save(study)
    assert figures_in(study) == {f"ntk-prior-{name}" for name in ("feasibility", "calibration", "savings", "trust")}
    assert "No finished trial of this study has a score" in titles_of_tiles(study)


def test_a_target_is_named_on_the_tile_of_trust_and_the_note_goes_by_all_objectives() -> None:
    study = study_in(None, directions=["minimize", "minimize"])
    study.optimize(lambda trial: (sphere(trial), -sphere(trial)), n_trials=12)
    DashboardCallback(target=lambda trial: float(trial.values[1]), target_name="speed").save(study)
    assert "trials compared by: speed" in titles_of_tiles(study)
    run = read_run(study, goal(study, lambda trial: float(trial.values[1]), "speed"))
    assert note(run, read_run(study, None).evidence) in get_note(study)
    assert len(read_run(study, None).evidence[0].losses) == 2


def test_titles_of_tiles_fit_a_narrow_window() -> None:
    figure = theme.figure(
        "Trust<br><sup>σ<sub>b</sub>² = 0.05, " + ", ".join(f"p{k} = {k}" for k in range(24)) + "<br>a &lt; b</sup>"
    )
    whole, margin = figure.layout.title.text, figure.layout.margin.t
    lines = as_tile(figure).layout.title.text.split("<br>")
    shown = [html.unescape(re.sub("<[^>]*>", "", line)) for line in lines]
    assert max(map(len, shown)) <= LINE
    assert (shown[0], shown[1][:9], shown[-1]) == ("Trust", "σb² = 0.0", "a < b")
    assert not any(line.endswith("=") or line.startswith("=") for line in shown)
    assert " ".join(lines) == whole.replace("<br>", " ")
    assert figure.layout.margin.t == margin + 18 * (len(lines) - 3) > margin


def test_a_study_without_the_prior_is_left_alone() -> None:
    study = optuna.create_study()
    study.optimize(sphere, n_trials=4, callbacks=[DashboardCallback(every=2)])
    assert figures_in(study) == set()


def test_a_figure_that_cannot_be_drawn_is_left_out_and_the_study_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fails(study: optuna.Study, **options: Any) -> None:
        raise RuntimeError("no paint")

    monkeypatch.setattr("ntk_prior_optuna.dashboard.savings_of", fails)
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        with caplog.at_level(logging.WARNING):
            study = study_in(None)
            study.optimize(sphere, n_trials=4, callbacks=[DashboardCallback(every=2)])
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
    assert len(study.trials) == 4
    assert "lacks the figure savings: RuntimeError: no paint" in caplog.text
    assert "ntk-prior-trust" in figures_in(study)


def test_several_objectives_need_a_target_at_once() -> None:
    study = study_in(None, directions=["minimize", "minimize"])
    with pytest.raises(ValueError, match="target: expected a function of a trial"):
        study.optimize(lambda t: (sphere(t), 0.0), n_trials=1, callbacks=[DashboardCallback(every=100)])
    study.optimize(
        lambda t: (sphere(t), 0.0), n_trials=5, callbacks=[DashboardCallback(1, target=lambda trial: trial.values[0])]
    )
    assert len(figures_in(study)) == 4


@pytest.mark.parametrize(("options", "error"), [({"every": 0}, ValueError), ({"target": "loss"}, TypeError)])
def test_wrong_options_are_named(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error, match=f"{next(iter(options))}: expected"):
        DashboardCallback(**options)


def test_without_optuna_dashboard_the_import_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ntk_prior_optuna.dashboard")
    monkeypatch.setitem(sys.modules, "optuna_dashboard", None)
    with pytest.raises(ImportError, match=r"pip install 'ntk-prior\[dashboard\]'"):
        import ntk_prior_optuna.dashboard  # noqa: F401
