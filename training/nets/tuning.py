"""Search sizes and rates of a net on the inner split: --tune N."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import optuna

from training.nets.fit import Options
from training.nets.model_selection import losses_of

if TYPE_CHECKING:
    from training.data.dataset import Split
    from training.nets.model_selection import Progress, Recipe
    from training.task import Task


def tune(
    recipe: Recipe, inner: Split, task: Task, trials: int, seed: int, progress: Progress
) -> tuple[Recipe, dict[str, Any]]:
    """Return the recipe with the options that lose least on the inner split's later rows, and what was tried.

    The first trial is the recipe as it is, so the best is never worse there. The search is by a seeded
    tree-structured Parzen estimator (Bergstra et al. 2011): the same seed and data give the same options.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def lose(trial: optuna.Trial) -> float:
        progress(f"tune, trial {trial.number + 1} of {trials}")
        options = recipe.options if trial.number == 0 else _suggest(trial, recipe)
        trial.set_user_attr("options", asdict(options))
        trained = replace(recipe, options=options).fit(inner.earlier, seed)
        return float(np.nanmean(losses_of(trained, inner, task)))

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed), direction="minimize")
    study.optimize(lose, n_trials=trials)
    best = study.best_trial
    options = best.user_attrs["options"]
    summary = {
        "trials": trials,
        "seed": seed,
        "loss_untuned": _rounded(study.trials[0].value),
        "loss_tuned": _rounded(best.value),
        "best_trial": best.number + 1,
        "options": options,
        "losses": [_rounded(each.value) for each in study.trials],
    }
    return replace(recipe, options=Options(**options)), summary


def _suggest(trial: optuna.Trial, recipe: Recipe) -> Options:
    epochs = trial.suggest_categorical("epochs", [8, 15, 30, 60])
    decay = trial.suggest_float("decay", 1e-3, 10.0, log=True)
    if recipe.method == "additive":
        return replace(
            recipe.options, rate=trial.suggest_float("rate", 2e-3, 3e-2, log=True), decay=decay, epochs=epochs
        )
    return replace(
        recipe.options,
        rate=trial.suggest_float("rate", 5e-4, 5e-3, log=True),
        decay=decay,
        epochs=epochs,
        dropout=trial.suggest_float("dropout", 0.0, 0.3),
        members=trial.suggest_categorical("members", [8, 16]),
        hidden=trial.suggest_categorical("hidden", [32, 64]),
    )


def _rounded(loss: float | None) -> float | None:
    return None if loss is None else round(loss, 6)
