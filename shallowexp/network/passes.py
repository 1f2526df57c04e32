"""The chapter's page (sections 6.2 and 6.3): one network with one hidden layer, in the chapter's notation.

Columns are samples: X = A0 is (n_x, m). This is the definition; `training/kernel.py` computes the same for many networks, fast.
`product` multiplies two matrices. `exact` treats every row alike, so that identical hidden units stay identical to the
last bit. With `operator.matmul`, the chapter's `@`, they can drift apart: BLAS rounds the last rows of a block differently.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from shallowexp.network.activations import Activation
from shallowexp.network.initializers import Parameters
from shallowexp.network.optimizers import GRADIENT_DESCENT, Optimizer, batches
from shallowexp.network.outputs import Output

Function = Callable[[np.ndarray], np.ndarray]  # g of Z, of its shape
Product = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (i, j), (j, k) -> (i, k)


class Forward(NamedTuple):
    Z1: np.ndarray  # (n_h, m)
    A1: np.ndarray  # (n_h, m)
    Z2: np.ndarray  # (n_y, m)


def exact(A: np.ndarray, B: np.ndarray) -> np.ndarray:
    """A B, every entry as the same sum in the same order: equal rows of A give rows that are equal to the last bit."""
    return np.einsum("ij,jk->ik", A, B)


def forward(X: np.ndarray, parameters: Parameters, g: Function, product: Product = exact) -> Forward:
    """Z1 = W1 X + b1, A1 = g(Z1), Z2 = W2 A1 + b2 (6.2); A2 is the output's activation of Z2.

    Two units of ReLU compute |x - 2|, here of one feature and three samples:

        >>> X, W1, b1 = np.array([[1.0, 2.0, 5.0]]), np.array([[1.0], [-1.0]]), np.array([[-2.0], [2.0]])
        >>> forward(X, Parameters(W1, b1, W2=np.ones((1, 2)), b2=np.zeros((1, 1))), g=lambda Z: np.maximum(Z, 0)).Z2
        array([[1., 0., 3.]])
    """
    W1, b1, W2, b2 = parameters
    Z1 = product(W1, X) + b1
    A1 = g(Z1)
    Z2 = product(W2, A1) + b2
    return Forward(Z1, A1, Z2)


def forward_by_sample(X: np.ndarray, parameters: Parameters, g: Function) -> Forward:
    """The same, sample by sample and unit by unit: the loop of 6.2.1 that vectorisation replaces."""
    W1, b1, W2, b2 = parameters
    (n_h, n_x), n_y, m = W1.shape, len(W2), X.shape[1]
    Z1, A1, Z2 = np.zeros((n_h, m)), np.zeros((n_h, m)), np.zeros((n_y, m))
    for i in range(m):
        for j in range(n_h):
            Z1[j, i] = sum(W1[j, k] * X[k, i] for k in range(n_x)) + b1[j, 0]
            A1[j, i] = g(Z1[j, i])
        for j in range(n_y):
            Z2[j, i] = sum(W2[j, k] * A1[k, i] for k in range(n_h)) + b2[j, 0]
    return Forward(Z1, A1, Z2)


def backward(
    X: np.ndarray,
    Y: np.ndarray,
    parameters: Parameters,
    cache: Forward,
    g: Activation,
    output: Output,
    product: Product = exact,
) -> Parameters:
    """The gradients dW1, db1, dW2, db2 of J, each in its parameter's shape and place (6.3)."""
    m = X.shape[1]
    dZ2 = output.dZ2(cache.Z2, Y)  # (n_y, m)
    dW2 = product(dZ2, cache.A1.T) / m
    db2 = dZ2.sum(axis=1, keepdims=True) / m
    dA1 = product(parameters.W2.T, dZ2)
    dZ1 = dA1 * g.derivative(cache.Z1)  # (n_h, m)
    dW1 = product(dZ1, X.T) / m
    db1 = dZ1.sum(axis=1, keepdims=True) / m
    return Parameters(dW1, db1, dW2, db2)


def update(parameters: Parameters, directions: Parameters, learning_rate: float) -> Parameters:
    """W := W - eta dW, b := b - eta db (6.3), where the directions are the gradients."""
    return Parameters(*(p - learning_rate * dp for p, dp in zip(parameters, directions, strict=True)))


def gradient_descent(
    X: np.ndarray,
    Y: np.ndarray,
    parameters: Parameters,
    g: Activation,
    output: Output,
    learning_rate: float,
    product: Product = exact,
    optimizer: Optimizer = GRADIENT_DESCENT,
    batch_size: int | None = None,
    seed: int = 0,
) -> Iterator[tuple[Parameters, Forward, Parameters]]:
    """Descent without end: at step s the parameters after s updates, and the forward pass and the gradients of the samples
    that step s sees: all of them, or `batch_size` in an order that `seed` draws.
    """
    memories = [(np.zeros_like(p),) * optimizer.memories for p in parameters]
    for t, (inputs, targets) in enumerate(batches(X, Y, batch_size, seed), start=1):
        cache = forward(inputs, parameters, g, product)
        gradients = backward(inputs, targets, parameters, cache, g, output, product)
        yield parameters, cache, gradients
        moves = [optimizer(dp, memory, t) for dp, memory in zip(gradients, memories, strict=True)]
        memories = [memory for _, memory in moves]
        parameters = update(parameters, Parameters(*(direction for direction, _ in moves)), learning_rate)
