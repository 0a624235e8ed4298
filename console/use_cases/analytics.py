"""Analytics from concepts: checks what was asked for, and runs it where scikit-learn is installed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from intelligence.analytics.errors import AnalyticsError

if TYPE_CHECKING:
    from collections.abc import Callable

KINDS = ("clustering", "predictions", "recommendations", "all")


@dataclass(frozen=True, slots=True)
class AnalyticsRequest:
    """What a person asks for.

    Attributes:
        kind: one of `KINDS`.
        out: the folder of the results.
        concepts, labels, catalogue, purchases: CSV files.
        clusters: their number; None to choose it by stability.
        top_k: recommendations for each client.
        is_example: use invented data in place of files, marked as such everywhere.
    """

    kind: str
    out: Path
    concepts: Path | None = None
    labels: Path | None = None
    catalogue: Path | None = None
    purchases: Path | None = None
    clusters: int | None = None
    top_k: int = 5
    is_example: bool = False


def analyse(
    request: AnalyticsRequest, risks: tuple[float, float], show: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Compute clusters, predictions or recommendations, write them and return a summary; see docs/analytics.md.

    Args:
        request: what to compute.
        risks: from which probability of churn on the risk is medium and high.
        show: receives what is done, how far, and of how much.

    Raises:
        AnalyticsError: a file lacks, cannot be read or written, or a package is not installed.
    """
    files = (request.concepts, request.labels, request.catalogue, request.purchases)
    if request.is_example:
        if any(files):
            raise AnalyticsError("--example invents all files; leave out --concepts, --labels, --catalog, --purchases")
        return _analyse_example(request, risks, show)
    _check_files(request)
    return _run(request, files, risks, show, notice=None)


def _check_files(request: AnalyticsRequest) -> None:
    if request.concepts is None:
        raise AnalyticsError(
            "name a CSV file of clients and concepts with --concepts, or see invented data with --example"
        )
    if request.kind == "predictions" and request.labels is None:
        raise AnalyticsError(
            "predictions are learned from what became of clients: name a CSV file client_id,purchased,churned,"
            "lifetime_value with --labels; labels are not invented, except by --example, which invents everything"
        )
    if request.kind == "recommendations" and request.catalogue is None:
        raise AnalyticsError(
            "recommendations need products: name a CSV file product_id,name,description,category,price with --catalog"
        )
    if request.purchases is not None and request.catalogue is None:
        raise AnalyticsError("--purchases are of products in a --catalog; name it, too")


def _analyse_example(
    request: AnalyticsRequest, risks: tuple[float, float], show: Callable[[str, int, int], None]
) -> dict[str, Any]:
    from intelligence.analytics.synthetic import NOTICE, make_example  # noqa: PLC0415 - only examples need it

    with tempfile.TemporaryDirectory() as folder:
        make_example().write(Path(folder))
        names = ("concepts.csv", "labels.csv", "catalogue.csv", "purchases.csv")
        return _run(request, tuple(Path(folder) / each for each in names), risks, show, notice=NOTICE)


def _run(
    request: AnalyticsRequest,
    files: tuple[Path | None, ...],
    risks: tuple[float, float],
    show: Callable[[str, int, int], None],
    notice: str | None,
) -> dict[str, Any]:
    try:
        from intelligence.analytics.run import AnalyticsJob, run  # noqa: PLC0415 - needs the extra `training`
    except ModuleNotFoundError as error:
        raise AnalyticsError(
            f"analytics needs the package {error.name}, which is not installed: install Holdfast with the extra "
            "`training`"
        ) from error
    concepts, labels, catalogue, purchases = files
    if concepts is None:
        raise AnalyticsError("name a CSV file of clients and concepts with --concepts")
    job = AnalyticsJob(
        request.kind,
        concepts,
        labels,
        catalogue,
        purchases,
        request.out,
        request.clusters,
        request.top_k,
        risks,
        notice,
    )
    return run(job, show)
