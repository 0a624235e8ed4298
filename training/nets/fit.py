"""Train a net on rows, and what a trained one can do.

The whole training set is encoded once and held as tensors, and an epoch is one call of a compiled function:
for tables of this size most of the time of keras.Model.fit goes into feeding it.
"""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from training.nets.architecture import additive_net, assemble, encode, ensemble_net, members_of
from training.nets.backend import keras, tf
from training.nets.likelihoods import build_likelihood, with_interval
from training.nets.preprocessing import learn_preprocessing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from training.nets.architecture import Bag, Net
    from training.nets.likelihoods import Likelihood
    from training.nets.preprocessing import Preprocessing
    from training.task import LikelihoodName

Method = Literal["additive", "tabm"]
METHODS: tuple[Method, ...] = ("additive", "tabm")
FEW_ROWS = 10_000
PREDICTED_AT_ONCE = 8192
CURVE_POINTS = 65


@dataclass(frozen=True, slots=True)
class Options:
    """How a net is built and trained; None where the method and the number of rows decide.

    Attributes:
        members: k, of the ensemble.
        hidden: units of each member.
        dropout: share of hidden units left out at each step.
        rate: the learning rate after warming up; None is .01 for the additive net, .002 for the ensemble.
        decay: weight decay, not on biases and the members' signs and scales.
        batch: rows of a step; None is 256 under 10,000 rows, else 512.
        epochs: None is 30 under 10,000 rows, else 12.
        warm_up: steps of rising rate; it then falls as a cosine.
    """

    members: int = 8
    hidden: int = 32
    dropout: float = 0.1
    rate: float | None = None
    decay: float = 1e-2
    batch: int | None = None
    epochs: int | None = None
    warm_up: int = 100


