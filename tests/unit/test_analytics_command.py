"""`holdfast analytics` from files to files, on the synthetic example."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from console.cli.analytics import analytics
from console.use_cases.analytics import AnalyticsRequest, analyse
from intelligence.analytics.concept_models import load_models
from intelligence.analytics.errors import AnalyticsError, ModelFileError
from intelligence.analytics.mentions import read_mentions
from intelligence.analytics.synthetic import NOTICE, make_example

EXAMPLE = Path(__file__).parents[2] / "examples" / "analytics"
RISKS = (0.4, 0.7)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of `all` on the example, computed once."""
    out = tmp_path_factory.mktemp("analytics") / "outputs"
    files = {name: EXAMPLE / f"{name}.csv" for name in ("concepts", "labels", "catalogue", "purchases")}
    shown: list[str] = []
    analyse(AnalyticsRequest("all", out, **files), RISKS, lambda what, *_: shown.append(what))
    assert list(dict.fromkeys(shown)) == [
        "vectors of concepts",
        "number of clusters",
        "purchase model",
        "churn model",
        "value model",
        "vectors of products",
        "recommendations",
    ]
    return out


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(analytics, [str(each) for each in arguments])
    if isinstance(done.exception, AnalyticsError):
        return str(done.exception)
    assert done.exit_code == code, done.output
    return done.output


def test_clusters_are_read_as_the_document_shows(outputs: Path) -> None:
    clusters = read(outputs / "clustering_results.json")
    client_cluster = clusters["clusters"]["CA001"]
    members = [cid for cid, cluster in clusters["clusters"].items() if cluster == 0]
    assert client_cluster in range(5)
    assert len(members) == clusters["profiles"][0]["clients"]
    assert {"concept", "mentions"} <= clusters["profiles"][0]["top_concepts"][0].keys()
    assert len(clusters["similar_clients"]["CA001"]) == 5
    assert clusters["number_of_clusters"]["chosen"] == 5


def test_recommendations_are_read_as_the_document_shows(outputs: Path) -> None:
    recs = read(outputs / "recommendations.json")
    client_recs = recs["recommendations"]["CA001"]
    shown = [f"{rec['name']} ({rec['category']}): {rec['similarity_score']:.3f}" for rec in client_recs[:3]]
    assert shown[0].startswith("Evening Coat (Fashion): 0.")
    product = client_recs[0]["product_id"]
    assert any(rec["product_id"] == product for row in recs["recommendations"].values() for rec in row)
    assert all(len(row) <= 5 for row in recs["recommendations"].values())


def test_predictions_are_of_every_client_with_what_they_rest_on(outputs: Path) -> None:
    predictions = read(outputs / "predictive_models" / "predictions.json")["predictions"]
    assert len(predictions) == 300
    at_risk = [each for each in predictions.values() if each["risk_level"] == "High"]
    assert all(each["churn_probability"] >= 0.7 for each in at_risk)
    assert {each["value_segment"] for each in predictions.values()} == {"Bronze", "Silver", "Gold", "Platinum"}
    # Nothing is found about purchases in 300 clients: everybody gets the base rate, and it says so.
    assert {(each["purchase_probability"], each["purchase_model_is_useful"]) for each in predictions.values()} == {
        (0.4967, False)
    }


def test_models_are_loaded_for_new_clients(outputs: Path, tmp_path: Path) -> None:
    models = load_models(outputs / "predictive_models")
    assert models.keys() == {"purchase", "churn", "value"}
    path = tmp_path / "new.csv"
    path.write_text("client_id,concept\nN1,Late delivery\nN1,complaint\nN2,VIP event\n", encoding="utf-8")
    angry, happy = models["churn"].predict(read_mentions(path)[0])[:, 1]
    assert angry > happy


@pytest.mark.parametrize("change", ["change", "remove", "manifest"])
def test_changed_models_are_refused(outputs: Path, tmp_path: Path, change: str) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    for each in (outputs / "predictive_models").iterdir():
        (folder / each.name).write_bytes(each.read_bytes())
    if change == "remove":
        (folder / "churn.json").unlink()
    else:
        (folder / ("churn.json" if change == "change" else "manifest.json")).write_text("{}", encoding="utf-8")
    with pytest.raises(ModelFileError, match=r"was changed after|has no models that can be read"):
        load_models(folder)


def test_the_example_is_marked_in_every_line_and_file(tmp_path: Path) -> None:
    printed = run("all", "--example", "--n-clusters", 5, "--out", tmp_path / "out")
    assert all(line.startswith("synthetic: ") for line in printed.splitlines())
    assert "NOT USEFUL, everybody gets the base rate" in printed
    files = [path for path in tmp_path.glob("out/**/*") if path.is_file()]
    assert len(files) == 7
    assert all((read(path)["synthetic"], read(path)["notice"]) == (True, NOTICE) for path in files)


