"""A model of sentiment is trained on labelled messages and promoted, and a running worker reads messages with it."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from tests.journey.test_worker import read_health, workplace
from tests.journey.workplace import TIMEOUT_S, wait_until
from tests.labelled_texts import write_labels

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from console.embedded.services import Endpoints
    from tests.journey.workplace import Workplace

COMPLAINT = "the kettle never came on friday"
GERMAN = "Ich bin sehr unzufrieden, wo ist mein Paket?"
ODD = ("\U0001f621\U0001f621", "<p>the <b>invoice</b></p>", "x" * 100_000, "\u3042\u308a\u304c\u3068\u3046")


@pytest.fixture
def place(endpoints: Endpoints, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with a folder of models and concerns of its own."""
    concerns = tmp_path / "concerns.yaml"
    concerns.write_text("concerns: {invoice: [invoice]}\n")
    with workplace(endpoints, tmp_path) as lent:
        settings = {"HOLDFAST_MODELS_DIR": str(tmp_path / "models"), "HOLDFAST_CONCERNS_FILE": str(concerns)}
        yield replace(lent, environment={**lent.environment, **settings, "ML_MOCK_MODE": "false"})


def say(place: Workplace, customer: str, *texts: str) -> None:
    place.set_customer(customer)
    said = (place.event(customer, "conversation.message", role="customer", text=text, channel="chat") for text in texts)
    place.publish("conversations", *said)
    place.settle()


def signals(place: Workplace, customer: str) -> dict[str, Any]:
    ((found,),) = place.ask_ledger(f"SELECT signals FROM signal WHERE customer_id = '{customer}'")  # noqa: S608
    return dict(found)


def test_a_trained_model_reads_messages_in_place_of_vader(place: Workplace) -> None:
    labels = write_labels(place.folder / "labels.csv")
    with ExitStack() as stack:
        worker = place.start_worker()
        stack.callback(worker.stop)
        say(place, "ann", COMPLAINT)
        assert signals(place, "ann")["sentiment_score"] == 0
        # Longer, because a process of its own imports TensorFlow.
        done = place.holdfast("train", "sentiment", "--labels", str(labels), "--json", timeout_s=4 * TIMEOUT_S)
        assert done.returncode == 0, done.stderr
        version = json.loads(done.stdout)["models"]["sentiment"]["version"]
        wait_until(lambda: read_health(worker)["models"].get("sentiment") == version)
        say(place, "bob", COMPLAINT)
        say(place, "cy", GERMAN)
        say(place, "dee", *ODD)
    assert signals(place, "bob")["sentiment_score"] < -0.3
    assert place.decisions("bob")[0][0] == "make-good"
    assert signals(place, "ann")["sentiment_score"] == 0
    german, odd = signals(place, "cy"), signals(place, "dee")
    assert (german["sentiment_score"], german["unsupported_messages"], german["last_language"]) == (0, 1, "de")
    assert (odd["customer_message_count"], odd["key_concerns"], odd["last_language"]) == (4, ["invoice"], "ja")
    (decision, *_) = (each.body for each in place.see("decisions") if each.key == b"bob")
    assert decision["versions"]["sentiment"] == version


def test_labels_that_cannot_be_used_and_concerns_are_refused_without_a_traceback(place: Workplace) -> None:
    labels = place.folder / "labels.csv"
    labels.write_text("message,label\nhello,positive\n")
    done = place.holdfast("train", "sentiment", "--labels", str(labels))
    said = f"error: {labels}: no column text; the first line names: 'message', 'label'\n"
    assert (done.returncode, done.stderr) == (2, said)
    (place.folder / "concerns.yaml").write_text("concerns: {Price: [x]}\n")
    done = place.holdfast("worker")
    assert done.returncode != 0
    assert "no file of concerns" in done.stderr
    assert "Traceback" not in done.stderr
