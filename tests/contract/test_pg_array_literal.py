"""Arrays of texts reach PostgreSQL unchanged."""

from __future__ import annotations

import psycopg
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.pg_array_literal import PgTextArray, PgTextArrayDumper

TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('",\\{} '), max_size=8
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(TEXTS | st.none(), max_size=5))
def test_any_texts_come_back_as_they_were_sent(ledger_url: str, texts: list[str | None]) -> None:
    with psycopg.connect(ledger_url) as connection:
        connection.adapters.register_dumper(PgTextArray, PgTextArrayDumper)
        assert connection.execute("SELECT %s::text[]", [PgTextArray(texts)]).fetchone() == (texts,)
