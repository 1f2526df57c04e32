"""activations.py compiled: plain arithmetic, so that the compiler computes many samples at once, for both dtypes.

sigmoid and tanh come from one exponential: x = k log(2) / 2 + y with |y| <= log(2) / 4, so exp(2x) = 2^k exp(2y),
where tanh(y) = p / q is Pade's approximant and exp(2y) = (q + p) / (q - p). Both curves are then one fraction, that
is one division, of products of p, q and 2^k that keep every digit: of exp(x) in saturation, of tanh(x) near zero,
where small initial weights live. Results are within 8 units in the last place wherever they are normal numbers, and 0
where exp(x) would not be normal.
"""

from collections.abc import Callable
from math import log
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload, register_jitable

from shallowexp.network import activations

SIGMOID, TANH, PIECEWISE_LINEAR, SOFTMAX = 0, 1, 2, 3  # piecewise linear: z above 0, z times a slope below
GRADIENT_DESCENT, MOMENTUM, ADAM = range(3)
CODES: dict[type[activations.Activation], int] = {
    activations.Sigmoid: SIGMOID,
    activations.Tanh: TANH,
    activations.ReLU: PIECEWISE_LINEAR,
    activations.LeakyReLU: PIECEWISE_LINEAR,
    activations.Identity: PIECEWISE_LINEAR,
}
Slopes = tuple[np.floating, np.floating]  # of a piecewise linear activation: its slope below 0, its derivative at 0
Curve = Callable[[np.floating], np.floating]
PieceCurve = Callable[[np.floating, Slopes], np.floating]
F = TypeVar("F", bound=Callable[..., object])

# Reassociation would undo the rounding to k below, and only a sum over samples needs it to be vectorised. nnan and ninf
# would hide a network that diverges, so nobody gets them.
SAFE = {"contract", "nsz", "arcp"}


