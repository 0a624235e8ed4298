"""What is to be reached, and a table of what was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Target:
    """One figure and its bound.

    Attributes:
        label: what it is, for a person.
        path: of the figure in the results.
        baselines: by column of the table, the name of the baseline's figure.
        bound: what is to be reached: a number, two between which the figure is to be, or None for the best baseline.
        margin: added to the best baseline.
        least: whether the bound is the least that is good enough, not the most.
    """

    label: str
    path: tuple[str, ...]
    baselines: Mapping[str, str]
    bound: float | tuple[float, float] | None = None
    margin: float = 0.0
    least: bool = True

    def reach(self, results: Mapping[str, Any]) -> tuple[float, str, bool]:
        """Return figure, bound in words, and whether it was reached."""
        part = self.part(results)
        figure = float(part[self.path[-1]])
        if isinstance(self.bound, tuple):
            low, high = self.bound
            return figure, f"{low} to {high}", low <= figure <= high
        bound = self.bound
        if bound is None:
            best = max if self.least else min
            bound = best(float(part[name]) for name in self.baselines.values() if name in part) + self.margin
        return figure, f"{'>=' if self.least else '<='} {bound:.4f}", figure >= bound if self.least else figure <= bound

    def is_in(self, results: Mapping[str, Any]) -> bool:
        """Tell whether the part was measured that holds the figure."""
        found: Any = results
        for name in self.path:
            if name not in found:
                return False
            found = found[name]
        return True

    def part(self, results: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the part of the results that holds the figure."""
        found: Mapping[str, Any] = results
        for name in self.path[:-1]:
            found = found[name]
        return found


TELCO = {"LightGBM": "lightgbm_auc", "linear": "logistic_regression_auc"}
CHURN = {**TELCO, "BG/NBD": "bg_nbd_auc", "rule": "recency_rule_auc"}
SPEND = {
    "LightGBM": "ltv_lightgbm_r2",
    "linear": "ltv_tweedie_r2",
    "BG/NBD": "ltv_bg_nbd_r2",
    "rule": "ltv_past_spend_r2",
}
WINSORISED = {name: f"{figure}_winsorised" for name, figure in SPEND.items()}
WAIT = {"BG/NBD": "bg_nbd", "rule": "kaplan_meier"}
COVERAGE = (0.78, 0.82)
SHOPS = {"Online Retail": ("online_retail",), "CDNOW": ("cdnow",), "CDNOW, 180 days alone": ("cdnow", "window_only")}
COLUMNS = ("LightGBM", "linear", "BG/NBD", "rule")


def _brier(name: str) -> dict[str, str]:
    return {"LightGBM": f"lightgbm_{name}", "linear": f"logistic_regression_{name}"}


def _waiting(measure: str) -> dict[str, str]:
    return {column: f"{name}_{measure}" for column, name in WAIT.items()}


def _of_shop(shop: str, path: tuple[str, ...]) -> tuple[Target, ...]:
    """Return the targets of a shop. BG/NBD, which reads the whole history, is no rival on features of 180 days."""
    rivals = [
        {name: figure for name, figure in each.items() if name != "BG/NBD" or "window_only" not in path}
        for each in (CHURN, SPEND, WINSORISED, _waiting("ibs"), _waiting("concordance"))
    ]
    return (
        Target(f"{shop}, churn, AUC", (*path, "auc"), rivals[0]),
        Target(f"{shop}, spend, R2", (*path, "ltv_r2"), rivals[1]),
        Target(f"{shop}, spend, R2 winsorised", (*path, "ltv_r2_winsorised"), rivals[2]),
        Target(f"{shop}, interval of 80 %, coverage", (*path, "ltv_coverage"), {}, COVERAGE),
        Target(f"{shop}, wait, integrated Brier score", (*path, "wait", "ibs"), rivals[3], least=False),
        Target(f"{shop}, wait, concordance", (*path, "wait", "concordance"), rivals[4]),
    )


TARGETS = (
    Target("Telco, AUC", ("telco", "auc"), TELCO, margin=0.001),
    Target("Telco, Brier score", ("telco", "brier"), _brier("brier"), least=False),
    Target("Telco, ECE in 15 bins", ("telco", "ece"), _brier("ece"), least=False),
    Target("Telco, a tenth of the rows, AUC", ("telco", "tenth", "auc"), TELCO, margin=0.005),
    *(target for shop, path in SHOPS.items() for target in _of_shop(shop, path)),
)


def tabulate(results: Mapping[str, Any]) -> Table:
    """Return a table of the parts that were measured."""
    table = Table("", "ours", *COLUMNS, "target", "", title="Exported models, as served")
    for target in TARGETS:
        if target.is_in(results):
            reached, bound, met = target.reach(results)
            verdict = "[green]met[/]" if met else "[red]missed[/]"
            part = target.part(results)
            others = (
                f"{part[known]:.4f}" if (known := target.baselines.get(name, "")) in part else "" for name in COLUMNS
            )
            table.add_row(target.label, f"{reached:.4f}", *others, bound, verdict)
    return table
