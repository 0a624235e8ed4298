"""Stored messages are read again by another reader, from where an interrupted run ended."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from intelligence.message_rereading import RereadReport, reread_messages
from intelligence.migrations import migrate
from intelligence.postgres_messages import StoredMessage, open_store
from models.sentiment import MessageReader, load_concerns
from tests.builders import AS_OF

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from intelligence.postgres_messages import MessageStore

BEFORE = StoredMessage("ann", "m0", AS_OF, "customer", "the wax dripped", "en", 0.0, 5.0, [], "none", False)
TEXTS = ["the wax dripped", "the lid broke", "thank you, lovely", "my parcel is late", "more wax"]


class InterruptedRunError(Exception):
    """The run was killed."""


@pytest.fixture
def waxed(tmp_path: Path) -> MessageReader:
    """A reader of other concerns than the shipped ones."""
    file = tmp_path / "concerns.json"
    file.write_text('{"concerns": {"wax": ["wax"], "lid": ["lid"]}}')
    return MessageReader(load_concerns(file))


def write(store: MessageStore) -> None:
    """Store messages of ann, and then one of bob."""
    messages = [replace(BEFORE, message_id=f"m{number}", text=text) for number, text in enumerate(TEXTS)]
    with store.writing():
        store.write([*messages, replace(BEFORE, customer_id="bob")], {})


def concerns(store: MessageStore) -> list[Sequence[str]]:
    """Return the concerns of all messages, by customer and id."""
    rows = store.connection.execute("SELECT concerns FROM intelligence.message ORDER BY customer_id, message_id")
    return [row[0] for row in rows.fetchall()]


def interrupt(*_: int) -> None:
    raise InterruptedRunError


def ignore(*_: int) -> None:
    """Show nothing."""


def test_messages_are_read_again_once_and_only_changes_are_written(ledger_url: str, waxed: MessageReader) -> None:
    migrate(ledger_url)
    shown: list[tuple[int, int]] = []
    with open_store(ledger_url) as store:
        assert reread_messages(store, MessageReader(), ignore).read == 0
        write(store)
        assert reread_messages(store, MessageReader(), ignore).read == 0
        found = reread_messages(store, waxed, lambda done, total: shown.append((done, total)), at_once=2)
        assert (found.version, found.read, shown) == (waxed.version, 6, [(2, 6), (4, 6), (6, 6), (6, 6)])
        assert concerns(store) == [["wax"], ["lid"], [], [], ["wax"], ["wax"]]
        assert reread_messages(store, waxed, ignore) == RereadReport(waxed.version)
        shipped = reread_messages(store, MessageReader(), ignore, at_once=6)
        assert (shipped.read, shipped.changed) == (6, 5)
        assert concerns(store) == [[], ["quality"], [], ["delivery"], [], []]


def test_an_interrupted_run_goes_on_where_it_ended(ledger_url: str, waxed: MessageReader) -> None:
    """And begins again after an erasure of the customer at whom it ended."""
    migrate(ledger_url)
    with open_store(ledger_url) as store:
        write(store)
        with pytest.raises(InterruptedRunError):
            reread_messages(store, waxed, interrupt, at_once=2)
        assert reread_messages(store, waxed, ignore).read == 4
        with pytest.raises(InterruptedRunError):
            reread_messages(store, MessageReader(), interrupt, at_once=2)
        assert store.erase(["ann"])["intelligence.reading_state"] == 1
        assert reread_messages(store, MessageReader(), ignore).read == 1


def test_readers_differ_by_their_concerns(waxed: MessageReader) -> None:
    assert MessageReader().version == MessageReader(load_concerns(None)).version
    assert MessageReader().version.startswith("vader ")
    assert waxed.version != MessageReader().version
