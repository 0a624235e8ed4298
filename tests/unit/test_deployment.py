"""Manifests, Dockerfile and docker-compose.yml: valid by their schemas, and true to the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft7Validator

from campaigns.definition import load_definitions
from console.cli import holdfast
from console.web.pages import health
from console.web.serving import LOOPBACK_NAMES, build_served_app
from streams.observability.probes import CHECKS
from streams.settings import Settings, load_settings
from tests.kubernetes_manifests import (
    ALERTS,
    FOLDER,
    ROOT,
    RULES,
    WORKLOADS,
    find_files,
    find_pod,
    load_kustomizations,
    load_resources,
    render_rules,
)

if TYPE_CHECKING:
    import click

OLDEST, LATEST = "1.30", "1.37"
RESOURCES = load_resources()
PODS = {name: find_pod(resource) for name, resource in RESOURCES if resource["kind"] in WORKLOADS}
OPERATOR = {"PodMonitor", "PrometheusRule"}
SETTINGS = {field.alias: field for field in Settings.model_fields.values()}
NOT_OURS = {"HOME"}
SECRETS = {
    "HOLDFAST_LEDGER_URL": "postgresql://ledger.example.org/ledger",
    "HOLDFAST_WAREHOUSE_URL": "postgresql://warehouse.example.org/warehouse",
    "HOLDFAST_REDIS_URL": "rediss://redis.example.org/0",
}
FREE = ("HOLDFAST_DELIVERY_", "HOLDFAST_UNSUBSCRIBE_")
"""Variables of delivery, which are named after channels."""
PAGE = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
COMPOSE_SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "compose-spec.json").read_text(encoding="utf-8"))


def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the one container of a pod."""
    (only,) = pod["spec"]["containers"]
    return dict(only)


def resource(kind: str, name: str) -> dict[str, Any]:
    """Return a resource."""
    return next(each for _, each in RESOURCES if (each["kind"], each["metadata"]["name"]) == (kind, name))


def check_command(words: list[str]) -> None:
    """Check that a command exists."""
    command: click.Command = holdfast
    assert words[0] == "holdfast"
    for word in words[1:]:
        if not hasattr(command, "commands"):
            break
        assert word in command.commands, words
        command = command.commands[word]


@pytest.mark.parametrize("version", [OLDEST, LATEST])
@pytest.mark.parametrize(("name", "manifest"), RESOURCES, ids=[name for name, _ in RESOURCES])
def test_a_manifest_keeps_to_the_schema_of_kubernetes(name: str, manifest: dict[str, Any], version: str) -> None:
    if manifest["kind"] in OPERATOR:
        assert manifest["apiVersion"] == "monitoring.coreos.com/v1", name
        return
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    """So that the test above is one."""
    wrong = resource("StatefulSet", "holdfast-worker")
    wrong = {**wrong, "spec": {**wrong["spec"], "replica": 3}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, LATEST, strict=True)


def test_every_file_belongs_to_a_kustomization() -> None:
    listed = set()
    for folder, kustomization in load_kustomizations():
        for name in kustomization["resources"]:
            assert (folder / name).exists(), f"{folder}: {name}"
            listed.add((folder / name).resolve())
        for generator in kustomization.get("configMapGenerator", ()):
            for name in (*generator.get("files", ()), *generator.get("envs", ())):
                assert (folder / name).is_file(), name
    assert set(find_files()) <= listed


def test_a_name_that_a_pod_mounts_or_reads_exists() -> None:
    _, example = next(each for each in load_kustomizations() if each[0].name == "example")
    made = {each["name"] for each in example["configMapGenerator"]} | {"holdfast-delivery"}
    for name, pod in PODS.items():
        text = json.dumps(pod)
        assert set(re.findall(r'"configMap(?:Ref)?": \{"name": "([\w-]+)"', text)) <= made, name
        assert set(re.findall(r'"claimName": "([\w-]+)"', text)) <= {"holdfast-models"}, name
        for secret in re.findall(r'"secretRef": \{"name": "([\w-]+)"', text):
            assert f"create secret generic {secret} " in PAGE, secret
        mounted = {each["name"] for each in container(pod)["volumeMounts"]}
        assert mounted == {each["name"] for each in pod["spec"]["volumes"]}, name


