"""Whatever a manifest holds, it is used or refused with a reason; nothing else is raised."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import ModelLoadError, VersionError
from models.inputs import FEATURE_MAPPING
from models.registry import load_scorers
from models.routing import load_model
from models.tasks.ltv import ValueScale
from models.versions import list_versions, verify
from tests.model_versions import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Iterator

SOUND = list_versions(SHIPPED / "ltv")[0].manifest
KEYS = ("version", "outputs", "features", "files", "routes", "window_days", "value_cuts", "added", "gates", "columns")
ROUTES = {"column": "country", "files": {"France": "model.tflite"}}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(KEYS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn) -> dict[str, Any]:
    """A sound manifest in which fields, or fields of fields, are missing or of any kind."""
    manifest = json.loads(json.dumps({**SOUND, "routes": ROUTES}))
    for field in draw(st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True)):
        place, key = manifest, field
        if isinstance(manifest[field], dict) and draw(st.booleans()):
            place, key = manifest[field], draw(st.sampled_from(sorted(manifest[field])))
        place[key] = draw(json_values)
        if draw(st.booleans()):
            del place[key]
    return dict(manifest)


@pytest.fixture(scope="module")
def models() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(SHIPPED, Path(place) / "models"))
        home = folder / "ltv"
        version = next((home / "versions").iterdir())
        (home / "current").write_text(version.name)
        yield folder


def read_everywhere(models: Path, content: bytes) -> None:
    """Read a manifest wherever manifests are read; raise what is no refusal."""
    home = models / "ltv"
    folder = next((home / "versions").iterdir())
    (folder / "manifest.json").write_bytes(content)
    for read in (lambda: load_model(folder, FEATURE_MAPPING), lambda: [*map(verify, list_versions(home))]):
        try:
            read()
        except (ModelLoadError, VersionError) as error:
            str(error).encode()
    scorers = load_scorers(models, FEATURE_MAPPING)
    assert scorers["ltv"].basis == "model" or str(home) in scorers.reasons["ltv"]
    assert ValueScale.of(getattr(scorers["ltv"], "manifest", {})).factor > 0


@given(manifest=json_values)
def test_any_json_is_refused_with_a_reason(models: Path, manifest: Any) -> None:
    read_everywhere(models, json.dumps(manifest).encode())


@given(manifest=damaged())
def test_a_sound_manifest_with_damage_is_used_or_refused_with_a_reason(models: Path, manifest: dict[str, Any]) -> None:
    read_everywhere(models, json.dumps(manifest).encode())


@given(content=st.binary())
def test_any_bytes_are_refused_with_a_reason(models: Path, content: bytes) -> None:
    read_everywhere(models, content)


@pytest.mark.parametrize(
    "content", [b"", b"[" * 100_000, b'"\xff"', b"\xff\xfe", b"[]", b'{"version": "\\ud800"}', b'{"outputs": 1e999}']
)
def test_content_that_parsers_trip_over_is_refused(models: Path, content: bytes) -> None:
    read_everywhere(models, content)
