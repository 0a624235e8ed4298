"""Promotions reach a running worker between batches, and a broken one does not."""

from __future__ import annotations

import json
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from campaigns.candidates import Definitions
from features.store import FeatureStore
from models.fallbacks import ModelFallbacks
from models.inputs import FEATURE_MAPPING
from models.registry import Scorers, keep_models, load_scorers
from models.versions import current_version, roll_back, version_folder
from segments.engine import Activation
from streams.decision_config import DecisionConfig
from streams.observability.health import Health
from streams.pipeline import Pipeline
from streams.runtime.model_reload import ModelReloader
from tests.builders import AS_OF, campaign, offers, segment
from tests.fakes.feature_cache import InMemoryFeatureCache
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.scorer import InMemoryScorer
from tests.fakes.warehouse import InMemoryWarehouse
from tests.model_versions import SHIPPED, promote_copy
from tests.records import arrive, body, decode_batch

if TYPE_CHECKING:
    from streams.batch_state import Decided

CHURN = current_version(SHIPPED / "churn") or ""
RULES = load_scorers(Path("nowhere"), FEATURE_MAPPING)
FACTS = ("days_since_last_transaction", "transaction_count", "total_revenue")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(SHIPPED, tmp_path / "models"))


@pytest.fixture
def used() -> list[Scorers]:
    return []


@pytest.fixture
def reloader(folder: Path, used: list[Scorers]) -> ModelReloader:
    load = partial(load_scorers, folder, FEATURE_MAPPING)
    return ModelReloader(folder, load, used.append, load())


async def test_a_promotion_and_its_rollback_are_taken_up(
    reloader: ModelReloader, folder: Path, used: list[Scorers]
) -> None:
    promote_copy(folder / "churn", "churn-2")
    await reloader.poll()
    roll_back(folder / "churn", at=AS_OF, by="ann")
    await reloader.poll()
    assert [scorers["churn"].version for scorers in used] == ["churn-2", CHURN]


async def test_nothing_is_loaded_while_nothing_is_promoted(reloader: ModelReloader, used: list[Scorers]) -> None:
    await reloader.poll()
    await reloader.poll()
    assert used == []


async def test_a_broken_version_is_refused_until_it_is_mended(reloader: ModelReloader, folder: Path) -> None:
    model = promote_copy(folder / "churn", "churn-2").folder / "model.tflite"
    content = model.read_bytes()
    model.write_bytes(b"broken")
    await reloader.poll()
    assert reloader.scorers.versions["churn"] == CHURN
    assert reloader.scorers.reasons.keys() == {"ltv", "next_purchase"}
    (refused,) = reloader.refused
    assert refused.startswith("churn: churn-2 is refused (")
    assert refused.endswith(f"; {CHURN} serves")
    assert "SHA-256" in refused
    model.write_bytes(content)
    await reloader.poll()
    assert (reloader.scorers.versions["churn"], reloader.refused) == ("churn-2", ())


async def test_other_features_are_refused_and_the_other_model_is_taken_up(
    reloader: ModelReloader, folder: Path
) -> None:
    promote_copy(folder / "churn", "churn-2", features=["age"])
    promote_copy(folder / "nbo", "nbo-2")
    await reloader.poll()
    assert (reloader.scorers.versions["churn"], reloader.scorers.versions["nbo"]) == (CHURN, "nbo-2")
    assert "only in the model: age" in reloader.refused[0]


async def test_cut_points_are_taken_up_and_bad_ones_refused(
    reloader: ModelReloader, folder: Path, used: list[Scorers]
) -> None:
    cuts = json.loads((folder / "rfm.json").read_text())
    (folder / "rfm.json").write_text(json.dumps(cuts | {"value": [1, 2]}))
    await reloader.poll()
    (folder / "rfm.json").write_text("{")
    await reloader.poll()
    assert [scorers.rfm.value for scorers in used] == [(1, 2)]
    assert "rfm.json" in reloader.refused[0]


def test_a_rule_gives_way_to_a_model_and_not_the_other_way_round() -> None:
    modelled = RULES.with_scorer("churn", InMemoryScorer({}))
    assert keep_models(RULES, modelled) == modelled
    kept = keep_models(modelled, RULES)
    assert kept["churn"] is modelled["churn"]
    assert kept.refused.keys() == {"churn"}


async def test_the_model_in_memory_serves_while_no_version_on_disk_can(reloader: ModelReloader, folder: Path) -> None:
    version_folder(folder / "churn", CHURN).joinpath("model.tflite").write_bytes(b"broken")
    promote_copy(folder / "nbo", "nbo-2")
    await reloader.poll()
    assert reloader.scorers.versions["churn"] == CHURN
    assert reloader.refused[0].endswith(f"; {CHURN} serves")