def test_there_is_no_secret_in_the_repository() -> None:
    assert not [name for name, each in RESOURCES if each["kind"] == "Secret"]
    for file in FOLDER.rglob("*"):
        if file.is_file():
            assert not re.search(r"PASSWORD=|SECRET=|://[^/\s]*:[^/\s]*@", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_has_no_rights(pod: dict[str, Any]) -> None:
    spec, only = pod["spec"], container(pod)
    assert spec["automountServiceAccountToken"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert f"--uid {spec['securityContext']['runAsUser']}" in DOCKERFILE


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_says_what_it_needs_and_runs_a_command_that_exists(pod: dict[str, Any]) -> None:
    only = container(pod)
    assert {*only["resources"]["requests"]} == {"cpu", "memory"}
    assert {*only["resources"]["limits"]} == {"memory"}  # a limit of CPU slows a worker down while the node idles
    images = {"train": "holdfast-training", "monitor": "holdfast-training", "console": "holdfast-console"}
    assert only["image"] == next((images[each] for each in only["args"] if each in images), "holdfast")
    check_command(only["args"])
    for variable in only.get("env", ()):
        assert variable["name"] in SETTINGS.keys() | NOT_OURS


@pytest.mark.parametrize("name", ["base/worker.yaml: StatefulSet", "deliver/deliver.yaml: Deployment"])
def test_a_process_is_probed_where_it_answers_and_has_time_to_end(name: str) -> None:
    pod = PODS[name]
    only = container(pod)
    ports = {each["name"]: each["containerPort"] for each in only["ports"]}
    for probe, field in (("startupProbe", "alive"), ("livenessProbe", "alive"), ("readinessProbe", "ready")):
        asked = only[probe]["httpGet"]
        assert CHECKS[asked["path"]] == field
        assert ports[asked["port"]] == SETTINGS["HOLDFAST_HEALTH_PORT"].default
    assert {"name": "HOLDFAST_HEALTH_HOST", "value": "0.0.0.0"} in only["env"]  # noqa: S104 - the address of a pod
    assert pod["spec"]["terminationGracePeriodSeconds"] > SETTINGS["HOLDFAST_SHUTDOWN_S"].default + 5


def test_the_console_is_probed_by_a_name_that_it_answers_to() -> None:
    only = container(PODS["console/console.yaml: Deployment"])
    (port,) = only["ports"]
    assert port["containerPort"] == SETTINGS["HOLDFAST_CONSOLE_PORT"].default
    paths = {f"{health.router.prefix}/live", f"{health.router.prefix}/ready"} & {
        each.path for each in health.router.routes
    }
    asked = [only[probe]["httpGet"] for probe in ("startupProbe", "livenessProbe", "readinessProbe")]
    assert {each["path"] for each in asked} == paths
    for each in asked:
        assert each["port"] == port["name"]
        assert each["httpHeaders"][0]["value"] in LOOPBACK_NAMES
    assert {"name": "HOLDFAST_CONSOLE_HOST", "value": "0.0.0.0"} in only["env"]  # noqa: S104 - the address of a pod


def test_the_console_of_the_example_sends_its_cookie_over_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for line in (FOLDER / "example" / "console.env").read_text(encoding="utf-8").splitlines():
        monkeypatch.setenv(*line.split("=", 1))
    app = build_served_app(load_settings(HOLDFAST_CONSOLE_HOST="0.0.0.0", **SECRETS))  # noqa: S104 - of a pod
    assert app.state.context.is_secure
    assert not app.state.context.is_open


def test_every_worker_has_an_instance_id_of_its_own() -> None:
    (found,) = [
        each
        for each in container(PODS["base/worker.yaml: StatefulSet"])["env"]
        if each["name"] == "HOLDFAST_INSTANCE_ID"
    ]
    assert found["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}


def test_selectors_select_the_pods_they_are_for() -> None:
    worker = PODS["base/worker.yaml: StatefulSet"]["metadata"]["labels"]
    deliver = PODS["deliver/deliver.yaml: Deployment"]["metadata"]["labels"]
    assert resource("StatefulSet", "holdfast-worker")["spec"]["selector"]["matchLabels"] == worker
    assert resource("Service", "holdfast-worker")["spec"]["selector"] == worker
    assert resource("PodDisruptionBudget", "holdfast-worker")["spec"]["selector"]["matchLabels"] == worker
    assert resource("Service", "holdfast-unsubscribe")["spec"]["selector"] == deliver
    console = PODS["console/console.yaml: Deployment"]["metadata"]["labels"]
    assert resource("Deployment", "holdfast-console")["spec"]["selector"]["matchLabels"] == console
    assert resource("Service", "holdfast-console")["spec"]["selector"] == console
    assert resource("NetworkPolicy", "holdfast-console")["spec"]["podSelector"]["matchLabels"] == console
    policy = resource("NetworkPolicy", "holdfast")["spec"]["podSelector"]["matchLabels"]
    for pod in PODS.values():
        assert policy.items() <= pod["metadata"]["labels"].items()


@pytest.mark.parametrize("pod", PODS.values(), ids=PODS)
def test_a_pod_can_use_its_settings_and_secrets(pod: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the example, and those that the page puts into the secrets."""
    only = container(pod)
    example = (FOLDER / "example" / "settings.env").read_text(encoding="utf-8")
    sources = json.dumps(only["envFrom"])
    variables = dict(line.split("=", 1) for line in example.splitlines()) if "configMapRef" in sources else {}
    for secret in re.findall(r'"secretRef": {"name": "([\w-]+)"', sources):
        (command,) = re.findall(f"create secret generic {secret} (.*)", PAGE)
        variables |= {name: SECRETS.get(name, "secret") for name in re.findall(r"--from-literal=(\w+)=", command)}
    assert {name for name in variables if not name.startswith(FREE)} <= SETTINGS.keys()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    load_settings()
    training = {"train", "monitor"} & set(only["args"])
    wanted = {"HOLDFAST_WAREHOUSE_URL"} if training else {"HOLDFAST_LEDGER_URL"}
    assert wanted <= variables.keys()


def test_the_definitions_of_the_example_are_read_as_a_config_map_shows_them(tmp_path: Path) -> None:
    """Kubernetes mounts links to links, next to a hidden folder."""
    _, example = next(each for each in load_kustomizations() if each[0].name == "example")
    files = {each["name"]: each.get("files", ()) for each in example["configMapGenerator"]}
    for kind in ("segments", "campaigns"):
        mounted = tmp_path / kind
        (mounted / "..2026_03_01").mkdir(parents=True)
        (mounted / "..data").symlink_to("..2026_03_01")
        for name in files[f"holdfast-{kind}"]:
            content = (FOLDER / "example" / name).read_bytes()
            (mounted / "..2026_03_01" / Path(name).name).write_bytes(content)
            (mounted / Path(name).name).symlink_to(f"..data/{Path(name).name}")
    found = load_definitions(tmp_path)
    assert [each.key for each in found.campaigns] == ["come-back"]
    assert [each.key for each in found.segments] == ["away-a-month"]


def test_the_alerts_of_the_operator_are_those_of_prometheus() -> None:
    """Else run `python -m tests.kubernetes_manifests`."""
    assert RULES.read_text(encoding="utf-8") == render_rules()
    assert yaml.safe_load(render_rules())["spec"] == yaml.safe_load(ALERTS.read_text(encoding="utf-8"))


def test_every_command_of_the_page_exists() -> None:
    for words in re.findall(r"(?:^    |`|-- )(holdfast (?:[a-z][a-z-]+ ?)+)", PAGE, re.MULTILINE):
        check_command(words.split())


# Dockerfile and docker-compose.yml


def test_the_dockerfile_has_no_finding_of_hadolint() -> None:
    command = [str(Path(sys.executable).parent / "hadolint"), "Dockerfile"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_the_dockerfile_copies_exists_and_is_sent_to_the_builder() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert lines[1] == "*"
    sent = {line[1:].rstrip("/") for line in lines if line.startswith("!")}
    copied: list[str] = re.findall(r"^COPY (?!--from)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    for path in " ".join(copied).split():
        assert (ROOT / path).exists(), path
        assert path.rstrip("/") in sent or path.split("/")[0] in sent, f"{path} is not in .dockerignore"


def test_the_image_has_every_package_that_a_wheel_has() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    packages = re.search(r"\[tool.hatch.build.targets.wheel\]\npackages = (\[.*\])", project)
    assert packages is not None
    assert set(json.loads(packages[1])) == set(re.findall(r"^COPY (\w+)/ \1/$", DOCKERFILE, re.MULTILINE))


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("runtime", {"tracing", "registry"}),
        ("console", {"tracing", "registry", "console"}),
        ("training", {"tracing", "training"}),
    ],
)
def test_a_lock_of_the_image_has_the_packages_of_its_extras(lock: str, extras: set[str]) -> None:
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    locked = set(re.findall(r"^([\w.-]+)==", text, re.MULTILINE))
    for requirement in requires("holdfast") or ():
        extra = re.search(r'extra == [\'"](\w+)[\'"]', requirement)
        name = re.split(r"[^\w.-]", requirement)[0].lower()
        if extra is None or extra[1] in extras:
            assert name in {each.lower() for each in locked}, requirement


def test_the_commands_of_the_image_exist() -> None:
    commands = [json.loads(each) for each in re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)]
    assert commands[-1] == ["holdfast", "worker"]
    for words in commands:
        check_command(words)
    assert set(re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)) == {"10001"}


def test_docker_compose_keeps_to_the_schema() -> None:
    assert [error.message for error in Draft7Validator(COMPOSE_SCHEMA).iter_errors(COMPOSE)] == []
    wrong = {**COMPOSE, "services": {**COMPOSE["services"], "worker": {"imagee": "holdfast"}}}
    assert list(Draft7Validator(COMPOSE_SCHEMA).iter_errors(wrong))


def test_docker_compose_runs_commands_and_sets_variables_that_exist() -> None:
    own = {name: each for name, each in COMPOSE["services"].items() if each["image"].startswith("holdfast")}
    assert set(own) == {"topics", "worker", "console"}
    assert own["console"]["build"]["target"] in re.findall(r"^FROM base AS (\w+)$", DOCKERFILE, re.MULTILINE)
    assert own["console"]["ports"] == [
        f"127.0.0.1:{port}:{port}" for port in [SETTINGS["HOLDFAST_CONSOLE_PORT"].default]
    ]
    for each in own.values():
        check_command(each.get("command", ["holdfast", "worker"]))
        assert each["environment"].keys() <= SETTINGS.keys()
        assert each["depends_on"].keys() <= COMPOSE["services"].keys()
        assert (each["read_only"], each["cap_drop"]) == (True, ["ALL"])
    published = [port for each in COMPOSE["services"].values() for port in each.get("ports", ())]
    assert all(port.startswith("127.0.0.1:") for port in published)
    period = own["worker"]["stop_grace_period"]
    assert int(period.removesuffix("s")) >= SETTINGS["HOLDFAST_SHUTDOWN_S"].default + 5
