"""Simulated studies: the surrogate is sane, costs add up, a killed run goes on, the report computes what it says."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest

from studies.simulated import arms, landscape, report, run, studies, surrogate
from studies.trainings.table import columns

COLUMNS = columns()

SENSIBLE = {
    "weight_variance": 1.5,
    "bias_variance": 0.05,
    "depth": 2,
    "width": 128,
    "learning_rate": 0.5,
    "activation": "tanh",
}


def made_up_table(n: int = 120) -> pd.DataFrame:
    """Trainings that diverge beyond twice the stable rate and forget with depth."""
    rng = np.random.default_rng(0)
    rate, depth = 10.0 ** rng.uniform(-3, 0.9, n), np.exp(rng.uniform(0, np.log(64), n)).astype(int)
    reached = 0.1 + 0.25 * np.exp(-depth / 12) * np.minimum(1, 0.5 + 0.2 * np.log10(rate * 1e3))
    diverged = rate > 2.0
    rows = pd.DataFrame(1.0, index=range(n), columns=COLUMNS)
    rows = rows.assign(
        id=[f"row-{i}" for i in range(n)],
        configuration=[f"configuration-{i}" for i in range(n)],
        dataset="cifar10",
        split=["fit", "held_out"] * (n // 2),
        kind="fcn",
        activation=rng.choice(["erf", "tanh", "relu", "gelu"], n),
        weight_variance=np.exp(rng.uniform(np.log(0.5), np.log(4), n)),
        bias_variance=0.5 * rng.random(n) ** 2,
        depth=depth,
        width=rng.choice([64, 128, 256, 512], n),
        relative_rate=rate,
        diverged=diverged.astype(int),
        diverged_at=np.where(diverged, 20.0, np.nan),
    )
    for name in ("seed", "pooling", "n_train", "n_test", "side", "steps", "best_step", "n_parameters"):
        rows[name] = 0 if name == "pooling" else 1
    for step in (10, 30, 100, 300):
        level = reached * (0.8 + 0.2 * step / 300)
        rows[f"test_accuracy_{step}"] = np.where(diverged & (step > 20), np.nan, level)
    return rows


@cache
def rows() -> Any:
    return surrogate.trainings(made_up_table())


@cache
def fitted() -> Any:
    return surrogate.Surrogate.fit(rows())


@cache
def wide() -> Any:
    made = landscape.Landscape("wide", landscape.SPACES["wide"], fitted(), "made up", landscape.Task.cifar10(512))
    # What takes seconds to find is given.
    made.__dict__.update(unit=1e12, best=(0.4, SENSIBLE))
    return made


def train(**changes: Any) -> Any:
    return wide().training({**SENSIBLE, **changes}, np.random.default_rng(0))


def test_the_surrogate_predicts_what_it_has_not_seen() -> None:
    errors = surrogate.errors(fitted(), rows())
    assert errors["rmse"] < 0.03
    assert errors["r2"] > 0.9
    assert errors["divergence"] < 0.1


def test_a_huge_rate_diverges_and_a_sensible_one_does_not() -> None:
    assert not train().diverges
    assert not train().hopeless
    diverging = train(learning_rate=100.0)
    assert diverging.diverges
    assert diverging.hopeless
    assert diverging.steps < 300
    assert np.allclose(diverging.accuracy[-1], diverging.accuracy[1])
    assert train(learning_rate=100.0, depth=1).diverges


def test_deep_networks_are_at_chance_and_small_rates_are_those_of_the_ranges_end() -> None:
    assert train(depth=64, learning_rate=1e-3).accuracy[-1] < train().accuracy[-1] - 0.1
    slow = [
        wide().surrogate(surrogate.encoded(*([value] for value in ("tanh", 1.5, 0.1, 2, 64, rate))), np.array([rate]))
        for rate in (1e-5, 1e-3)
    ]
    assert np.array_equal(slow[0].accuracy, slow[1].accuracy)


def test_the_rate_is_converted_as_the_table_does() -> None:
    stable = wide().stable_rate(SENSIBLE)
    inputs = surrogate.encoded(*([SENSIBLE[name]] for name in list(SENSIBLE)[5:] + list(SENSIBLE)[:4]), [1.0])
    expected = wide().surrogate(inputs, np.array([1.0])).accuracy[0]
    assert train(learning_rate=stable).accuracy == pytest.approx(expected)


def test_observations_scatter_around_what_is_expected() -> None:
    seen = np.array([wide().training(SENSIBLE, np.random.default_rng(i)).observed for i in range(30)])
    assert len(np.unique(seen[:, -1])) > 5
    assert np.all(np.diff(seen, axis=1) >= 0)
    assert np.abs(seen.mean(axis=0) - train().accuracy).max() < 0.05
    assert np.array_equal(seen[0], wide().training(SENSIBLE, np.random.default_rng(0)).observed)


class Always(optuna.pruners.BasePruner):
    """Prunes at the first evaluation."""

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        return True


def test_a_pruned_trial_pays_what_it_ran_and_a_diverged_one_until_it_is_noticed() -> None:
    limits = studies.Limits(compute=1e9, launched=12)
    ran = studies.run(arms.ARMS["random"], wide(), 0, limits).ledger
    pruned = studies.run(replace(arms.ARMS["random"], pruner=Always), wide(), 0, limits).ledger
    assert ran.spent["launched"] == pruned.spent["launched"] == 12
    assert pruned.spent["steps"] == 120
    assert pruned.spent["flops"] < ran.spent["flops"] <= ran.spent["flops_unstopped"]
    assert ran.spent["flops_unstopped"] == pytest.approx(30 * pruned.spent["flops_unstopped"])


def test_costs_are_the_sum_over_launched_trials() -> None:
    ledger = studies.Ledger(best=0.3)
    good = landscape.Training(np.array([0.2, 0.25, 0.295, 0.3]), np.zeros(4), 300, False, 10.0)
    bad = landscape.Training(np.full(4, 0.1), np.zeros(4), 7, True, 2.0)
    ledger.add(bad, 7, 300)
    ledger.add(good, 30, 30)
    assert ledger.spent == {"flops": 314.0, "flops_unstopped": 900.0, "steps": 37.0, "launched": 2.0}
    assert ledger.found == 0.25
    assert not ledger.reached
    ledger.add(good, 100, 100)
    assert ledger.hopeless == 1
    assert ledger.reached["a_tenth"] == ledger.reached["a_point"] == ledger.spent
    assert "a_hundredth" not in ledger.reached


def test_what_the_prior_refuses_costs_nothing_and_is_counted() -> None:
    limits = studies.Limits(compute=1e9, launched=10)
    alone = studies.run(arms.ARMS["random"], wide(), 0, limits).ledger
    for arm in ("random-prior", "tpe-gate", "tpe-oracle"):
        screened = studies.run(arms.ARMS[arm], wide(), 0, limits).ledger
        assert screened.spent["launched"] == 10
        assert screened.spare > 0
        assert screened.hopeless < alone.hopeless


def test_the_adversary_says_the_opposite() -> None:
    said = [prior(SENSIBLE) for prior in (wide().prior, arms.inverted(wide()))]
    assert said[0].score + said[1].score == pytest.approx(1.0)
    assert (said[0].verdict, said[1].verdict) == ("feasible", "untrainable")


def test_improvement_is_expected_near_the_best_and_where_little_is_known() -> None:
    from studies.simulated import weighted

    known = np.linspace(0, 1, 9)[:, None]
    values = -((known[:, 0] - 0.5) ** 2)
    found = weighted.expected_improvement(known, values, np.array([[0.5], [0.05]]))
    assert found[0] > found[1]


def test_a_killed_run_goes_on_with_the_same_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "landscapes", lambda *_: {"wide": wide()})
    words = ["--space", "wide", "--arms", "random", "tpe", "--seeds", "2", "--trials", "6"]
    whole, killed = tmp_path / "whole.csv", tmp_path / "killed.csv"
    run.main([*words, "--output", str(whole)])
    lines = whole.read_text(encoding="utf-8").splitlines(keepends=True)
    assert len(lines) == 5
    killed.write_text("".join(lines[:3]) + lines[3][:20], encoding="utf-8")
    run.main([*words, "--output", str(killed)])
    shards = [tmp_path / f"{i}.csv" for i in range(2)]
    for i, shard in enumerate(shards):
        run.main([*words, "--output", str(shard), "--shard", f"{i}/2"])
    tables = [pd.read_csv(whole), pd.read_csv(killed), report.load(shards)]
    for table in tables:
        pd.testing.assert_frame_equal(
            *(one.drop(columns="seconds").sort_values("id", ignore_index=True) for one in (tables[0], table))
        )


def studies_by_hand() -> pd.DataFrame:
    costs = {"tpe": [20.0, 40.0, 60.0, 80.0, 50.0], "tpe-prior": [5.0, 10.0, 20.0, np.nan, 10.0]}
    made = []
    for arm, reached in costs.items():
        for seed, cost in enumerate(reached):
            row = dict.fromkeys(studies.COSTS, 100.0)
            row.update({f"{target}_{name}": cost for target in studies.CLOSE for name in studies.COSTS})
            row.update({f"a_hundredth_{name}": np.nan for name in studies.COSTS} if arm == "tpe" else {})
            curve = ";".join("0.1000" if at < 20 else "0.3000" for at in studies.GRID)
            hopeless = 10 if arm == "tpe" else 2
            named = {"id": f"wide/{arm}/{seed}", "space": "wide", "arm": arm, "seed": seed, "trials": 100}
            row |= {**named, "unit": 1.0, "target_best": 0.3, "curve": curve, "hopeless": hopeless, "spare": 150}
            made.append({**row, "table": "t", "commit": "c"})
    return pd.DataFrame(made)


def test_the_report_computes_what_it_says() -> None:
    made = studies_by_hand()
    base, prior = (made[made["arm"] == arm] for arm in ("tpe", "tpe-prior"))
    assert report.typical(report.needed(base, "a_point", "flops")) == 50.0
    assert report.typical(report.needed(prior, "a_point", "flops")) == 10.0
    found = report.cells(prior, base)
    assert found[0] == "5"
    assert found[1].startswith("10 [5, ")
    assert found[1].endswith(" 80%")
    assert found[2].startswith("5.00 [")
    # The base did not get there: what it spent, 100, is a lower bound.
    assert found[6].startswith(">10.00 [")
    assert report.cells(base, None)[5].startswith(">100 [")
    assert found[7].startswith("0.100 [")
    assert report.best_after(prior, 30.0) == pytest.approx(0.3)
    assert found[8].startswith("4% [")
    assert found[9] == "1.50"


def test_the_interval_is_that_of_resampled_seeds() -> None:
    values = np.stack([np.arange(1.0, 102.0), np.full(101, 500.0)], axis=1)
    value, low, high = report.bootstrap(report.typical, values)
    assert value == 51.0
    assert 36 <= low <= 45
    assert 57 <= high <= 66


def test_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(report, "RESAMPLES", 50)
    file, picture = tmp_path / "studies.csv", tmp_path / "studies.svg"
    studies_by_hand().to_csv(file, index=False)
    report.main([str(file), "--plot", str(picture)])
    assert "TPE + prior" in capsys.readouterr().out
    assert "<svg" in picture.read_text(encoding="utf-8")
    other = tmp_path / "other.csv"
    studies_by_hand().assign(table="u").to_csv(other, index=False)
    with pytest.raises(ValueError, match="table"):
        report.load([file, other])
