"""The two nets: an additive one, and a parameter-sharing ensemble with the same linear terms.

Additive: each feature, encoded piecewise linearly, adds its own curve to the parameters of the head. The
ensemble (TabM, Gorishniy et al. 2024, "TabM: Advancing Tabular Deep Learning with Parameter-Efficient
Ensembling") adds k members of h hidden units: relu(((x * R_k) W) * S_k + B_k), all sharing W, a head each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from training.nets.backend import keras
from training.nets.likelihoods import widen
from training.nets.preprocessing import Z_AT_MOST

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from training.nets.likelihoods import Likelihood
    from training.nets.preprocessing import Preprocessing

ops = keras.ops


@dataclass(frozen=True, slots=True)
class Net:
    """The variables of a net on P encoded columns with p parameters in its head.

    Attributes:
        skip: shape [P, p], the linear terms, shared by all members; zero at the start.
        level: shape [members, p].
        kernel: shape [P, h]; for the additive net, which has one member, this and what follows are None.
        signs: shape [members, P, 1], at the start 1 or -1 at random: what makes members differ.
        scales: shape [members, 1, h].
        offsets: shape [members, h].
        heads: shape [members, h, p].
    """

    skip: Any
    level: Any
    kernel: Any = None
    signs: Any = None
    scales: Any = None
    offsets: Any = None
    heads: Any = None

    @property
    def decayed(self) -> list[Any]:
        """The variables on which weight decay acts."""
        return [self.skip] if self.kernel is None else [self.skip, self.kernel, self.heads]

    @property
    def undecayed(self) -> list[Any]:
        """The others."""
        return [self.level] if self.kernel is None else [self.level, self.signs, self.scales, self.offsets]


@dataclass(frozen=True, slots=True)
class Bag:
    """Additive nets, each trained on another draw of the rows: what gives an additive net a spread.

    Attributes:
        skips: shape [members, P, p].
        level: shape [members, p].
    """

    skips: Any
    level: Any


def additive_net(columns: int, level: NDArray[np.float32]) -> Net:
    """Return an untrained additive net, which gives every row the level, shape [p]."""
    return Net(skip=_variable(np.zeros((columns, len(level)))), level=_variable(level[None]))


def ensemble_net(columns: int, level: NDArray[np.float32], members: int, hidden: int, seed: int) -> Net:
    """Return an untrained ensemble; the same seed gives the same."""
    draw = np.random.default_rng(seed)
    parameters, reach, head_reach = len(level), columns**-0.5, hidden**-0.5
    return Net(
        skip=_variable(np.zeros((columns, parameters))),
        level=_variable(np.tile(level, (members, 1))),
        kernel=_variable(draw.uniform(-reach, reach, (columns, hidden))),
        signs=_variable(draw.choice([-1.0, 1.0], (members, columns, 1))),
        scales=_variable(np.ones((members, 1, hidden))),
        offsets=_variable(draw.uniform(-reach, reach, (members, hidden))),
        heads=_variable(draw.uniform(-head_reach, head_reach, (members, hidden, parameters))),
    )


def members_of(net: Net, encoded: Any, keep: Any = None) -> Any:
    """Return the head's parameters as each member sees them, shape [rows, members, p].

    Args:
        net: k members of h hidden units.
        encoded: shape [rows, P].
        keep: shape [rows, k * h], what hidden units are multiplied by: dropout in training.
    """
    linear = ops.matmul(encoded, net.skip)[:, None, :]
    if net.kernel is None:
        return linear + net.level
    first, last = fold(net)
    hidden = ops.relu(ops.matmul(encoded, first) + ops.reshape(net.offsets, (-1,)))
    if keep is not None:
        hidden = hidden * keep
    members, parameters = net.level.shape
    return linear + ops.reshape(ops.matmul(hidden, last), (-1, members, parameters)) + net.level


def fold(net: Net) -> tuple[Any, Any]:
    """Return the ensemble's layers as two plain ones, [P, k * h] and block-diagonal [k * h, k * p].

    ((x * R_k) W) * S_k is x times (R_k W S_k), so that all members take one product of matrices.
    """
    members, hidden, parameters = net.heads.shape
    each = net.signs * net.kernel * net.scales
    first = ops.reshape(ops.transpose(each, (1, 0, 2)), (-1, members * hidden))
    blocks = net.heads[:, :, None, :] * np.eye(members, dtype=np.float32)[:, None, :, None]
    return first, ops.reshape(blocks, (members * hidden, members * parameters))


def encode(raw: Any, constants: Preprocessing) -> Any:
    """Return features of shape [rows, f] encoded, shape [rows, P]: finite whatever they hold."""
    missing = ops.isnan(raw)
    known = ops.where(missing, constants.median, raw)
    clamped = ops.minimum(ops.maximum(known, constants.low), constants.high)
    scaled = ops.where(constants.logged, ops.log1p(ops.maximum(clamped, 0.0)), clamped)
    parts = []
    if len(constants.source):
        pieces = (ops.take(scaled, constants.source, axis=1) - constants.left) / constants.width
        z = (ops.take(scaled, constants.scored, axis=1) - constants.mean) / constants.spread
        parts = [ops.minimum(ops.maximum(pieces, 0.0), 1.0), ops.minimum(ops.maximum(z, -Z_AT_MOST), Z_AT_MOST)]
    if len(constants.category):
        distance = ops.abs(ops.take(raw, constants.category, axis=1) - constants.code)
        parts.append(ops.cast(distance < 0.5, "float32"))  # noqa: PLR2004 - codes are whole numbers
    if len(constants.flagged):
        parts.append(ops.cast(ops.take(missing, constants.flagged, axis=1), "float32"))
    return ops.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]


def assemble(
    net: Net,
    likelihood: Likelihood,
    constants: Preprocessing,
    widening: float = 0.0,
    *,
    has_spread: bool = False,
    bag: Bag | None = None,
) -> Any:
    """Return the Keras model from features to scores: encoding, folded net, head, mean of the members.

    Args:
        net: trained on the head and the constants.
        likelihood: makes scores of what the net says.
        constants: of the encoding.
        widening: of the bounds of an interval, see `likelihoods.widen`.
        has_spread: give the standard deviation of each score over the members, too: as many columns more.
        bag: the members for that, of a net that has one member.
    """
    raw = keras.Input((len(constants.median),), name="features")
    encoded = encode(raw, constants)
    members = likelihood.scores(_values(net, encoded))
    scores = ops.mean(members, axis=1)
    if widening:
        scores = widen(scores, widening)
    if has_spread:
        differing = members if bag is None else likelihood.scores(_bag_values(bag, encoded))
        scores = ops.concatenate([scores, ops.std(differing, axis=1)], axis=1)
    return keras.Model(raw, scores)


def _values(net: Net, encoded: Any) -> Any:
    """Return what `members_of` does, by Keras layers."""
    members, parameters = net.level.shape
    skip = keras.layers.Dense(parameters, use_bias=net.kernel is None, name="additive")
    linear = ops.reshape(skip(encoded), (-1, 1, parameters))
    if net.kernel is None:
        skip.set_weights([net.skip.numpy(), net.level.numpy()[0]])
        return linear
    first, last = (weights.numpy() for weights in fold(net))
    inner = keras.layers.Dense(first.shape[1], activation="relu", name="members")
    outer = keras.layers.Dense(last.shape[1], name="heads")
    values = linear + ops.reshape(outer(inner(encoded)), (-1, members, parameters))
    skip.set_weights([net.skip.numpy()])
    inner.set_weights([first, net.offsets.numpy().ravel()])
    outer.set_weights([last, net.level.numpy().ravel()])
    return values


def _bag_values(bag: Bag, encoded: Any) -> Any:
    """Return the head's parameters as each net of the bag sees them, by Keras layers."""
    members, columns, parameters = bag.skips.shape
    layer = keras.layers.Dense(members * parameters, name="bag")
    values = ops.reshape(layer(encoded), (-1, members, parameters))
    kernel = np.transpose(bag.skips.numpy(), (1, 0, 2)).reshape(columns, -1)
    layer.set_weights([kernel, np.asarray(bag.level).ravel()])
    return values


def _variable(values: NDArray[Any]) -> Any:
    return keras.Variable(values.astype(np.float32))
