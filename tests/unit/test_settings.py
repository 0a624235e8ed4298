from __future__ import annotations

import re
import traceback

import pytest

from streams.errors import SettingsError
from streams.settings import Settings, load_settings
from tests.settings_table import PAGE, render_page

VARIABLES = [str(field.alias) for field in Settings.model_fields.values()]


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def test_the_page_of_settings_is_that_of_the_code() -> None:
    """Else run `python -m tests.settings_table`."""
    assert PAGE.read_text(encoding="utf-8") == render_page()


def test_every_setting_is_on_the_page_and_the_reverse() -> None:
    """Each with a meaning."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| .* \| (\S.*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert [name for name, _ in rows] == VARIABLES


@pytest.mark.parametrize("name", VARIABLES)
def test_every_variable_has_a_name_of_ours(name: str) -> None:
    """HOLDFAST_, or the names that the guide gives."""
    assert name.startswith(("HOLDFAST_", "DWH_", "ML_"))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HOLDFAST_LEDGER_URL", "ledger:s3cret"),
        ("HOLDFAST_LEDGER_URL", "postgresql://u:s3cret%ZZ@host/x"),
        ("HOLDFAST_WAREHOUSE_URL", "mysql://u:s3cret@host/x"),
        ("HOLDFAST_WAREHOUSE_URL", ""),
        ("HOLDFAST_BATCH_EVENTS", "s3cret"),
        ("HOLDFAST_BATCH_EVENTS", "0"),
        ("HOLDFAST_BATCH_WAIT_MS", "-1"),
        ("HOLDFAST_MAX_EVENT_BYTES", "10"),
        ("HOLDFAST_CACHE_TTL_S", "0"),
        ("HOLDFAST_HEALTH_PORT", "65536"),
        ("HOLDFAST_LOG_LEVEL", "loud"),
        ("HOLDFAST_TOPIC_PREFIX", "no spaces"),
        ("HOLDFAST_PARTITIONER", "random"),
        ("HOLDFAST_PRIVATE_COLUMNS", "email,customer_id"),
        ("HOLDFAST_PRIVATE_COLUMNS", "[email"),
        ("HOLDFAST_PRIVATE_COLUMNS", "[1]"),
        ("ML_FEATURE_MAPPING", "s3cret"),
        ("ML_FEATURE_MAPPING", "{}"),
        ("ML_FEATURE_MAPPING", "[1]"),
        ("HOLDFAST_CHURN_RISK_THRESHOLDS", "0.4,0.7"),
        ("HOLDFAST_CHURN_RISK_THRESHOLDS", "0.7,0.4,0.9"),
        ("HOLDFAST_CHURN_RISK_THRESHOLDS", "low,high,higher"),
        ("ML_MODEL_INPUT_SIZE", "0"),
        ("ML_MOCK_MODE", "perhaps"),
    ],
)
def test_a_bad_value_names_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And is not quoted, not even in the traceback: it may be a password at the wrong place."""
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name) as caught:
        load_settings()
    told = "".join(traceback.format_exception(caught.value))
    assert "s3cret" not in told
    assert "docs/settings.md" in str(caught.value)


def test_no_url_shows_in_the_settings_as_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """They hold passwords."""
    for service in ("LEDGER", "WAREHOUSE"):
        monkeypatch.setenv(f"HOLDFAST_{service}_URL", "postgresql://u:s3cret@db/x")
    monkeypatch.setenv("HOLDFAST_REDIS_URL", "redis://:s3cret@cache/0")
    settings = load_settings()
    assert settings.ledger_url == "postgresql://u:s3cret@db/x"
    for told in (repr(settings), str(settings)):
        assert "s3cret" not in told
        assert "://" not in told


def test_variables_are_read_and_arguments_overrule_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """By field or by variable."""
    monkeypatch.setenv("HOLDFAST_GROUP", "first")
    monkeypatch.setenv("ML_FEATURE_MAPPING", '{"revenue": "sum"}')
    assert load_settings().group == "first"
    assert load_settings().feature_mapping == {"revenue": "sum"}
    assert load_settings(HOLDFAST_GROUP="second").group == "second"
    assert load_settings(group="third").group == "third"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        ("", ()),
        ("email", ("email",)),
        (" email, birth date ,", ("email", "birth date")),
        ('["a,b", "email"]', ("a,b", "email")),
    ],
)
def test_private_columns_are_a_list_with_commas_or_json(
    value: str, names: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_PRIVATE_COLUMNS", value)
    assert load_settings().private_columns == names


def test_topics_carry_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    """All nine; the one for transitions where they are published."""
    monkeypatch.setenv("HOLDFAST_TOPIC_PREFIX", "eu.")
    assert "eu.segment-transitions" not in load_settings().output_topics.values()
    monkeypatch.setenv("HOLDFAST_PUBLISH_TRANSITIONS", "true")
    settings = load_settings()
    names = [*settings.input_topics, *settings.output_topics.values()]
    assert len(set(names)) == 9
    assert all(name.startswith("eu.") for name in names)