def inner(**options: Any) -> Callable[[F], F]:
    """For what compiled code alone calls: ways in from Python would take as long to compile as what they lead to."""
    options |= {"nogil": True, "error_model": "numpy", "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return cast(Callable[[F], F], njit(**options))


# Without Numba's runtime nothing is allocated, and no reference to an array counted: a fifth of a small network's step.
compiled = inner(fastmath=SAFE)
uncounted = inner(fastmath=SAFE, _nrt=False)
part = inner(fastmath=SAFE, _nrt=False, forceinline=True)  # of what calls it
summing = inner(fastmath={"contract", "nsz", "reassoc"}, _nrt=False)


def inlined(function: F) -> F:
    """For what compiled code calls for each sample."""
    return register_jitable(error_model="numpy", fastmath=SAFE)(function)


class KernelSpec(NamedTuple):
    """What a job chooses, in numbers that compiled code can switch on."""

    hidden_size: int
    activation: int
    piece_slopes: Slopes  # in the job's dtype
    max_slope: float  # negative where there is none
    signs: bool  # units are the same up to sign
    scales: bool  # and up to scale
    output: int
    output_piece_slopes: Slopes
    entropy: bool
    task: int
    optimizer: int
    decays: tuple[float, float]  # of what the optimizer remembers
    epsilon: float
    batch_size: int  # 0: all samples


class Constants(NamedTuple):
    """What the curves need of one floating-point type, in numbers of that type."""

    lowest: np.floating  # k is then below the smallest exponent, and all bits of 2^k are 0
    highest: np.floating  # 2^k + 1 = 2^k - 1, tanh is 1
    rounder: np.floating  # adding it rounds to k and leaves the bits of 2^k's exponent lowest
    doublings: np.floating  # 2 / log(2)
    high: np.floating  # log(2) / 2 in two parts, this one with so few bits that its product with k is exact
    low: np.floating
    above: tuple[np.floating, ...]  # tanh(y) = y above(y^2) / below(y^2): polynomials from the highest power down
    below: tuple[np.floating, ...]
    normal: np.floating  # products of numbers from this size and numbers from eps are normal


def _constants(
    real: type[np.floating], above: tuple[int, ...], below: tuple[int, ...], log2: tuple[float, float]
) -> Constants:
    info = np.finfo(real)
    return Constants(
        lowest=real((info.minexp - 0.9) * log(2) / 2),
        highest=real((info.nmant + 5) * log(2) / 2),
        rounder=real(1.5 * 2**info.nmant + info.maxexp - 1),
        doublings=real(2 / log(2)),
        high=real(log2[0] / 2),
        low=real(log2[1] / 2),
        above=tuple(map(real, above)),
        below=tuple(map(real, below)),
        normal=real(info.tiny / info.eps),
    )


CONSTANTS = {
    "float32": _constants(np.float32, (1, 15), (6, 15), log2=(0.693359375, -2.1219444005469057e-4)),
    "float64": _constants(
        np.float64,
        (21, 1260, 10395),
        (1, 210, 4725, 10395),
        log2=(6.93147180369123816490e-1, 1.90821492927058770002e-10),
    ),
}


def _power(real: type[np.floating], integer: type[np.signedinteger]) -> Curve:
    mantissa = integer(np.finfo(real).nmant)

    def power(shifted: Any) -> Any:
        return real(integer(real(shifted).view(integer) << mantissa).view(real))

    return power


POWERS = {"float32": _power(np.float32, np.int32), "float64": _power(np.float64, np.int64)}


def constants(x: Any) -> Constants:
    """Those of x's type."""
    return CONSTANTS[x.dtype.name]


def power(shifted: Any) -> Any:
    """2^k, from k + `rounder`, whose lowest bits are those of 2^k's exponent."""
    return POWERS[shifted.dtype.name](shifted)


# What compiled code takes in their place: for the type of x alone, found while it is compiled. Numba compares the
# annotations of an overload with those of the function that it returns, so both are Any.
@overload(constants)
def _constants_of_type(x: Any) -> Callable[[Any], Constants]:
    found = CONSTANTS[str(x)]

    def constants(x: Any) -> Constants:
        return found

    return constants


@overload(power)
def _power_of_type(shifted: Any) -> Curve:
    return POWERS[str(shifted)]


@inlined
def parts(x: np.floating) -> tuple[np.floating, np.floating, np.floating]:
    """p, q and 2^k, for x from `lowest` to `highest`."""
    c = constants(x)
    shifted = x * c.doublings + c.rounder
    k = shifted - c.rounder
    y = (x - k * c.high) - k * c.low
    square = y * y
    p, q = c.above[0], c.below[0]
    for coefficient in c.above[1:]:
        p = p * square + coefficient
    for coefficient in c.below[1:]:
        q = q * square + coefficient
    return p * y, q, power(shifted)


@inlined
def exponential(x: np.floating) -> np.floating:
    """exp(x), for x <= 0."""
    c = constants(x)
    x = type(x)(0.5) * x
    p, q, twos = parts(c.lowest if x < c.lowest else x)  # this way round, NaN stays NaN
    return twos * ((q + p) / (q - p))


@inlined
def sigmoid(x: np.floating) -> np.floating:
    """1 / (1 + exp(-x))."""
    c, one = constants(x), type(x)(1)
    size = type(x)(-0.5) * abs(x)
    p, q, twos = parts(c.lowest if size < c.lowest else size)
    up = twos * (q + p)
    smaller = up / (up + (q - p))
    return smaller if x < 0 else one - smaller


@inlined
def tanh(x: np.floating) -> np.floating:
    """(exp(2x) - 1) / (exp(2x) + 1)."""
    c, size, one = constants(x), abs(x), type(x)(1)
    p, q, twos = parts(c.highest if size > c.highest else size)
    more, less = twos + one, twos - one
    return np.copysign((p * more + q * less) / (q * more + p * less), x)


@inlined
def tanh_slope(x: np.floating) -> np.floating:
    """4 e / (1 + e)^2 with e = exp(-2 |x|)."""
    c, one, four = constants(x), type(x)(1), type(x)(4)
    x = -abs(x)
    p, q, twos = parts(c.lowest if x < c.lowest else x)
    up, down = q + p, q - p
    fraction = one / (down + twos * up)
    return four * (twos * (up * fraction) * (down * fraction))


@inlined
def sigmoid_slope(x: np.floating) -> np.floating:
    """e / (1 + e)^2 with e = exp(-|x|)."""
    return tanh_slope(type(x)(0.5) * x) / type(x)(4)


@inlined
def piecewise_linear(z: np.floating, piece_slopes: Slopes) -> np.floating:
    """z or piece_slopes[0] z; an infinite z of ReLU is still 0 below, and NaN stays NaN."""
    zero, one = type(z)(0), type(z)(1)
    return zero if z < zero and piece_slopes[0] == zero else z * (one if z > zero else piece_slopes[0])


@inlined
def piecewise_linear_slope(z: np.floating, piece_slopes: Slopes) -> np.floating:
    zero, one = type(z)(0), type(z)(1)
    return one if z > zero else (piece_slopes[0] if z < zero else piece_slopes[1])


@intrinsic
def _full_width(typingctx: Any) -> tuple[Any, Callable[..., Any]]:
    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')  # llvmlite's own `add` has no such words
        return context.get_dummy_value()

    return types.void(), codegen


# Let the function that calls this use the widest vectors that there are: LLVM prefers half of AVX-512's.
full_width = cast(Callable[[], None], _full_width)  # Numba's types count `typingctx` as an argument of the call


def _elementwise(
    of_sigmoid: Curve, of_tanh: Curve, of_piecewise_linear: PieceCurve
) -> Callable[[int, Slopes, np.ndarray, np.ndarray], None]:
    @uncounted
    def apply(code: int, piece_slopes: Slopes, Z: np.ndarray, A: np.ndarray) -> None:
        full_width()
        for j in range(len(A)):
            if code == SIGMOID:
                for s in range(A.shape[1]):
                    A[j, s] = of_sigmoid(Z[j, s])
            elif code == TANH:
                for s in range(A.shape[1]):
                    A[j, s] = of_tanh(Z[j, s])
            else:
                for s in range(A.shape[1]):
                    A[j, s] = of_piecewise_linear(Z[j, s], piece_slopes)

    return apply


# (code, piece_slopes, Z, A): A = g(Z), and A = g'(Z) with every digit right, as it is reported, for A's rows. A may be Z.
activate = _elementwise(sigmoid, tanh, piecewise_linear)
slopes = _elementwise(sigmoid_slope, tanh_slope, piecewise_linear_slope)


@uncounted
def softmax(Z: np.ndarray, A: np.ndarray, room: np.ndarray) -> None:
    """A = exp(Z) / sum over rows exp(Z), for A's rows; two rows of `room` are overwritten."""
    full_width()
    rows, width = A.shape
    for s in range(width):
        room[0, s], room[1, s] = Z[0, s], 0
    for c in range(1, rows):
        for s in range(width):
            room[0, s] = Z[c, s] if Z[c, s] > room[0, s] else room[0, s]
    for c in range(rows):
        for s in range(width):
            A[c, s] = exponential(Z[c, s] - room[0, s])
            room[1, s] += A[c, s]
    for c in range(rows):
        for s in range(width):
            A[c, s] /= room[1, s]
