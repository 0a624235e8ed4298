"""Trains small nets and writes their results: python nets.py FOLDER.

Runs in its own process, because TensorFlow and tflite-runtime crash in the same one. FOLDER gets found.npz and, for
each net, a model folder as serving loads it, with rows.npz in it.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from training.nets.architecture import encode
from training.nets.fit import Options, Trained, conform, fit
from training.nets.recalibration import shift
from training.nets.spread import add_spread
from training.reasons import write_reasons

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURES = ("spend", "days", "kind")
KIND = 2
ODD = (np.nan, np.inf, -np.inf, 1e30, -1e30, 7.0)
ROWS = 1500
NETS = (
    ("additive", "binary"),
    ("tabm", "binary"),
    ("additive", "zero_inflated_lognormal"),
    ("tabm", "zero_inflated_lognormal"),
    ("additive", "gamma"),
    ("additive", "tweedie"),
)
OPTIONS = Options(members=4, hidden=16)


def make_rows(seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return inputs, purchase and spend: both depend on the days and, with noise, on the kind."""
    draw = np.random.default_rng(seed)
    inputs = np.stack([draw.gamma(1, 50, ROWS), draw.uniform(0, 100, ROWS), draw.integers(0, 3, ROWS)], axis=1)
    logit = 3 - inputs[:, 1] / 15 + np.array([0, 2, -1])[inputs[:, KIND].astype(int)]
    buys = (draw.random(ROWS) < 1 / (1 + np.exp(-logit))).astype(np.float32)[:, None]
    spend = buys * np.exp(draw.normal(3 + 0.02 * inputs[:, 1], 0.6))[:, None]
    inputs[draw.random(ROWS) < 0.1, 0] = np.nan
    return inputs.astype(np.float32), buys, spend.astype(np.float32)


def train(method: str, likelihood: str, seed: int = 1) -> Trained:
    """Train one of the nets; spend gets a conformal interval, calibrated on other rows."""
    inputs, buys, spend = make_rows(1)
    interval = None if likelihood == "binary" else 0.8
    targets = buys if likelihood == "binary" else spend
    known: dict[str, Any] = {"likelihood": likelihood, "method": method, "seed": seed, "interval": interval}
    trained = fit(inputs, targets, categories=[KIND], options=OPTIONS, **known)
    if interval is None:
        return trained
    inputs, _, spend = make_rows(2)
    return conform(trained, inputs, spend, interval)[0]


def score_members(trained: Trained, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of the ensemble's members, computed as in the paper, shape [members, rows, 1]."""
    rows = encode(inputs, trained.preprocessing).numpy().astype(np.float64)
    net = {name: np.asarray(getattr(trained.net, name), np.float64) for name in trained.net.__slots__}
    chances = []
    for k in range(len(net["level"])):
        inner = (rows * net["signs"][k, :, 0]) @ net["kernel"] * net["scales"][k, 0] + net["offsets"][k]
        logits = rows @ net["skip"] + np.maximum(inner, 0) @ net["heads"][k] + net["level"][k]
        chances.append(1 / (1 + np.exp(-logits)))
    return np.stack(chances)


def scores_of_bag(trained: Trained, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probability that each net of the bag gives, shape [rows, members]."""
    assert trained.bag is not None
    rows = encode(inputs, trained.preprocessing).numpy().astype(np.float64)
    logits = np.einsum("np,kpq->nk", rows, trained.bag.skips.numpy()) + np.asarray(trained.bag.level)[:, 0]
    return 1 / (1 + np.exp(-logits))


def write(trained: Trained, folder: Path) -> None:
    """Write a net as serving loads it, and rows with their scores."""
    content = trained.convert()
    folder.mkdir()
    (folder / "model.tflite").write_bytes(content)
    inputs, buys, spend = make_rows(1)
    targets, scores = (buys if trained.outputs == 1 else spend), trained.predict(inputs)[:, :1]
    reasons = write_reasons(folder, FEATURES, inputs, targets, scores, {}, trained.predict, trained.method)
    manifest = {"version": "test", "outputs": trained.outputs, "spreads": trained.spreads, "features": FEATURES}
    manifest["reasons"] = reasons
    manifest["files"] = {each.name: hashlib.sha256(each.read_bytes()).hexdigest() for each in folder.iterdir()}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    inputs = make_rows(3)[0]
    odd = np.stack([inputs[0]] * len(ODD) * len(FEATURES))
    for place in range(len(odd)):
        odd[place, place // len(ODD)] = ODD[place % len(ODD)]
    odd = np.concatenate([odd, np.tile(np.array(ODD, np.float32)[:, None], len(FEATURES))])
    parts = {"usual": inputs, "odd": odd}
    rows = {f"{name}.inputs": each for name, each in parts.items()}
    groups = {f"{name}.groups": np.full(len(each), "") for name, each in parts.items()}
    np.savez(folder / "rows.npz", **rows, **groups)


def main(root: str) -> None:
    """Train the nets, and write the results."""
    inputs, buys, spend = make_rows(3)
    nets = {f"{method}-{likelihood}": train(method, likelihood) for method, likelihood in NETS}
    learned, bought, _ = make_rows(1)
    for method in ("additive", "tabm"):
        nets[f"{method}-spread"] = add_spread(nets[f"{method}-binary"], learned, bought, OPTIONS, seed=1)
    for name, trained in nets.items():
        write(trained, Path(root) / name)
    found = {f"scores {name}": trained.predict(inputs) for name, trained in nets.items()}
    for method in ("additive", "tabm"):
        found[f"spread {method}"] = nets[f"{method}-spread"].predict_with_spread(inputs)[:, 1:]
        found[f"shifted {method}"] = shift(nets[f"{method}-spread"], 0.5).predict_with_spread(inputs)
        again = add_spread(nets[f"{method}-binary"], learned, bought, OPTIONS, seed=1)
        found[f"spread again {method}"] = again.predict_with_spread(inputs)[:, 1:]
    found["bag"] = scores_of_bag(nets["additive-spread"], inputs)
    for method in ("additive", "tabm"):
        found[f"again {method}"] = train(method, "binary").predict(inputs)
    found["other seed"] = train("tabm", "binary", seed=2).predict(inputs)
    found["members"] = score_members(nets["tabm-binary"], inputs)
    additive = nets["additive-binary"]
    found["terms"] = additive.terms(inputs)
    for name, (values, added) in additive.shapes(FEATURES).items():
        found |= {f"values {name}": values, f"added {name}": added}
    found["ensemble shapes"] = np.array(len(nets["tabm-binary"].shapes(FEATURES)))
    unknown = inputs.copy()
    unknown[:, KIND] = [9, np.nan, -1] * (ROWS // 3)
    found["encoded unknown"] = encode(unknown, additive.preprocessing).numpy()
    found["category columns"] = additive.preprocessing.origin == KIND
    half = np.concatenate([buys, np.full_like(buys, -1)], axis=1)
    found["unobserved"] = fit(inputs, half, seed=1).predict(inputs)
    np.savez(Path(root) / "found.npz", buys=buys, spend=spend, inputs=inputs, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
