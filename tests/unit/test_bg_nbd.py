"""BG/NBD and gamma-gamma against the published values of CDNOW, where the data are at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.quality.bg_nbd import BgNbd, GammaGamma, Histories
from training.data.point_in_time import Orders

SAMPLE = "CDNOW_sample.txt"
DAY = np.datetime64("1997-10-01")


@pytest.fixture(scope="module")
def sample() -> Orders:
    """The tenth of CDNOW's customers that the papers use."""
    for folder in Path(__file__).parents:
        path = folder / "shared" / "data" / SAMPLE
        if path.exists():
            rows = [line.split() for line in path.read_text(encoding="ascii").splitlines() if line.strip()]
            day = np.array([f"{row[2][:4]}-{row[2][4:6]}-{row[2][6:]}" for row in rows], dtype="datetime64[D]")
            # Eight customers begin with free discs, which the papers count.
            amounts = np.maximum([float(row[4]) for row in rows], 0.01)
            return Orders(np.array([row[1] for row in rows]), day, amounts)
    pytest.skip("CDNOW_sample.txt is not at hand")


def test_the_parameters_are_the_published_ones(sample: Orders) -> None:
    """Fader, Hardie and Lee 2005, table 2: 2,357 customers, 39 weeks."""
    known = Histories.of(sample, DAY)
    found = BgNbd.fit(known)
    assert len(known.customer) == 2357
    assert found.log_likelihood == pytest.approx(-9582.4, abs=0.1)
    parameters = (found.r, found.alpha, found.a, found.b)
    assert parameters == pytest.approx((0.243, 4.414, 0.793, 2.426), abs=0.002)


MODEL = BgNbd(0.243, 4.414, 0.793, 2.426, 0.0)
KNOWN = Histories(
    np.array(["often", "lapsed", "once"]),
    *map(np.array, ([2.0, 2.0, 0.0], [30.43, 5.0, 0.0], [38.86, 38.86, 38.86], [20.0, 20.0, 20.0])),
)


def test_the_expected_purchases_are_the_published_ones() -> None:
    """The paper's note on its implementation: x 2, t_x 30.43, T 38.86, 39 weeks: 1.226."""
    assert MODEL.expect(KNOWN, 39 * 7)[0] == pytest.approx(1.226, abs=0.001)


def test_a_customer_of_one_purchase_has_not_left() -> None:
    alive = MODEL.alive(KNOWN)
    assert alive[2] == 1
    assert alive[0] > alive[1]


def test_expected_purchases_are_those_of_the_curve_at_first() -> None:
    """Within an hour nobody buys twice."""
    hour = 1 / 24
    bought = 1 - MODEL.survive(KNOWN, np.array([hour]))[:, 0]
    np.testing.assert_allclose(MODEL.expect(KNOWN, hour), bought, rtol=1e-3)


def test_the_curve_falls_and_ends_above_the_probability_of_having_left() -> None:
    curve = MODEL.survive(KNOWN, np.array([0.0, 30, 90, 1e6]))
    np.testing.assert_allclose(curve[:, 0], 1)
    assert (np.diff(curve, axis=1) < 0).all()
    assert (curve[:, -1] >= 1 - MODEL.alive(KNOWN)).all()


def test_purchases_of_one_day_are_one() -> None:
    day = np.array(["1997-01-01", "1997-01-01", "1997-01-15"], dtype="datetime64[D]")
    known = Histories.of(Orders(np.array(["a"] * 3), day, np.array([5.0, 7.0, 18.0])), np.datetime64("1997-01-30"))
    found = (known.repeats[0], known.last[0], known.age[0], known.mean[0])
    assert found == (1.0, 2.0, 4.0, 15.0)


def test_amounts_are_drawn_towards_those_of_all() -> None:
    """Simulated by the model: the parameters come back, and many purchases count for more than one."""
    generator = np.random.default_rng(1)
    count = generator.integers(1, 20, 20_000).astype(np.float64)
    rate = generator.gamma(4.0, 1 / 15.0, 20_000)
    mean = generator.gamma(6.0 * count) / rate / count
    found = GammaGamma.fit(count, mean)
    assert (found.p, found.q, found.v) == pytest.approx((6.0, 4.0, 15.0), rel=0.1)
    once, often = found.expect(np.array([1.0, 50.0]), np.array([100.0, 100.0]))
    assert 30 < once < often < 100
