"""activations.py compiled: plain arithmetic, so that the compiler computes many samples at once; written once for both dtypes.

sigmoid and tanh come from one exponential of a number that is never positive: x = k log 2 + r with |r| <= log(2) / 2, then
exp(x) - 1 = 2^k (exp(r) - 1) + (2^k - 1), with Taylor's polynomial for exp(r) - 1. Keeping exp(x) and exp(x) - 1 apart costs
next to nothing and keeps every digit: of exp(x) in saturation, of exp(x) - 1 near zero, where small initial weights live.
Their results are within 8 units in the last place wherever they are normal numbers, and 0 where exp(x) would not be normal.
"""

from math import copysign, factorial, log

import numpy as np
from numba import njit, types
from numba.extending import overload, register_jitable

from shallowexp import activations

SIGMOID, TANH, RELU, LEAKY_RELU, IDENTITY, SOFTMAX = range(6)
CODES = {
    activations.Sigmoid: SIGMOID,
    activations.Tanh: TANH,
    activations.ReLU: RELU,
    activations.LeakyReLU: LEAKY_RELU,
    activations.Identity: IDENTITY,
}

# Reassociation would undo the rounding to k below, and only a sum over samples needs it to be vectorised. nnan and ninf would
# hide a network that diverges, so nobody gets them.
SAFE = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}
compiled = njit(nogil=True, **SAFE)
summing = njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})


def exponential(x: float) -> tuple[float, float]:
    """exp(x) and exp(x) - 1, for x <= 0."""


def sigmoid(x: float) -> tuple[float, float]:
    """a = 1 / (1 + exp(-x)) and a (1 - a)."""


def tanh(x: float) -> tuple[float, float]:
    """a = tanh(x) and 1 - a^2."""


def _curves(real, integer, terms: int, log2: tuple[float, float]):
    """The three functions for one floating-point type, whose constants are fixed here.

    `log2` is log(2) in two parts, the first with so few bits that its product with k is exact.
    """
    info = np.finfo(real)
    lowest = real((info.minexp - 0.9) * log(2))  # k is then below the smallest exponent, and all bits of 2^k are 0
    rounder = real(1.5 * 2**info.nmant)  # adding it rounds to an integer and leaves that in the low bits
    rounder_bits, bias, mantissa = rounder.view(integer), integer(info.maxexp - 1), integer(info.nmant)
    log2e, high, low = real(1 / log(2)), *map(real, log2)
    one, two, four = real(1), real(2), real(4)
    first, *others = (real(1 / factorial(n)) for n in range(terms, 1, -1))
    others = tuple(others)

    @register_jitable(**SAFE)
    def exponential(x):
        x = lowest if x < lowest else x  # this way round, NaN stays NaN
        shifted = x * log2e + rounder
        k = shifted - rounder
        r = (x - k * high) - k * low
        p = first
        for coefficient in others:
            p = p * r + coefficient
        p = p * r * r + r  # exp(r) - 1
        power = real(integer((real(shifted).view(integer) - rounder_bits + bias) << mantissa).view(real))  # 2^k
        return power * p + power, power * p + (power - one)

    @register_jitable(**SAFE)
    def sigmoid(x):
        e, _ = exponential(-abs(x))
        larger = one / (one + e)
        smaller = e * larger
        return (larger if x >= 0 else smaller), larger * smaller

    @register_jitable(**SAFE)
    def tanh(x):
        e, e_less_one = exponential(-two * abs(x))
        share = one / (two + e_less_one)
        return copysign(-e_less_one * share, x), four * e * share * share

    return {"exponential": exponential, "sigmoid": sigmoid, "tanh": tanh}


_CURVES = {
    types.float32: _curves(np.float32, np.int32, terms=7, log2=(0.693359375, -2.1219444005469057e-4)),
    types.float64: _curves(
        np.float64, np.int64, terms=13, log2=(6.93147180369123816490e-1, 1.90821492927058770002e-10)
    ),
}


@overload(exponential, jit_options=SAFE)
def _exponential(x):
    return _CURVES[x]["exponential"]


@overload(sigmoid, jit_options=SAFE)
def _sigmoid(x):
    return _CURVES[x]["sigmoid"]


@overload(tanh, jit_options=SAFE)
def _tanh(x):
    return _CURVES[x]["tanh"]


@compiled
def activate(code, bend, Z, A):
    """A = g(Z), and Z becomes g'(Z); `bend` is ReLU's derivative at zero or leaky ReLU's slope."""
    zero, one = Z.dtype.type(0), Z.dtype.type(1)
    if code == SOFTMAX:
        softmax(Z, A)
        return
    for j in range(len(Z)):
        z, a = Z[j], A[j]
        if code == SIGMOID:
            for s in range(len(z)):
                a[s], z[s] = sigmoid(z[s])
        elif code == TANH:
            for s in range(len(z)):
                a[s], z[s] = tanh(z[s])
        elif code == RELU:
            for s in range(len(z)):
                a[s] = zero if z[s] < zero else z[s]
                z[s] = one if z[s] > zero else (zero if z[s] < zero else bend)
        elif code == LEAKY_RELU:
            for s in range(len(z)):
                slope = one if z[s] > zero else bend
                a[s], z[s] = slope * z[s], slope
        else:
            for s in range(len(z)):
                a[s], z[s] = z[s], one


@compiled
def softmax(Z, A):
    """A = exp(Z) / sum over rows exp(Z); Z is left as it is."""
    rows, width = Z.shape
    top, total = Z[0].copy(), np.zeros(width, Z.dtype)
    for c in range(1, rows):
        for s in range(width):
            top[s] = Z[c, s] if Z[c, s] > top[s] else top[s]
    for c in range(rows):
        for s in range(width):
            A[c, s] = exponential(Z[c, s] - top[s])[0]
            total[s] += A[c, s]
    for c in range(rows):
        for s in range(width):
            A[c, s] /= total[s]
