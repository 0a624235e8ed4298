"""The versions of definitions in the ledger.

Changes are made one after another: each sees the set that the one before it left, and is refused where the set that it
would leave cannot be used. So the ledger never holds a set that a worker could not read.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from campaigns.definition_versions import (
    DefinitionKey,
    DefinitionKind,
    DefinitionVersion,
    build_definitions,
    digest,
    encode,
    name_segment,
)
from campaigns.postgres_connections import ACTIVATION_LOCK, connect_ledger
from campaigns.queries import QUERIES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import psycopg

    from campaigns.definition import DefinitionSet
    from segments.definition import Segment
    from segments.engine import Mode

# Any number that no other lock in the ledger has.
EDIT_LOCK = 481_630


@dataclass(frozen=True, slots=True)
class LedgerDefinitions:
    """The latest version of each definition, retired ones included, and the revision of the latest of all."""

    versions: Mapping[DefinitionKey, DefinitionVersion]

    @property
    def revision(self) -> int:
        """The revision of the latest version; 0 before the first."""
        return max((each.revision for each in self.versions.values()), default=0)

    @property
    def contents(self) -> Mapping[DefinitionKey, Any]:
        """The content of each definition that is not retired."""
        return {name: each.content for name, each in self.versions.items() if not each.is_retired}

    @property
    def numbers(self) -> Mapping[DefinitionKey, int]:
        """The number of the version of each definition that is not retired."""
        return {name: each.number for name, each in self.versions.items() if not each.is_retired}

    def build(self) -> DefinitionSet:
        """Return what they define.

        Raises:
            DefinitionError, RuleError: they cannot be used, as by an older version of Holdfast.
        """
        return build_definitions(self.contents)


class PostgresDefinitions:
    """The definitions of a ledger: one connection, each call a transaction of its own."""

    def __init__(self, connection: psycopg.Connection[tuple[Any, ...]]) -> None:
        self._connection = connection

    def find_mark(self) -> tuple[int, int]:
        """Return what changes with each version, and with each mode that a person sets with a reason."""
        revision, activation = self._rows("definitions_mark")[0]
        return revision, activation

    def read(self, revision: int | None = None) -> LedgerDefinitions:
        """Return the latest version of each definition; with a revision, the latest of that time."""
        found = map(_version, self._rows("latest_definitions", revision=revision))
        return LedgerDefinitions({each.name: each for each in found})

    def read_revisions(self, limit: int) -> Sequence[DefinitionVersion]:
        """Return the versions of all definitions, the latest first."""
        return [_version(row) for row in self._rows("latest_revisions", limit=limit)]

    def read_history(self, name: DefinitionKey) -> Sequence[DefinitionVersion]:
        """Return the versions of a definition, the latest first."""
        return [_version(row) for row in self._rows("definition_history", kind=name.kind, key=name.key)]

    def change(
        self,
        edit: Callable[[LedgerDefinitions], Mapping[DefinitionKey, Any]],
        *,
        by: str,
        why: str,
        check: Callable[[DefinitionSet], None] = lambda _: None,
        mode: Mode = "silent",
    ) -> Sequence[DefinitionVersion]:
        """Make a version of each definition that an edit changes, all or none.

        Args:
            edit: returns new contents by name, None to retire; it sees the latest versions, and an error that it raises
                ends the change.
            by: who.
            why: the reason.
            check: raises an error where the set that the change would leave is not to be used.
            mode: what the first evaluations of the segments that change may fire.

        Returns:
            the new versions; none of a definition that already is as it is to be.

        Raises:
            DefinitionError, RuleError: the change would leave a set that cannot be used.
        """
        with self._connection.transaction():
            self._connection.execute(QUERIES["lock_definitions"], {"lock": EDIT_LOCK})
            latest = self.read()
            encoded = {
                name: None if content is None else encode(content, where=name) for name, content in edit(latest).items()
            }
            changed = {name: text for name, text in encoded.items() if digest(text) != _digest_of(latest, name)}
            added = [self._add(name, text, latest, by, why) for name, text in sorted(changed.items())]
            if added:
                built = self.read().build()
                check(built)
                self._activate([each for each in built.segments if name_segment(each.key) in changed], mode, by, why)
            return added

    def _activate(self, segments: Sequence[Segment], mode: Mode, by: str, why: str) -> None:
        """Record the mode of new versions before a worker can take them up; the mode of those known stays.

        Workers themselves activate silently.
        """
        if mode == "silent":
            return
        self._connection.execute(QUERIES["lock_segment_activations"], {"lock": ACTIVATION_LOCK})
        for each in segments:
            values = {"key": each.key, "version": each.version, "mode": mode, "at": datetime.now(UTC), "by": by}
            self._connection.execute(QUERIES["set_activation_mode"], values)
            self._connection.execute(QUERIES["note_segment_mode"], {**values, "why": why, "rules": each.rules})

    def _add(
        self, name: DefinitionKey, encoded: str | None, latest: LedgerDefinitions, by: str, why: str
    ) -> DefinitionVersion:
        before = latest.versions.get(name)
        values = {"number": before.number + 1 if before else 1, "content": encoded, "digest": digest(encoded)}
        (row,) = self._rows("add_definition_version", **name._asdict(), **values, by=by, why=why)
        return _version(row)

    def _rows(self, query: str, **values: Any) -> list[tuple[Any, ...]]:
        return self._connection.execute(QUERIES[query], values).fetchall()


@contextmanager
def open_definitions(ledger_url: str) -> Iterator[PostgresDefinitions]:
    """Open the definitions of a ledger.

    Raises:
        LedgerUnavailableError: the ledger cannot be used.
    """
    with connect_ledger(ledger_url) as connection:
        yield PostgresDefinitions(connection)


def _digest_of(latest: LedgerDefinitions, name: DefinitionKey) -> str:
    """Return the digest of a definition; empty where there is none, and nothing to retire."""
    found = latest.versions.get(name)
    return found.digest if found else ""


def _version(row: tuple[Any, ...]) -> DefinitionVersion:
    kind, key, *rest = row
    return DefinitionVersion(DefinitionKey(DefinitionKind(kind), key), *rest)
