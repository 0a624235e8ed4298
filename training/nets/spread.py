"""The spread of a probability: how much it depends on which rows a net happened to learn from.

Of an ensemble it is the standard deviation over the members (Lakshminarayanan et al. 2017, "Simple and scalable
predictive uncertainty estimation using deep ensembles"). The additive net has one member: a bag of further additive
nets is trained, each on its own bootstrap draw of the rows (Breiman 1996, "Bagging predictors"), and the spread is the
standard deviation over them. The bag is part of the graph and changes no score.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from training.nets.architecture import Bag, assemble, encode
from training.nets.backend import keras, tf
from training.nets.fit import build_optimizer, settle

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.nets.fit import Options, Trained

ops = keras.ops
MEMBERS = 8


def add_spread(
    trained: Trained, inputs: NDArray[np.float32], targets: NDArray[np.float32], options: Options, seed: int
) -> Trained:
    """Return a net of probabilities with the spread of each score; its scores stay the same, bit for bit.

    Args:
        trained: the net.
        inputs: what it was trained on, shape [rows, features].
        targets: shape [rows, outputs].
        options: how it was trained.
        seed: of the draws.
    """
    bag = _fit_bag(trained, inputs, targets, options, seed) if trained.net.kernel is None else None
    model = assemble(trained.net, trained.likelihood, trained.preprocessing, has_spread=True, bag=bag)
    return replace(trained, model=model, spreads=trained.outputs, bag=bag)


def _fit_bag(
    trained: Trained, inputs: NDArray[np.float32], targets: NDArray[np.float32], options: Options, seed: int
) -> Bag:
    """Train the nets of the bag side by side, each as the additive net was."""
    rows, options = len(inputs), settle(options, "additive", len(inputs))
    encoded, outcomes, likelihood = encode(inputs, trained.preprocessing), tf.constant(targets), trained.likelihood
    parameters = len(likelihood.level)
    skips = keras.Variable(np.zeros((MEMBERS, encoded.shape[1], parameters), np.float32))
    level = keras.Variable(np.tile(likelihood.level, (MEMBERS, 1)).astype(np.float32))
    optimizer = build_optimizer([skips], [level], options, rows)

    @tf.function  # type: ignore[untyped-decorator]
    def run_epoch(order: Any) -> None:
        for start in tf.range(0, rows, options.batch):
            chosen = order[:, start : start + options.batch]
            with tf.GradientTape() as tape:
                said = ops.matmul(tf.gather(encoded, chosen), skips) + level[:, None, :]
                # Each row of each net counts as a row of one member.
                loss = likelihood.loss(
                    ops.reshape(tf.gather(outcomes, chosen), (-1, targets.shape[1])),
                    ops.reshape(said, (-1, 1, parameters)),
                )
            optimizer.apply(tape.gradient(loss, [skips, level]), [skips, level])

    generator = np.random.default_rng(seed)
    drawn = generator.integers(rows, size=(MEMBERS, rows))
    for _ in range(options.epochs or 0):
        run_epoch(tf.constant(generator.permuted(drawn, axis=1)))
    return Bag(skips, level)
