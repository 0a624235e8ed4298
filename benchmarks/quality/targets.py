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
        bound: what is to be reached; a path is the figure of a rival, to which `margin` is added.
        margin: see `bound`.
        least: whether the bound is the least that is good enough, not the most.
    """

    label: str
    path: tuple[str, ...]
    baselines: Mapping[str, str]
    bound: float | str
    margin: float = 0.0
    least: bool = True

    def reach(self, results: Mapping[str, Any]) -> tuple[float, float, bool]:
        """Return figure, bound, and whether it was reached."""
        part = self.part(results)
        figure = float(part[self.path[-1]])
        bound = float(part[self.bound] if isinstance(self.bound, str) else self.bound) + self.margin
        return figure, bound, figure >= bound if self.least else figure <= bound

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


CHURN = {"LightGBM": "lightgbm_auc", "linear": "logistic_regression_auc", "rule": "recency_rule_auc"}
TELCO = {"LightGBM": "lightgbm_auc", "linear": "logistic_regression_auc"}
SPEND = {"LightGBM": "ltv_lightgbm_r2", "linear": "ltv_tweedie_r2", "rule": "ltv_past_spend_r2"}
WINSORISED = {name: f"{figure}_winsorised" for name, figure in SPEND.items()}


def _brier(name: str) -> dict[str, str]:
    return {"LightGBM": f"lightgbm_{name}", "linear": f"logistic_regression_{name}"}


TARGETS = (
    Target("Telco, AUC", ("telco", "auc"), TELCO, "lightgbm_auc", 0.001),
    Target("Telco, Brier score", ("telco", "brier"), _brier("brier"), 0.1335, least=False),
    Target("Telco, ECE in 15 bins", ("telco", "ece"), _brier("ece"), 0.015, least=False),
    Target("Telco, a tenth of the rows, AUC", ("telco", "tenth", "auc"), TELCO, "lightgbm_auc", 0.005),
    Target("Online Retail, churn, AUC", ("online_retail", "auc"), CHURN, 0.735),
    Target("CDNOW, churn, AUC", ("cdnow", "auc"), CHURN, 0.703),
    Target("CDNOW, churn, AUC, features of 180 days alone", ("cdnow", "window_only", "auc"), CHURN, 0.703),
    Target("Online Retail, spend, R2", ("online_retail", "ltv_r2"), SPEND, 0.59),
    Target("CDNOW, spend, R2", ("cdnow", "ltv_r2"), SPEND, 0.47),
    Target("CDNOW, spend, R2, features of 180 days alone", ("cdnow", "window_only", "ltv_r2"), SPEND, 0.47),
)
REPORTED: tuple[tuple[str, tuple[str, str], dict[str, str]], ...] = (
    ("Online Retail, spend, R2 winsorised", ("online_retail", "ltv_r2_winsorised"), WINSORISED),
    ("CDNOW, spend, R2 winsorised", ("cdnow", "ltv_r2_winsorised"), WINSORISED),
    ("Online Retail, interval of 80 %, coverage", ("online_retail", "ltv_coverage"), {}),
    ("CDNOW, interval of 80 %, coverage", ("cdnow", "ltv_coverage"), {}),
)


def tabulate(results: Mapping[str, Any]) -> Table:
    """Return a table of the parts that were measured."""
    table = Table("", "ours", "LightGBM", "linear", "rule", "target", "", title="Exported models, as served")
    for target in TARGETS:
        if target.is_in(results):
            figure, bound, met = target.reach(results)
            verdict = "[green]met[/]" if met else "[red]missed[/]"
            sign = ">=" if target.least else "<="
            others = _others(target.part(results), target.baselines)
            table.add_row(target.label, f"{figure:.4f}", *others, f"{sign} {bound:.4f}", verdict)
    for label, (part, name), baselines in REPORTED:
        if part in results:
            table.add_row(label, f"{results[part][name]:.4f}", *_others(results[part], baselines), "", "")
    return table


def _others(part: Mapping[str, Any], baselines: Mapping[str, str]) -> list[str]:
    columns = ("LightGBM", "linear", "rule")
    return [f"{part[baselines[column]]:.4f}" if column in baselines else "" for column in columns]
