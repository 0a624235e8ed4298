"""Dead letters: found, shown, sent back to their topics, discarded.

See streams/kafka/requeueing.py for why each letter is sent back once.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC
from itertools import count
from typing import TYPE_CHECKING

from campaigns.dead_letters import DeadLetterFilter, Resolution, refuse_requeue
from campaigns.errors import DeadLetterError
from campaigns.postgres_dead_letters import NO_NUMBER, open_dead_letters
from console.printable import printable
from streams.errors import SinkUnavailableError
from streams.kafka.requeueing import open_requeuer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from campaigns.dead_letters import DeadLetter
    from campaigns.postgres_dead_letters import PostgresDeadLetters
    from streams.kafka.requeueing import DeadLetterRequeuer
    from streams.settings import Settings

LETTERS_IN_A_RUN = 100


@dataclass(frozen=True, slots=True)
class DeadLetterList:
    """Some of the letters that match a filter, newest first, and the number of all that do by reason."""

    letters: Sequence[DeadLetter]
    by_reason: Mapping[str, int]

    @property
    def matching(self) -> int:
        """The number of all letters that match."""
        return sum(self.by_reason.values())


@dataclass(frozen=True, slots=True)
class Requeued:
    """What a requeue did.

    Attributes:
        sent: ids of the letters sent.
        others: letters that were named and not sent, because they were resolved before.
        left_out: why letters that match a filter were not sent, by id.
        found_sent: letters of an interrupted requeue that were sent already.
        reopened: letters of an interrupted requeue that were not sent.
    """

    sent: Sequence[str]
    others: Sequence[DeadLetter] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    found_sent: int = 0
    reopened: int = 0


@dataclass(frozen=True, slots=True)
class Discarded:
    """What was discarded, and the letters that were resolved before."""

    ids: Sequence[str]
    others: Sequence[DeadLetter]


def list_dead_letters(
    settings: Settings, wanted: DeadLetterFilter, *, limit: int, before: int = NO_NUMBER
) -> DeadLetterList:
    """Return the newest letters that match, and how many do.

    Args:
        settings: where the ledger is.
        wanted: which letters.
        limit: the most letters.
        before: only letters with a lower number; the counts are of all.

    Raises:
        LedgerUnavailableError: see campaigns/postgres_dead_letters.py; all functions here raise it.
    """
    with open_dead_letters(settings.ledger_url) as letters:
        return DeadLetterList(
            letters.find(wanted, limit=limit, newest_first=True, before=before), letters.count(wanted)
        )


def read_dead_letter(settings: Settings, letter_id: str) -> tuple[DeadLetter, bytes | None]:
    """Return a letter and its value.

    Raises:
        DeadLetterError: there is no such letter.
    """
    with open_dead_letters(settings.ledger_url) as letters:
        (letter,) = letters.name([letter_id])
        return letter, letters.read_values([letter_id])[letter_id]


def discard_dead_letters(settings: Settings, ids: Sequence[str], *, by: str, why: str) -> Discarded:
    """Mark open letters as never to be sent again; they are kept.

    Raises:
        DeadLetterError: a letter does not exist, or has been requeued; nothing was done.
    """
    with open_dead_letters(settings.ledger_url) as letters:
        for letter in letters.name(ids):
            if letter.resolution in {Resolution.REQUEUED, Resolution.REQUEUEING}:
                raise DeadLetterError(f"{describe_resolution(letter)}; nothing was done")
        marked = letters.discard(ids, by=by, why=why)
        return Discarded(sorted(marked), [each for each in letters.name(ids) if each.letter_id not in marked])


def requeue(
    settings: Settings,
    wanted: DeadLetterFilter,
    *,
    by: str,
    limit: int | None = None,
    run_letters: int = LETTERS_IN_A_RUN,
) -> Requeued:
    """Send the open letters that match back to their topic and partition, with unchanged value, key and headers.

    A letter that is named by its id must be complete; of letters that match a filter otherwise, those that are not
    complete are left out.

    Args:
        settings: where Kafka and the ledger are, and the group's name.
        wanted: which letters.
        by: the operator's name.
        limit: maximum number of letters to send, oldest first.
        run_letters: maximum number of letters in one Kafka transaction.

    Raises:
        BrokerUnavailableError, TopicLayoutError: Kafka cannot be used; nothing was sent.
        SinkUnavailableError: sending failed; the message says what is certain and what to do.
        DeadLetterError: a letter that is named does not exist, is discarded, or cannot be sent back; nothing was sent.
    """
    with open_dead_letters(settings.ledger_url) as letters:
        named = wanted.ids or ()
        _check_named(letters.name(named))
        with letters.requeue_alone(), open_requeuer(settings, letters.ledger_id()) as requeuer:
            last = requeuer.fence()
            found_sent, reopened = letters.finish(last), letters.reopen()
            runs = count(max(last, letters.last_run()) + 1)
            sent: list[str] = []
            left_out: dict[str, str] = {}
            for page in _pages(letters, replace(wanted, resolution=Resolution.OPEN), run_letters):
                refused = {each.letter_id: why for each in page if (why := refuse_requeue(each)) is not None}
                left_out.update(refused)
                room = None if limit is None else limit - len(sent)
                chosen = [each for each in page if each.letter_id not in refused][:room]
                if chosen:
                    sent += _send(requeuer, letters, chosen, run=next(runs), by=by)
                if len(sent) == limit:
                    break
        others = [letter for letter in letters.name(named) if letter.letter_id not in set(sent)]
        return Requeued(sent, others, left_out, found_sent, reopened)


def _check_named(named: Sequence[DeadLetter]) -> None:
    for letter in named:
        if letter.resolution is Resolution.DISCARDED:
            raise DeadLetterError(f"{describe_resolution(letter)}; nothing was done")
        if (why := refuse_requeue(letter)) is not None:
            raise DeadLetterError(f"{why}; nothing was done")


def describe_resolution(letter: DeadLetter) -> str:
    """Return one line: the resolution of a letter, its actor and its time."""
    if letter.resolved_at is None:
        return f"{letter.letter_id} is {letter.resolution}"
    because = f": {printable(letter.why)}" if letter.why else ""
    at = letter.resolved_at.astimezone(UTC).isoformat(timespec="seconds")
    return f"{letter.letter_id} is {letter.resolution} since {at} by {printable(letter.actor or '')}{because}"


def _pages(letters: PostgresDeadLetters, wanted: DeadLetterFilter, size: int) -> Iterator[Sequence[DeadLetter]]:
    """Return letters oldest first, page by page: there may be more than memory holds."""
    after = 0
    while page := letters.find(wanted, limit=size, after=after):
        yield page
        after = page[-1].number


def _send(
    requeuer: DeadLetterRequeuer, letters: PostgresDeadLetters, chosen: Sequence[DeadLetter], *, run: int, by: str
) -> list[str]:
    """Send one run and return its letters' ids; one that was discarded meanwhile is left out."""
    claimed = letters.claim([letter.letter_id for letter in chosen], by=by, run=run)
    ours = [letter for letter in chosen if letter.letter_id in claimed]
    if not ours:
        return []
    if requeuer.send(ours, letters.read_values(list(claimed)), run=run):
        letters.finish(run)
        return [letter.letter_id for letter in ours]
    letters.reopen()
    raise SinkUnavailableError(
        f"dead letters cannot be sent back: {requeuer.failure}; those of this transaction ({len(ours)}) are open still"
    )
