"""The manifests of deploy/kubernetes; `python -m tests.kubernetes_manifests` writes the alerts among them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
ALERTS = ROOT / "deploy" / "observability" / "alerts.yaml"
RULES = FOLDER / "monitoring" / "rules.yaml"
RULES_HEAD = """# deploy/observability/alerts.yaml for the Prometheus Operator.
# `python -m tests.kubernetes_manifests` writes it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: holdfast
  labels:
    app.kubernetes.io/name: holdfast
spec:
"""
WORKLOADS = {"StatefulSet", "Deployment", "Job", "CronJob"}


def find_files() -> list[Path]:
    """Return the files of resources, without those of kustomize and of the example's definitions."""
    names = (each for each in FOLDER.glob("*/*.yaml") if each.name != "kustomization.yaml")
    return sorted(names)


def load_resources() -> list[tuple[str, dict[str, Any]]]:
    """Return every resource with its file and kind."""
    return [
        (f"{file.relative_to(FOLDER)}: {resource['kind']}", resource)
        for file in find_files()
        for resource in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    ]


def load_kustomizations() -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield each folder with its kustomization."""
    for file in sorted(FOLDER.rglob("kustomization.yaml")):
        yield file.parent, yaml.safe_load(file.read_text(encoding="utf-8"))


def find_pod(resource: dict[str, Any]) -> dict[str, Any]:
    """Return the pod template of a workload."""
    spec = resource["spec"]
    template = spec["jobTemplate"]["spec"]["template"] if resource["kind"] == "CronJob" else spec["template"]
    return dict(template)


def render_rules() -> str:
    """Return the alerts as the Prometheus Operator reads them."""
    groups = ALERTS.read_text(encoding="utf-8").partition("groups:\n")[2]
    return RULES_HEAD + textwrap.indent(f"groups:\n{groups}", "  ")


if __name__ == "__main__":
    RULES.write_text(render_rules(), encoding="utf-8")