@pytest.mark.parametrize("broken", [("churn-3",), ("churn-2", "churn-3")])
async def test_a_running_worker_and_a_restarted_one_serve_the_same(
    reloader: ModelReloader, folder: Path, broken: tuple[str, ...]
) -> None:
    for version in ("churn-2", "churn-3"):
        promote_copy(folder / "churn", version, b"no model" if version in broken else None)
        await reloader.poll()
    restarted = load_scorers(folder, FEATURE_MAPPING)
    assert reloader.scorers.versions == restarted.versions
    assert reloader.refused == tuple(restarted.refused.values())
    assert restarted.versions["churn"] == ("churn-2" if broken == ("churn-3",) else CHURN)


async def test_two_promotions_between_looks_leave_the_same_as_a_restart(reloader: ModelReloader, folder: Path) -> None:
    promote_copy(folder / "churn", "churn-2")
    promote_copy(folder / "churn", "churn-3", b"no model")
    await reloader.poll()
    assert reloader.scorers.versions["churn"] == "churn-2"


async def test_a_version_refused_at_the_start_is_taken_up_when_it_is_restored(
    folder: Path, used: list[Scorers]
) -> None:
    model = promote_copy(folder / "churn", "churn-2").folder / "model.tflite"
    content = model.read_bytes()
    model.write_bytes(b"broken")
    load = partial(load_scorers, folder, FEATURE_MAPPING)
    reloader = ModelReloader(folder, load, used.append, load())
    assert reloader.scorers.versions["churn"] == CHURN
    model.write_bytes(content)
    await reloader.poll()
    assert (reloader.scorers.versions["churn"], reloader.refused) == ("churn-2", ())


def told(version: str) -> Scorers:
    scorer = InMemoryScorer({})
    scorer.version = version
    return RULES.with_scorer("churn", scorer)


async def open_pipeline(scorers: Scorers, fallbacks: ModelFallbacks | None = None) -> tuple[Pipeline, dict[int, int]]:
    """Return a pipeline for ann and bob, and the epoch of the partition that it owns."""
    everybody = segment()
    activations = {everybody.key: Activation(everybody.version, AS_OF, "emit")}
    definitions = Definitions([campaign()], offers(), scorers.versions, {everybody.key: everybody.version})
    kinds: Any = {"email_consent": "boolean", **dict.fromkeys(FACTS, "number")}
    row = {"email_consent": True, **dict.fromkeys(FACTS, 5.0)}
    warehouse, ledger = InMemoryWarehouse(kinds, {"ann": row, "bob": row}), InMemoryLedger()
    await ledger.activate([everybody], [], at=AS_OF)
    features = FeatureStore(warehouse, InMemoryFeatureCache(), generation=1)
    config = DecisionConfig(scorers, [everybody], activations, definitions)
    pipeline = Pipeline(features, ledger, config, decode=decode_batch, fallbacks=fallbacks)
    return pipeline, {1: await ledger.claim(1)}


async def test_a_batch_is_decided_with_the_models_it_was_scored_with() -> None:
    pipeline, owners = await open_pipeline(told("one"))
    before = await pipeline.prepare([arrive(body(customer_id="ann"))])
    pipeline.use_scorers(told("two"))
    after = await pipeline.prepare([arrive(body(customer_id="bob"))])
    decided = [await pipeline.decide(prepared, owners) for prepared in (before, after)]
    assert [versions_named(each) for each in decided] == [{"one"}, {"two"}]


async def test_customers_whom_a_rule_scores_are_counted_and_each_decision_names_its_own_basis() -> None:
    fallbacks, unusable = ModelFallbacks(), {"ann": [-3.0]}
    scorers = RULES.with_scorer("churn", InMemoryScorer(unusable))
    scorers = scorers.with_scorer("nbo", InMemoryScorer({"bob": [np.nan] * 8}, 8))
    pipeline, owners = await open_pipeline(scorers, fallbacks)
    prepared = await pipeline.prepare([arrive(body(customer_id=name)) for name in ("ann", "bob")])
    decisions = (await pipeline.decide(prepared, owners)).changes.decisions
    assert {
        each.candidate.customer_id: (each.facts["decision_basis"], each.facts["offer_basis"]) for each in decisions
    } == {
        "ann": ("rules", "model"),
        "bob": ("model", "rules"),
    }
    assert fallbacks.counts == {("churn", "out_of_range"): 1, ("nbo", "not_finite"): 1}


def versions_named(decided: Decided) -> set[str]:
    return {decision.candidate.versions["churn"] for decision in decided.changes.decisions}


def test_health_names_the_models_that_serve() -> None:
    assert Health(versions=lambda: {"churn": "churn-2"}).report()["models"] == {"churn": "churn-2"}


@pytest.mark.parametrize(
    ("folder_is_named", "models", "described"), [(True, (), 1), (True, ("churn",), 0), (False, (), 0)]
)
def test_a_folder_without_any_model_is_degraded_and_a_model_left_out_is_not(
    tmp_path: Path, folder_is_named: bool, models: tuple[str, ...], described: int
) -> None:
    for name in models:
        shutil.copytree(SHIPPED / name, tmp_path / name)
    reloader = ModelReloader(
        tmp_path if folder_is_named else None, lambda: RULES, lambda _: None, load_scorers(tmp_path, FEATURE_MAPPING)
    )
    assert len(reloader.describe_missing()) == described
