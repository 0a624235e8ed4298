"""One run of analytics: files in, files out, and a summary.

The clusters are learned from the concepts alone, so that they do not change with a catalogue.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from intelligence.analytics.catalogue import read_catalogue, read_purchases
from intelligence.analytics.clusters import (
    choose_number,
    describe_clusters,
    find_clusters,
    find_similar_clients,
    find_similar_concepts,
    measure_given,
)
from intelligence.analytics.concept_models import FORMAT, MANIFEST, NAMES, describe_prediction
from intelligence.analytics.concept_space import learn_space
from intelligence.analytics.errors import AnalyticsError, OutputError
from intelligence.analytics.labels import read_labels
from intelligence.analytics.mentions import read_mentions
from intelligence.analytics.predictions import learn
from intelligence.analytics.recommendations import recommend

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from intelligence.analytics.csv_rows import Account
    from intelligence.analytics.labels import Labels
    from intelligence.analytics.mentions import Mentions
    from intelligence.analytics.predictions import Learned

    Show = Callable[[str, int, int], None]

CLUSTERING, PREDICTIONS, RECOMMENDATIONS, ALL = "clustering", "predictions", "recommendations", "all"
RESULTS = {
    CLUSTERING: "clustering_results.json",
    PREDICTIONS: "predictive_models",
    RECOMMENDATIONS: "recommendations.json",
}
"""The file or folder of each part."""
PREDICTIONS_FILE = "predictions.json"


@dataclass(frozen=True, slots=True)
class AnalyticsJob:
    """What to compute.

    Attributes:
        kind: one of the parts, or all.
        concepts, labels, catalogue, purchases: CSV files; None where there is none.
        out: the folder of the results.
        clusters: their number; None to choose it.
        top_k: recommendations for each client.
        risks: from which probability of churn on the risk is medium and high.
        notice: what is written into every file, where the data are synthetic.
    """

    kind: str
    concepts: Path
    labels: Path | None
    catalogue: Path | None
    purchases: Path | None
    out: Path
    clusters: int | None
    top_k: int
    risks: tuple[float, float]
    notice: str | None = None

    def includes(self, part: str) -> bool:
        """Whether a part is to be computed."""
        return self.kind in (part, ALL)


@dataclass(slots=True)
class _Run:
    job: AnalyticsJob
    show: Show
    mentions: Mentions
    accounts: dict[str, Account]
    files: list[str] = field(default_factory=list)

    def stamp(self, content: Mapping[str, Any]) -> dict[str, Any]:
        """Return content with what every file says first: whether the data are synthetic."""
        notice = {"notice": self.job.notice} if self.job.notice else {}
        return {"synthetic": self.job.notice is not None, **notice, **content}


def run(job: AnalyticsJob, show: Show) -> dict[str, Any]:
    """Compute what a job asks for, write it, and return a summary without the clients' rows.

    Nothing is written if a file cannot be read. Each result replaces an earlier one when it is complete.

    Args:
        job: what to compute.
        show: receives what is done, how far, and of how much.

    Raises:
        InputFileError: a file cannot be used.
        OutputError: the folder or a file cannot be written.
        AnalyticsError: there are fewer clients than clusters asked for.
    """
    _check_folder(job.out)
    mentions, account = read_mentions(job.concepts)
    state = _Run(job, show, mentions, {"concepts": account})
    if job.clusters is not None and job.clusters > len(mentions.clients):
        raise AnalyticsError(
            f"{job.clusters} clusters were asked for and there are {len(mentions.clients)} clients; ask for fewer"
        )
    labels = catalogue = None
    purchases: Mapping[str, frozenset[str]] = {}
    if job.labels and job.includes(PREDICTIONS):
        labels, state.accounts["labels"] = read_labels(job.labels)
    if job.catalogue and job.includes(RECOMMENDATIONS):
        catalogue, state.accounts["catalogue"] = read_catalogue(job.catalogue)
        if job.purchases:
            purchases, state.accounts["purchases"] = read_purchases(job.purchases, catalogue)
    summary: dict[str, Any] = {}
    if job.includes(CLUSTERING):
        summary[CLUSTERING] = _cluster(state)
    if job.includes(PREDICTIONS):
        summary[PREDICTIONS] = _predict(state, labels) if labels else _skip(state, PREDICTIONS, "labels")
    if job.includes(RECOMMENDATIONS):
        made = _recommend(state, catalogue, purchases) if catalogue else _skip(state, RECOMMENDATIONS, "catalog")
        summary[RECOMMENDATIONS] = made
    return state.stamp({"input": _describe_input(state), **summary, "files": state.files})


def _cluster(state: _Run) -> dict[str, Any]:
    mentions, given = state.mentions, state.job.clusters
    state.show("vectors of concepts", 0, 1)
    space = learn_space(mentions)
    if given is None:
        number = choose_number(mentions, space, lambda done, of: state.show("number of clusters", done, of))
    else:
        number = measure_given(space, given)
    clusters = find_clusters(space.clients, number.chosen)
    found = {
        "number_of_clusters": {
            "chosen": number.chosen,
            "how": number.how,
            "is_stable": number.is_stable,
            "stability": {str(each): value for each, value in number.stability.items()},
            "stability_of_shuffled_concepts": number.by_chance,
        },
        "clients_without_vector": int((~space.clients.any(axis=1)).sum()),
        "profiles": describe_clusters(mentions, clusters),
    }
    content = {
        "clusters": dict(zip(mentions.clients, clusters.tolist(), strict=True)),
        **found,
        "similar_clients": find_similar_clients(mentions, space),
        "similar_concepts": find_similar_concepts(mentions, space),
        "input": _describe_input(state),
    }
    _write_file(state, RESULTS[CLUSTERING], content)
    return found


def _predict(state: _Run, labels: Labels) -> dict[str, Any]:
    mentions = state.mentions
    learned: dict[str, Learned] = {}
    not_learned: dict[str, str] = {}
    for label, name in NAMES.items():
        if label not in labels.columns:
            not_learned[name] = f"the labels have no column {label}"
            continue
        result = learn(label, labels, mentions, lambda done, of, name=name: state.show(f"{name} model", done, of))  # type: ignore[misc]
        if isinstance(result, str):
            not_learned[name] = result
        else:
            learned[name] = result
    known = set(mentions.clients)
    summary = {
        "clients_without_labels": len(known - labels.values.keys()),
        "labels_of_clients_without_concepts": len(labels.values.keys() - known),
        "mentions_after_labels": len(mentions.concept) - len(labels.hide_later(mentions).concept),
        "not_learned": not_learned,
        "models": {name: {**each.metrics, "drivers": each.drivers} for name, each in learned.items()},
    }
    _write_models(state, learned, labels, summary)
    return summary


def _recommend(state: _Run, catalogue: Any, purchases: Mapping[str, frozenset[str]]) -> dict[str, Any]:
    mentions = state.mentions
    state.show("vectors of products", 0, 1)
    space = learn_space(mentions, [each.text for each in catalogue])
    made = recommend(
        mentions,
        space,
        catalogue,
        purchases,
        state.job.top_k,
        lambda done, of: state.show("recommendations", done, of),
    )
    summary = {
        "clients": len(made.of_clients),
        "clients_without_recommendation": made.empty,
        "products": len(catalogue),
        "products_that_no_concept_reaches": list(made.unmatched),
        "words_in_concepts_and_catalogue": space.shared_terms,
        "buyers_without_concepts": len(purchases.keys() - set(mentions.clients)),
        "known_purchases": dict(made.metrics),
    }
    content = {"recommendations": made.of_clients, "summary": summary, "input": _describe_input(state)}
    _write_file(state, RESULTS[RECOMMENDATIONS], content)
    first = next(iter(made.of_clients))
    return {**summary, "example": {"client_id": first, "recommendations": made.of_clients[first]}}


def _skip(state: _Run, part: str, option: str) -> dict[str, Any]:
    """Return why a part was not computed, and what an earlier run left of it."""
    left = state.job.out / RESULTS[part]
    stale = {"left_from_an_earlier_run": str(left)} if left.exists() else {}
    return {"skipped": f"no --{option} was given, and none is invented", **stale}


def _describe_input(state: _Run) -> dict[str, Any]:
    mentions = state.mentions
    return {
        "clients": len(mentions.clients),
        "concepts": len(mentions.concepts),
        "mentions": len(mentions.concept),
        "period": list(mentions.period) if mentions.period else None,
        "files": {name: each.as_json() for name, each in state.accounts.items()},
        "notes": [sentence for each in state.accounts.values() for sentence in each.sentences()],
    }


def _write_models(state: _Run, learned: Mapping[str, Learned], labels: Labels, summary: Mapping[str, Any]) -> None:
    """Write models, manifest and predictions into a new folder, which then takes the place of the old one."""
    target = state.job.out / RESULTS[PREDICTIONS]
    contents = {
        name: state.stamp({**each.model.as_json(), "metrics": each.metrics, "drivers": each.drivers})
        for name, each in learned.items()
    }
    texts = {f"{name}.json": _encode(content) for name, content in contents.items()}
    models = {
        name: {
            "sha256": hashlib.sha256(texts[f"{name}.json"].encode()).hexdigest(),
            "is_useful": each.model.is_useful,
        }
        for name, each in learned.items()
    }
    # What was measured stands in each model's file.
    manifest = {**summary, "format": FORMAT, "models": models}
    texts[PREDICTIONS_FILE] = _encode(state.stamp({"predictions": _predict_clients(state, learned, labels)}))
    texts[MANIFEST] = _encode(state.stamp(manifest))
    try:
        staged = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=state.job.out))
        for name, text in texts.items():
            (staged / name).write_text(text, encoding="utf-8", newline="\n")
        staged.chmod(0o755)
        if target.exists():
            target.replace(staged.with_suffix(".old"))
        staged.replace(target)
        shutil.rmtree(staged.with_suffix(".old"), ignore_errors=True)
    except OSError as error:
        raise _cannot_write(target, error) from error
    state.files += [str(target / name) for name in texts]


def _predict_clients(state: _Run, learned: Mapping[str, Learned], labels: Labels) -> dict[str, dict[str, Any]]:
    mentions = state.mentions
    found: dict[str, dict[str, Any]] = {client: {"has_labels": client in labels.values} for client in mentions.clients}
    for each in learned.values():
        for client, probability in zip(mentions.clients, each.predict(mentions), strict=True):
            found[client] |= describe_prediction(each.model, np.asarray(probability), state.job.risks)
    return found


def _check_folder(folder: Path) -> None:
    """Create the folder of the results, and see that files can be written into it.

    Raises:
        OutputError: they cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise _cannot_write(folder, error) from error


def _write_file(state: _Run, name: str, content: Mapping[str, Any]) -> None:
    path = state.job.out / name
    part = path.with_name(f".{name}.part")
    try:
        part.write_text(_encode(state.stamp(content)), encoding="utf-8", newline="\n")
        part.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error
    state.files.append(str(path))


def _encode(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _cannot_write(path: Path, error: OSError) -> OutputError:
    return OutputError(f"{path} cannot be written: {error.strerror}; choose another --out, or free its disk")
