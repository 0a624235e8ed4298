"""Ids that derive from what they name."""

from __future__ import annotations

import json
import uuid

from hypothesis import given
from hypothesis import strategies as st

from campaigns.ids import derive_id


@given(st.uuids(), st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_an_id_is_the_uuid_of_its_parts_as_the_library_makes_it(namespace: uuid.UUID, parts: list[str]) -> None:
    assert derive_id(namespace, parts) == str(uuid.uuid5(namespace, json.dumps(parts)))
