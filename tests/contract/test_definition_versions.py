"""The versions of definitions in PostgreSQL."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from campaigns.definition import load_definitions
from campaigns.definition_versions import DefinitionKey, name_campaign, name_segment, read_contents, write_contents
from campaigns.errors import CampaignDefinitionError
from campaigns.migrations import migrate
from campaigns.postgres_definitions import PostgresDefinitions, open_definitions
from segments.errors import RuleError
from tests.journey.workplace import lend_database

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from console.embedded.services import Endpoints

VIP = name_segment("vip-customers")
EDITED = {"key": "vip-customers", "name": "VIP", "rule": {">": [{"var": "total_revenue"}, 5000]}}


@pytest.fixture(scope="module")
def ledger(endpoints: Endpoints) -> Iterator[str]:
    """The address of a ledger with tables."""
    with lend_database(endpoints.ledger_url, "definition_versions") as url:
        migrate(url)
        yield url


@pytest.fixture
def migrated(ledger: str) -> str:
    """The address of a ledger without definitions."""
    with psycopg.connect(ledger) as connection:
        connection.execute("TRUNCATE definition_version, activation, segment_activation")
    return ledger


@pytest.fixture
def stored(migrated: str) -> Iterator[PostgresDefinitions]:
    """The definitions of a ledger, which are the shipped ones."""
    with open_definitions(migrated) as definitions:
        put(definitions, read_contents(None))
        yield definitions


def put(definitions: PostgresDefinitions, contents: Mapping[DefinitionKey, Any], why: str = "a test") -> list[str]:
    """Store contents, and return the names of what became a version."""
    return [str(each.name) for each in definitions.change(lambda _: contents, by="ann", why=why)]


def test_a_ledger_without_versions_has_revision_0(migrated: str) -> None:
    with open_definitions(migrated) as definitions:
        assert definitions.find_mark() == (0, 0)
        with pytest.raises(CampaignDefinitionError, match="holdfast definitions import"):
            definitions.read().build()


def test_stored_definitions_have_the_versions_of_their_files(stored: PostgresDefinitions) -> None:
    built, shipped = stored.read().build(), load_definitions(None)
    assert {each.key: each.version for each in built.segments} == {each.key: each.version for each in shipped.segments}
    assert {each.key: each.version for each in built.campaigns} == {
        each.key: each.version for each in shipped.campaigns
    }
    assert (built.offers, built.channels) == (shipped.offers, shipped.channels)


def test_only_what_changes_becomes_a_version(stored: PostgresDefinitions) -> None:
    before, _ = stored.find_mark()
    assert put(stored, read_contents(None)) == []
    assert put(stored, {**read_contents(None), VIP: EDITED}) == ["segment vip-customers"]
    assert stored.find_mark() == (before + 1, 0)


def test_a_version_says_who_when_and_why(stored: PostgresDefinitions) -> None:
    put(stored, {VIP: EDITED}, why="more of them")
    latest, first = stored.read_history(VIP)
    assert (latest.number, latest.author, latest.reason, latest.content) == (2, "ann", "more of them", EDITED)
    assert (first.number, first.at < latest.at, first.digest != latest.digest) == (1, True, True)


def test_an_invalid_definition_never_becomes_a_version(stored: PostgresDefinitions) -> None:
    before = stored.read()
    with pytest.raises(RuleError, match="segment vip-customers"):
        put(stored, {VIP: {**EDITED, "rule": {"likes": [1, 2]}}})
    with pytest.raises(CampaignDefinitionError, match="names 'vip-customers', which is not defined"):
        put(stored, {VIP: None})
    with pytest.raises(CampaignDefinitionError, match=r"\$.key is 'other'"):
        put(stored, {VIP: {**EDITED, "key": "other"}})
    assert stored.read() == before


@pytest.mark.parametrize(
    ("text", "problem"), [("a\x00b", "NUL"), ("a\ud800b", "surrogate"), ("x" * 300_000, "bytes; a definition may have")]
)
def test_what_a_file_cannot_hold_is_refused(stored: PostgresDefinitions, text: str, problem: str) -> None:
    with pytest.raises(CampaignDefinitionError, match=problem):
        put(stored, {VIP: {**EDITED, "description": text}})
    with pytest.raises(CampaignDefinitionError, match="cannot be written as JSON"):
        put(stored, {VIP: {**EDITED, "rule": {">": [float("nan"), 1]}}})


def test_a_mode_is_in_the_ledger_before_a_worker_can_see_the_version(stored: PostgresDefinitions, ledger: str) -> None:
    (version,) = stored.change(lambda _: {VIP: EDITED}, by="ann", why="tell them", mode="emit")
    segment = next(each for each in stored.read().build().segments if each.key == VIP.key)
    with psycopg.connect(ledger) as connection:
        activated = connection.execute("SELECT key, version, mode, activated_by FROM activation").fetchall()
    assert activated == [(VIP.key, segment.version, "emit", "ann")]
    assert stored.find_mark()[0] == version.revision


def test_a_retired_definition_can_be_defined_again(stored: PostgresDefinitions) -> None:
    extra = {"key": "extra", "name": "Extra", "rule": True}
    name = name_segment("extra")
    put(stored, {name: extra})
    put(stored, {name: None})
    assert "extra" not in {each.key for each in stored.read().build().segments}
    assert put(stored, {name: None}) == []
    put(stored, {name: extra})
    assert [each.is_retired for each in stored.read_history(name)] == [False, True, False]


def test_changes_are_made_one_after_another(migrated: str) -> None:
    with ExitStack() as stack:
        one, two = (stack.enter_context(open_definitions(migrated)) for _ in range(2))
        put(one, read_contents(None))

        def edit_while_another_waits(_: object) -> Mapping[DefinitionKey, Any]:
            with psycopg.connect(migrated, options="-c lock_timeout=1", autocommit=True) as other:
                waiting = PostgresDefinitions(other)
                with pytest.raises(psycopg.errors.LockNotAvailable):
                    waiting.change(lambda _: {}, by="eve", why="")
            return {VIP: EDITED}

        one.change(edit_while_another_waits, by="ann", why="first")
        seen = []
        two.change(lambda latest: seen.append(latest.versions[VIP].number) or {}, by="bob", why="second")
        assert seen == [2]


def test_an_import_that_is_cut_short_leaves_nothing(migrated: str) -> None:
    with open_definitions(migrated) as definitions:
        with pytest.raises(KeyboardInterrupt):
            definitions.change(lambda _: read_contents(None), by="ann", why="all", check=_interrupt)
        assert definitions.find_mark() == (0, 0)


def _interrupt(_: object) -> None:
    raise KeyboardInterrupt


def test_definitions_written_as_files_are_the_same(stored: PostgresDefinitions, tmp_path: Path) -> None:
    put(stored, {name_campaign("offers"): {**stored.read().contents[name_campaign("vip-offers")], "key": "offers"}})
    write_contents(stored.read().contents, tmp_path)
    assert read_contents(tmp_path) == stored.read().contents
    assert put(stored, read_contents(tmp_path)) == []


def test_a_folder_with_other_definitions_is_not_written_to(stored: PostgresDefinitions, tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "old.yaml").write_text("key: old")
    with pytest.raises(CampaignDefinitionError, match=r"old.yaml: the set to write has no such file"):
        write_contents(stored.read().contents, tmp_path)