def test_the_example_folder_is_what_the_generator_makes(tmp_path: Path) -> None:
    make_example().write(tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (EXAMPLE / path.name).read_bytes()
    assert "synthetic" in (EXAMPLE / "README.md").read_text(encoding="utf-8")


def test_without_labels_and_catalogue_nothing_is_invented(tmp_path: Path) -> None:
    concepts = EXAMPLE / "concepts.csv"
    printed = run("all", "--concepts", concepts, "--n-clusters", 2, "--out", tmp_path)
    assert "no predictions: no --labels was given, and none is invented" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["clustering_results.json"]
    (tmp_path / "recommendations.json").touch()
    again = run("all", "--concepts", concepts, "--n-clusters", 2, "--out", tmp_path)
    assert "recommendations.json is of an earlier run" in again


def test_json_is_the_summary(tmp_path: Path) -> None:
    options = ("--concepts", EXAMPLE / "concepts.csv", "--n-clusters", 2, "--out", tmp_path, "--json")
    summary = json.loads(run("clustering", *options))
    assert (summary["synthetic"], summary["input"]["clients"], summary["input"]["mentions"]) == (False, 300, 3400)
    assert summary["files"] == [str(tmp_path / "clustering_results.json")]
    assert sum(each["clients"] for each in summary["clustering"]["profiles"]) == 300


def test_labels_and_concepts_of_other_clients_are_counted(tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    labels.write_text("client_id,churned\nCA001,1\nX,0\nY,1\n", encoding="utf-8")
    printed = run("predictions", "--concepts", EXAMPLE / "concepts.csv", "--labels", labels, "--out", tmp_path)
    assert "299 clients have no labels, 2 labelled clients have no concepts and are left out" in printed
    assert "no purchase model: the labels have no column purchased" in printed
    assert "no churn model: churned: each class needs 20 clients" in printed
    manifest = read(tmp_path / "predictive_models" / "manifest.json")
    assert manifest["models"] == {}
    assert load_models(tmp_path / "predictive_models") == {}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("all",), "name a CSV file of clients and concepts with --concepts"),
        (("predictions", "--concepts", "x"), "predictions are learned from what became of clients"),
        (("recommendations", "--concepts", "x"), "recommendations need products"),
        (("all", "--concepts", "x", "--purchases", "y"), "--purchases are of products in a --catalog"),
        (("all", "--example", "--labels", "x"), "--example invents all files"),
        (("all", "--concepts", "no.csv", "--out", "{tmp}"), "no.csv cannot be read: No such file"),
        (("all", "--concepts", "{file}", "--out", "{file}"), "cannot be written: File exists; choose another --out"),
        (("all", "--concepts", "{file}", "--out", "{file}/x"), "cannot be written: Not a directory"),
        (("clustering", "--concepts", "{file}", "--out", "{tmp}", "--n-clusters", "301"), "there are 300 clients"),
    ],
)
def test_what_is_missing_is_one_sentence(tmp_path: Path, arguments: tuple[str, ...], sentence: str) -> None:
    places = {"tmp": str(tmp_path), "file": str(EXAMPLE / "concepts.csv")}
    assert sentence in run(*(each.format(**places) for each in arguments))


def test_a_result_that_cannot_be_replaced_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "clustering_results.json").mkdir()
    options = ("--concepts", EXAMPLE / "concepts.csv", "--n-clusters", 2, "--out", tmp_path)
    assert "clustering_results.json cannot be written: Is a directory" in run("clustering", *options)


def test_without_scikit_learn_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "intelligence.analytics.run", None)
    with pytest.raises(AnalyticsError, match="install Holdfast with the extra `training`"):
        analyse(AnalyticsRequest("all", tmp_path, is_example=True), RISKS, lambda *_: None)


def test_the_code_of_the_page_runs(outputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the results and the file of concepts."""
    page = (EXAMPLE.parents[1] / "docs" / "analytics.md").read_text(encoding="utf-8")
    (tmp_path / "concepts.csv").write_bytes((EXAMPLE / "concepts.csv").read_bytes())
    (tmp_path / "outputs").symlink_to(outputs)
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL):
        exec(code, found)  # noqa: S102 - our own page
    assert len(found["members"]) == found["clusters"]["profiles"][0]["clients"]
    assert set(found["high_risk"]) < set(found["mentions"].clients)
