from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import click
import pytest
from click.testing import CliRunner

from campaigns.errors import CampaignDefinitionError
from console.cli import holdfast, main
from console.use_cases.launches import find_launchable
from streams.kafka.event_producer import event_id
from streams.settings import Settings
from tests.builders import campaign
from tests.journey.workplace import campaign as definition
from tests.journey.workplace import write_definitions, write_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    RunMain = Callable[..., tuple[object, str]]


def walk(command: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Return the path of every command below this one, and its own."""
    yield path
    for name, child in command.commands.items() if isinstance(command, click.Group) else ():
        yield from walk(child, (*path, name))


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.alias), raising=False)


@pytest.fixture
def run_main(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunMain:
    """Run the command as a shell does; returns its exit code and what it wrote to stderr."""
    monkeypatch.setattr("streams.__main__.configure_logs", lambda _: None)  # pytest has its own

    def run(*arguments: str) -> tuple[object, str]:
        monkeypatch.setattr(sys, "argv", ["holdfast", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, capsys.readouterr().err

    return run


@pytest.mark.parametrize("path", list(walk(holdfast)), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    """With a sentence on what it does, and without touching any service."""
    printed = CliRunner().invoke(holdfast, [*path, "--help"], prog_name="holdfast")
    assert printed.exit_code == 0
    usage, _, meaning = printed.output.partition("\n\n")
    assert usage.startswith(" ".join(("Usage: holdfast", *path)))
    assert meaning.partition("\n\n")[0].strip().endswith(".")


def test_definitions_are_listed_without_any_service() -> None:
    """Those that are shipped, when no folder is named."""
    printed = CliRunner().invoke(holdfast, ["campaigns", "list"])
    assert printed.exit_code == 0, printed.output
    assert "vip-offers" in printed.output
    assert "by_operator" in printed.output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("segments", "activate", "nobodies", "--mode", "emit"), "no segment 'nobodies'; there are: "),
        (("campaigns", "launch", "nothing"), "no campaign 'nothing'; there are: "),
        (("campaigns", "launch", "retention-high-risk"), "runs by itself"),
    ],
)
def test_an_unknown_name_is_refused_with_those_there_are(
    run_main: RunMain, arguments: tuple[str, ...], says: str
) -> None:
    """In one sentence, with exit code 2."""
    code, printed = run_main(*arguments)
    assert code == 2
    assert printed.startswith("holdfast: ")
    assert says in printed
    assert printed.count("\n") == 1


def test_a_bad_setting_is_refused_in_one_sentence(run_main: RunMain, monkeypatch: pytest.MonkeyPatch) -> None:
    """By every command that reads the settings."""
    monkeypatch.setenv("HOLDFAST_BATCH_EVENTS", "many")
    code, printed = run_main("campaigns", "list")
    assert (code, printed.count("\n")) == (2, 1)
    assert "HOLDFAST_BATCH_EVENTS" in printed


def test_a_bad_argument_is_refused_by_the_command_line(run_main: RunMain) -> None:
    """With click's own words and exit code 2."""
    code, printed = run_main("segments", "activate", "vip-customers", "--mode", "loud")
    assert code == 2
    assert "loud" in printed


@pytest.mark.parametrize(
    "arguments",
    [
        ("up", "--data", "{file}"),
        ("up", "--data", "{file}/below"),
        ("demo", "--data", "{file}/below"),
        ("warehouse", "load-example", "--folder", "{file}"),
        ("train", "all", "--out", "{file}"),
    ],
    ids=" ".join,
)
def test_a_file_in_place_of_a_folder_is_refused(run_main: RunMain, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """By each command that takes a folder, without a traceback."""
    file = tmp_path / "file"
    file.touch()
    code, printed = run_main(*(each.format(file=file) for each in arguments))
    assert code == 2
    assert str(file) in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("name", ["HOLDFAST_MODELS_DIR", "HOLDFAST_DEFINITIONS_DIR"])
def test_a_file_in_place_of_a_folder_is_refused_as_a_setting(
    run_main: RunMain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The sentence names the setting."""
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv(name, str(file))
    assert_refused(run_main("campaigns", "list"), f"{name}: {file} is a file; name a folder")


def test_an_interrupted_command_ends_with_one_sentence(run_main: RunMain, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the exit code that shells give to Ctrl-C."""

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("console.cli.campaigns.load_settings", interrupt)
    assert run_main("campaigns", "list") == (130, "holdfast: interrupted\n")


INTERRUPT_AN_IMPORT = """
import signal, sys
class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == "psycopg":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
from console.__main__ import main
main()
"""


def test_a_command_interrupted_while_it_imports_ends_with_one_sentence() -> None:
    """Importing takes a second, in which people press Ctrl-C."""
    ended = subprocess.run([sys.executable, "-c", INTERRUPT_AN_IMPORT], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (130, "", "holdfast: interrupted\n")


def test_only_campaigns_for_operators_are_launched() -> None:
    """The error says which campaign is what."""
    by_hand, by_itself = campaign(key="by-hand", launch="by_operator"), campaign(key="by-itself")
    assert find_launchable([by_itself, by_hand], "by-hand") is by_hand
    with pytest.raises(CampaignDefinitionError, match="runs by itself when a customer enters 'at-risk'"):
        find_launchable([by_itself, by_hand], "by-itself")
    leaving = campaign(key="leaving", launch="on_leave")
    with pytest.raises(CampaignDefinitionError, match="runs by itself when a customer leaves 'at-risk'"):
        find_launchable([leaving], "leaving")
    waiting = campaign(key="waiting", launch="on_event", event="customer.updated")
    with pytest.raises(CampaignDefinitionError, match=r"by itself at each customer\.updated of a member of 'at-risk'"):
        find_launchable([waiting], "waiting")
    with pytest.raises(CampaignDefinitionError, match="no campaign 'x'; there are: by-hand, by-itself"):
        find_launchable([by_itself, by_hand], "x")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("HOLDFAST_LEDGER_URL", "postgresql//u:s3cret@host/x", "HOLDFAST_LEDGER_URL"),
        ("HOLDFAST_WAREHOUSE_URL", "u:s3cret@host/x", "HOLDFAST_WAREHOUSE_URL"),
        ("HOLDFAST_BATCH_EVENTS", "many", "HOLDFAST_BATCH_EVENTS"),
        ("HOLDFAST_DEFINITIONS_DIR", "/nowhere", "/nowhere"),
        ("ML_MODEL_INPUT_SIZE", "3", "ML_MODEL_INPUT_SIZE"),
    ],
)
def test_a_worker_refuses_a_bad_setting(
    name: str, value: str, says: str, run_main: RunMain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before it asks any service; tests/journey/test_worker.py has what the services refuse."""
    monkeypatch.setenv(name, value)
    assert_refused(run_main("worker"), says)


@pytest.mark.parametrize(
    ("part", "content", "says"),
    [
        ("segments", {"key": "odd", "name": "Odd", "rule": {"between": [1, 2]}}, "odd.json: rule"),
        ("campaigns", definition("odd", "nobodies", "on_enter"), "known segments: angry, big-spenders, lapsing"),
    ],
)
def test_a_worker_refuses_a_bad_definition(
    part: str, content: dict[str, Any], says: str, run_main: RunMain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence names the file and what is wrong in it."""
    write_json(write_definitions(tmp_path / "definitions") / part / "odd.json", content)
    monkeypatch.setenv("HOLDFAST_DEFINITIONS_DIR", str(tmp_path / "definitions"))
    assert_refused(run_main("worker"), says)


def assert_refused(ended: tuple[object, str], says: str) -> None:
    """Check for exit code 2 and one sentence without a password."""
    code, printed = ended
    assert (code, printed.count("\n")) == (2, 1)
    assert printed.startswith("holdfast: ")
    assert says in printed
    assert "s3cret" not in printed


@pytest.mark.parametrize("customer_id", ["ann", "c" * 200])
def test_the_id_of_a_launchs_request_fits_an_event(customer_id: str) -> None:
    """And is the same whenever the launch is repeated."""
    found = event_id("launch", "spring", customer_id)
    assert len(found) <= 200
    assert found == event_id("launch", "spring", customer_id) != event_id("launch", "summer", customer_id)
    assert event_id("launch", "spring", "ann") == "launch-spring-ann"
