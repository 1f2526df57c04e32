"""activations.py compiled: plain arithmetic, so that the compiler computes many samples at once; written once for both
dtypes.

sigmoid and tanh come from one exponential: x = k log(2) / 2 + y with |y| <= log(2) / 4, so exp(2x) = 2^k exp(2y),
where tanh(y) = p / q is Pade's approximant and exp(2y) = (q + p) / (q - p). Both curves are then one fraction, that
is one division, of products of p, q and 2^k that keep every digit: of exp(x) in saturation, of tanh(x) near zero,
where small initial weights live. Results are within 8 units in the last place wherever they are normal numbers, and 0
where exp(x) would not be normal.
"""

from math import copysign, log

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload, register_jitable

from shallowexp.network import activations

SIGMOID, TANH, PIECEWISE_LINEAR, SOFTMAX = range(
    4
)  # piecewise_linear: z for z > 0, below that z times a slope, and a derivative at 0
CODES = {
    activations.Sigmoid: SIGMOID,
    activations.Tanh: TANH,
    activations.ReLU: PIECEWISE_LINEAR,
    activations.LeakyReLU: PIECEWISE_LINEAR,
    activations.Identity: PIECEWISE_LINEAR,
}

# Reassociation would undo the rounding to k below, and only a sum over samples needs it to be vectorised. nnan and ninf
# would hide a network that diverges, so nobody gets them.
SAFE = {"error_model": "numpy", "fastmath": {"contract", "nsz", "arcp"}}
compiled = njit(nogil=True, **SAFE)
summing = njit(nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"})


def exponential(x: float) -> float:
    """exp(x), for x <= 0."""


def sigmoid(x: float) -> float:
    """1 / (1 + exp(-x))."""


def tanh(x: float) -> float:
    """(exp(2x) - 1) / (exp(2x) + 1)."""


def sigmoid_slope(x: float) -> float:
    """e / (1 + e)^2 with e = exp(-|x|)."""


def tanh_slope(x: float) -> float:
    """4 e / (1 + e)^2 with e = exp(-2 |x|)."""


def _curves(real, integer, above: tuple[int, ...], below: tuple[int, ...], log2: tuple[float, float]):
    """The functions for one floating-point type, whose constants are fixed here.

    tanh(y) = y `above`(y^2) / `below`(y^2), polynomials from the highest power down. `log2` is log(2) in two parts, the
    first with so few bits that its product with k is exact.
    """
    info = np.finfo(real)
    lowest = real((info.minexp - 0.9) * log(2) / 2)  # k is then below the smallest exponent, and all bits of 2^k are 0
    highest = real((info.nmant + 5) * log(2) / 2)  # 2^k + 1 = 2^k - 1, tanh is 1
    mantissa = integer(info.nmant)
    rounder = real(
        1.5 * 2**info.nmant + info.maxexp - 1
    )  # adding it rounds to k and leaves the bits of 2^k's exponent lowest
    doublings, high, low = real(2 / log(2)), real(log2[0] / 2), real(log2[1] / 2)
    half, one, four = real(0.5), real(1), real(4)
    above, below = (tuple(map(real, coefficients)) for coefficients in (above, below))
    (first_above, *above), (first_below, *below) = above, below
    above, below = tuple(above), tuple(below)

    @register_jitable(**SAFE)
    def parts(x):
        """p, q and 2^k, for x from `lowest` to `highest`."""
        shifted = x * doublings + rounder
        k = shifted - rounder
        y = (x - k * high) - k * low
        square = y * y
        p, q = first_above, first_below
        for coefficient in above:
            p = p * square + coefficient
        for coefficient in below:
            q = q * square + coefficient
        return p * y, q, real(integer(real(shifted).view(integer) << mantissa).view(real))

    @register_jitable(**SAFE)
    def exponential(x):
        x = half * x
        p, q, power = parts(lowest if x < lowest else x)  # this way round, NaN stays NaN
        return power * ((q + p) / (q - p))

    @register_jitable(**SAFE)
    def sigmoid(x):
        size = -half * abs(x)
        p, q, power = parts(lowest if size < lowest else size)
        up = power * (q + p)
        smaller = up / (up + (q - p))
        return smaller if x < 0 else one - smaller

    @register_jitable(**SAFE)
    def tanh(x):
        size = abs(x)
        p, q, power = parts(highest if size > highest else size)
        more, less = power + one, power - one
        return copysign((p * more + q * less) / (q * more + p * less), x)

    @register_jitable(**SAFE)
    def tanh_slope(x):
        x = -abs(x)
        p, q, power = parts(lowest if x < lowest else x)
        up, down = q + p, q - p
        share = one / (down + power * up)
        return four * (power * (up * share) * (down * share))

    @register_jitable(**SAFE)
    def sigmoid_slope(x):
        return tanh_slope(half * x) / four

    return {
        "exponential": exponential,
        "sigmoid": sigmoid,
        "tanh": tanh,
        "sigmoid_slope": sigmoid_slope,
        "tanh_slope": tanh_slope,
    }


_CURVES = {
    types.float32: _curves(np.float32, np.int32, (1, 15), (6, 15), log2=(0.693359375, -2.1219444005469057e-4)),
    types.float64: _curves(
        np.float64,
        np.int64,
        (21, 1260, 10395),
        (1, 210, 4725, 10395),
        log2=(6.93147180369123816490e-1, 1.90821492927058770002e-10),
    ),
}


def _compile(function) -> None:
    overload(function, jit_options=SAFE)(lambda x: _CURVES[x][function.__name__])


for _function in (exponential, sigmoid, tanh, sigmoid_slope, tanh_slope):
    _compile(_function)


@intrinsic
def full_width(typingctx):
    """Let the function that calls this use the widest vectors that there are: LLVM prefers half of AVX-512's."""

    def codegen(context, builder, signature, arguments):
        set.add(
            builder.function.attributes, '"prefer-vector-width"="512"'
        )  # llvmlite's own `add` supports no such words
        return context.get_dummy_value()

    return types.void(), codegen


def normal(x: float) -> float:
    """Products of numbers from this size and numbers from eps are normal."""


@overload(normal)
def _normal(x):
    info = np.finfo(str(x))
    smallest = info.dtype.type(info.tiny / info.eps)
    return lambda x: smallest


@register_jitable(**SAFE)
def piecewise_linear(z, piece_slopes):
    """z or piece_slopes[0] z; an infinite z of ReLU is still 0 below, and NaN stays NaN."""
    zero, one = type(z)(0), type(z)(1)
    return zero if z < zero and piece_slopes[0] == zero else z * (one if z > zero else piece_slopes[0])


@register_jitable(**SAFE)
def piecewise_linear_slope(z, piece_slopes):
    zero, one = type(z)(0), type(z)(1)
    return one if z > zero else (piece_slopes[0] if z < zero else piece_slopes[1])


def _elementwise(of_sigmoid, of_tanh, of_piecewise_linear):
    @compiled
    def apply(code, piece_slopes, Z, A):
        for j in range(len(Z)):
            z, a = Z[j], A[j]
            if code == SIGMOID:
                for s in range(len(z)):
                    a[s] = of_sigmoid(z[s])
            elif code == TANH:
                for s in range(len(z)):
                    a[s] = of_tanh(z[s])
            else:
                for s in range(len(z)):
                    a[s] = of_piecewise_linear(z[s], piece_slopes)

    return apply


# (code, piece_slopes, Z, A): A = g(Z), and A = g'(Z) with every digit right, as it is reported; `piece_slopes` holds a piecewise_linear
# activation's slope below 0 and derivative at 0. A may be Z.
activate = _elementwise(sigmoid, tanh, piecewise_linear)
slopes = _elementwise(sigmoid_slope, tanh_slope, piecewise_linear_slope)


@compiled
def softmax(Z, A):
    """A = exp(Z) / sum over rows exp(Z)."""
    full_width()
    rows, width = Z.shape
    top, total = Z[0].copy(), np.zeros(width, Z.dtype)
    for c in range(1, rows):
        for s in range(width):
            top[s] = Z[c, s] if Z[c, s] > top[s] else top[s]
    for c in range(rows):
        for s in range(width):
            A[c, s] = exponential(Z[c, s] - top[s])
            total[s] += A[c, s]
    for c in range(rows):
        for s in range(width):
            A[c, s] /= total[s]
