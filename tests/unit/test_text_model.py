"""A model of texts: its inputs, its training, and messages read with it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from models.errors import ModelLoadError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.text_grams import SLOTS
from models.text_inputs import INPUTS, read_inputs
from models.text_model import TextScorer
from tests.labelled_texts import labelled_texts, write_labels
from training.errors import TrainingDataError
from training.text.head import HeadConfig, fit_head
from training.text.labels import read_labels

if TYPE_CHECKING:
    from pathlib import Path

    from training.run import Result

ODD = ["", " ", "\U0001f600\U0001f600", "\ud800", "<b>", "&amp;", "x" * 100_000, "\x00", "\u0648" * 50, "never " * 9000]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Result:
    """A version that was trained and promoted."""
    return train(tmp_path_factory.mktemp("sentiment"))


def train(folder: Path, number: int = 120) -> Result:
    """Train with this number of labelled texts of each class."""
    # Not when tests are collected: it imports TensorFlow, which takes four seconds in each of their processes.
    from training.text.run import TextRunConfig, train_sentiment  # noqa: PLC0415

    return train_sentiment(read_labels(write_labels(folder / "labels.csv", number)), TextRunConfig(folder / "models"))


def models_of(trained: Result) -> Path:
    return trained.version.folder.parents[2]


def test_a_text_has_the_same_inputs_whatever_its_batch() -> None:
    texts = [*ODD, *(text for text, _ in labelled_texts(4))]
    together = read_inputs(texts)
    assert together.shape == (len(texts), INPUTS)
    assert np.isfinite(together).all()
    for row, text in zip(together, texts, strict=True):
        np.testing.assert_array_equal(read_inputs([text])[0], row)


def test_inputs_are_those_that_promoted_models_were_trained_on() -> None:
    """If these change, raise SCHEME: models that were trained before would read other n-grams."""
    row = read_inputs(["@shop I'm NOT happy!!! The lamp is sooo late :( &amp; broken https://x.org #NeverAgain"])[0]
    assert (int((row[:SLOTS] > 0).sum()), int(row[:SLOTS].sum())) == (409, 27538366)
    tone = [-0.871, -0.718, -0.596, -0.718, -0.596, *[0] * 6, 0.677, 0.75, 0, 0.2, 1, 0.333, 0]
    np.testing.assert_allclose(row[SLOTS:], tone, atol=5e-4)


def test_a_model_that_beats_vader_is_promoted_with_its_report(trained: Result) -> None:
    assert trained.promoted, trained.refusals
    assert trained.manifest["text"]["languages"] == ["en"]
    metrics = trained.manifest["metrics"]
    assert metrics["model"]["accuracy"] > metrics["baselines"]["vader"]["accuracy"]
    assert "Where it errs" in (trained.version.folder / "report.html").read_text()
    assert (trained.version.folder / "card.md").exists()


def test_the_exported_model_gives_what_the_head_gives() -> None:
    texts, labels = zip(*labelled_texts(20), strict=True)
    inputs = read_inputs(texts)
    places = np.array([("negative", "neutral", "positive").index(label) for label in labels])
    head = fit_head(inputs, places, HeadConfig(iterations=5))
    from training.text.export import convert  # noqa: PLC0415 - imports TensorFlow

    scorer = TextScorer(convert(head), {"version": "v", "text": {"languages": ["en"]}})
    logits = head.predict_logits(inputs)
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scorer.score_texts(texts), expected, atol=1e-5)


def test_messages_are_read_with_the_promoted_model_and_with_vader_without_one(trained: Result) -> None:
    scorers = load_scorers(models_of(trained), FEATURE_MAPPING)
    assert scorers.versions["sentiment"] == trained.version.version
    late, early = (each.sentiment for each in scorers.reader.read(["the mug never came", "the mug came a day early"]))
    assert late < -0.3
    assert early > 0.3
    by_vader = load_scorers(models_of(trained) / "none", FEATURE_MAPPING).reader
    assert by_vader.read(["the mug never came"])[0].sentiment == 0


def test_a_sentiment_does_not_depend_on_the_other_messages(trained: Result) -> None:
    reader = load_scorers(models_of(trained), FEATURE_MAPPING).reader
    texts = [*ODD, *(text for text, _ in labelled_texts(8))] * 10
    assert reader.read(texts) == [reader.read([text])[0] for text in texts]


def test_a_version_of_another_scheme_is_refused(trained: Result, tmp_path: Path) -> None:
    folder = tmp_path / "version"
    folder.mkdir()
    for name in ("model.tflite", "manifest.json"):
        (folder / name).write_bytes((trained.version.folder / name).read_bytes())
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["text"]["scheme"] = 0
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ModelLoadError, match=r"scheme 0, this release reads them by scheme 1; train it again"):
        TextScorer.load(folder)


def test_too_few_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="too few texts: 8 negative"):
        train(tmp_path, 8)