@dataclass(frozen=True, slots=True)
class Trained:
    """A trained net.

    Attributes:
        method: which net it is.
        preprocessing: the constants of its encoding.
        likelihood: its likelihood.
        net: its variables.
        model: the Keras model from features to scores, the ensemble folded.
        centre: shape [P], the mean of the encoded training rows.
        spreads: for how many scores, from the first on, the model gives the spread in further columns.
        bag: the nets behind the spread of an additive one; None for others.
    """

    method: Method
    preprocessing: Preprocessing
    likelihood: Likelihood
    net: Net
    model: Any
    centre: NDArray[np.float32]
    spreads: int = 0
    bag: Bag | None = None

    @property
    def outputs(self) -> int:
        """How many scores a row gets."""
        return int(self.model.output_shape[-1]) - self.spreads

    def predict(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores of inputs of shape [rows, features], shape [rows, outputs]."""
        return self.predict_with_spread(inputs)[:, : self.outputs]

    def predict_with_spread(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the scores and their spreads, shape [rows, outputs + spreads]."""
        starts = range(0, len(inputs), PREDICTED_AT_ONCE)
        parts = [self.model(inputs[start : start + PREDICTED_AT_ONCE]).numpy() for start in starts]
        return np.concatenate(parts) if parts else np.empty((0, self.outputs + self.spreads), np.float32)

    def convert(self) -> bytes:
        """Return the model in TFLite's format, not quantised."""
        # The converter prints the model's signature on standard output.
        with contextlib.redirect_stdout(io.StringIO()):
            content: bytes = tf.lite.TFLiteConverter.from_keras_model(self.model).convert()
        return content

    def terms(self, inputs: NDArray[np.float32], parameter: int = 0) -> NDArray[np.float64]:
        """Return what each feature adds to a parameter of the head, against the mean of the training rows.

        For the additive net they sum up, with one constant, to the parameter itself (the logit, for a
        probability): they are the exact reasons for each score. Of an ensemble they are its linear part.

        Args:
            inputs: shape [rows, features].
            parameter: position in `head.parameters`.

        Returns:
            Shape [rows, features].
        """
        encoded = encode(inputs, self.preprocessing).numpy().astype(np.float64) - self.centre
        weighted = encoded * self.net.skip.numpy()[:, parameter]
        features = np.arange(inputs.shape[1])
        terms: NDArray[np.float64] = weighted @ (self.preprocessing.origin[:, None] == features).astype(np.float64)
        return terms

    def shapes(
        self, names: Sequence[str], parameter: int = 0
    ) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Return, by feature, values over its range in training and what each adds to a parameter of the head.

        Empty for an ensemble, whose linear part does not say all.
        """
        if self.method != "additive":
            return {}
        grids = [self._grid(position) for position in range(len(names))]
        curves = {}
        for position, (name, grid) in enumerate(zip(names, grids, strict=True)):
            rows = np.tile(self.preprocessing.median, (len(grid), 1))
            rows[:, position] = grid
            curves[name] = (grid, self.terms(rows, parameter)[:, position])
        return curves

    def _grid(self, position: int) -> NDArray[np.float64]:
        constants = self.preprocessing
        if position in constants.category:
            codes: NDArray[np.float64] = constants.code[constants.category == position].astype(np.float64)
            return codes
        low, high, logged = float(constants.low[position]), float(constants.high[position]), constants.logged[position]
        first, last = (float(np.log1p(end)) if logged else end for end in (low, high))
        # Where pieces meet the curve bends, and most customers are on pieces far narrower than an even step.
        bends = constants.left[constants.source == position]
        scaled = np.union1d(np.linspace(first, last, CURVE_POINTS), bends)
        grid: NDArray[np.float64] = np.clip(np.expm1(scaled) if logged else scaled, low, high)
        return grid


def fit(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    *,
    likelihood: LikelihoodName = "binary",
    method: Method = "additive",
    seed: int,
    categories: Sequence[int] = (),
    interval: float | None = None,
    options: Options | None = None,
) -> Trained:
    """Train a net.

    Args:
        inputs: shape [rows, features], null is NaN.
        targets: shape [rows, outputs]: 1, 0, or -1 where not observed; for the other heads spend, [rows, 1].
        likelihood: the likelihood; see training.nets.likelihoods.
        method: "additive" or "tabm".
        seed: same seed and same data give the same net.
        categories: positions of the features that hold codes of categories.
        interval: with it, for example .8, spend gets two more scores: a lower and an upper bound between
            which it lies with that probability; see `conform`.
        options: other sizes and rates.
    """
    options = settle(options or Options(), method, len(inputs))
    constants = learn_preprocessing(inputs, categories)
    fitted = build_likelihood(likelihood, targets)
    if interval is not None:
        fitted = with_interval(fitted, targets, interval)
    encoded = encode(inputs, constants)
    columns = encoded.shape[1]
    if method == "additive":
        net = additive_net(columns, fitted.level)
    else:
        net = ensemble_net(columns, fitted.level, options.members, options.hidden, seed)
    _optimise(net, fitted, encoded, tf.constant(targets), options, seed)
    centre = encoded.numpy().mean(axis=0, dtype=np.float64).astype(np.float32)
    return Trained(method, constants, fitted, net, assemble(net, fitted, constants), centre)


def conform(
    trained: Trained, inputs: NDArray[np.float32], targets: NDArray[np.float32], coverage: float
) -> tuple[Trained, float]:
    """Return the net with its interval widened to cover rows it was not trained on, and by how much.

    Conformalised quantile regression (Romano, Patterson and Candes 2019), on the scale of log1p: what is
    added to both sides is the quantile of how far outside its interval each row lies.

    Args:
        trained: with an interval.
        inputs: shape [rows, features].
        targets: spend, shape [rows, 1].
        coverage: the share of rows that is to lie inside.
    """
    bounds = np.log1p(trained.predict(inputs)[:, 1:].astype(np.float64))
    spend = np.log1p(np.maximum(targets[:, 0], 0))
    outside = np.maximum(bounds[:, 0] - spend, spend - bounds[:, 1])
    by = float(np.quantile(outside, min(1.0, coverage * (1 + 1 / len(outside))), method="higher"))
    return replace(trained, model=assemble(trained.net, trained.likelihood, trained.preprocessing, by)), by


def settle(options: Options, method: Method, rows: int) -> Options:
    """Return the options with what the method and the number of rows decide."""
    few = rows < FEW_ROWS
    return replace(
        options,
        rate=options.rate or (1e-2 if method == "additive" else 2e-3),
        batch=options.batch or (256 if few else 512),
        epochs=options.epochs or (30 if few else 12),
    )


def _optimise(net: Net, likelihood: Likelihood, encoded: Any, targets: Any, options: Options, seed: int) -> None:
    rows = len(targets)
    optimizer = build_optimizer(net.decayed, net.undecayed, options, rows)
    variables = net.decayed + net.undecayed
    units = None if net.kernel is None else options.members * options.hidden

    @tf.function  # type: ignore[untyped-decorator]
    def run_epoch(order: Any, epoch: Any) -> None:
        for start in tf.range(0, rows, options.batch):
            chosen = order[start : start + options.batch]
            columns, outcome = tf.gather(encoded, chosen), tf.gather(targets, chosen)
            with tf.GradientTape() as tape:
                keep = _dropout(tf.shape(chosen)[0], units, options.dropout, (seed, epoch * rows + start))
                loss = likelihood.loss(outcome, members_of(net, columns, keep))
            optimizer.apply(tape.gradient(loss, variables), variables)

    shuffle = np.random.default_rng(seed)
    for epoch in range(options.epochs or 0):
        run_epoch(tf.constant(shuffle.permutation(rows)), tf.constant(epoch))


def build_optimizer(decayed: Sequence[Any], undecayed: Sequence[Any], options: Options, rows: int) -> Any:
    """Return AdamW with a rising, then falling rate.

    Args:
        decayed: the variables on which weight decay acts.
        undecayed: the others.
        options: none of them None, see `settle`.
        rows: how many are trained on.
    """
    steps = -(-rows // (options.batch or 1)) * (options.epochs or 1)
    warm_up = min(options.warm_up, steps // 4)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - warm_up, warmup_target=options.rate, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=options.decay, beta_2=0.99, clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_list=list(undecayed))
    optimizer.build([*decayed, *undecayed])
    return optimizer


def _dropout(rows: Any, units: int | None, share: float, seed: Any) -> Any:
    if units is None or not share:
        return None
    drawn = tf.random.stateless_uniform((rows, units), seed)
    return tf.cast(drawn >= share, tf.float32) / (1 - share)
