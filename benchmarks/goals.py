"""What the project wants of its speed, as few numbers: most of them ratios, which hold on other machines too."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.results import Result

KERNEL, JAX, SCIKIT_LEARN = "shallowexp kernel", "JAX, jit of vmap of scan, warm", "scikit-learn MLPClassifier"
END_TO_END, GROWTH, TRACKING = (
    "end to end, 480 runs",
    "growth, runs of 200 steps",
    "tracking, SQLite, 8 metrics x 20 points",
)
PARTS = "where the time goes, 480 runs"
START_UP, HELP = "start-up", "shallowexp --help"
PEAK = "multiply-adds alone, on all cores"
MULTIPLY_ADDS = 158  # of the digits, for a unit and sample: 2 (64 + 10), and a few for the activation
FIELD = "field: flower, 4 tanh units, 200 steps, float32"
FRAME, FIXED = "as a field / kernel alone", "a step beside its samples"
PREVIEW, MILLION = "60 x 60, whole command", "1,000 x 1,000, whole command"
ORDINARY = "basic launcher + fluent API, from 6 and 24 runs"


@dataclass(frozen=True)
class Goal:
    what: str
    of: Callable[[Result], float | None]
    goal: float
    unit: str = "×"
    at_most: bool = False

    def met(self, result: Result) -> str:
        value = self.of(result)
        if value is None:
            return "not measured"
        return "yes" if (value <= self.goal if self.at_most else value >= self.goal) else "no"

    def measured(self, result: Result) -> str:
        value = self.of(result)
        return "" if value is None else f"{value:.3g} {self.unit}"

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.goal:g} {self.unit}"


def of(benchmark: str, what: str, column: str = "median") -> Callable[[Result], float | None]:
    return lambda result: result.value(benchmark, what, column)


def speed(data: str, dtype: str, peer: str) -> Callable[[Result], float | None]:
    """How many times as long as the kernel a peer takes to train the same networks, with tanh."""
    return of(f"training, {data}, tanh, {dtype}", peer, "times_the_kernel")


def of_the_peak(dtype: str) -> Callable[[Result], float | None]:
    """How many times as long as its multiply-adds alone the kernel takes on the digits, with tanh."""

    def times(result: Result) -> float | None:
        whole = result.value(f"training, digits, tanh, {dtype}", KERNEL)
        alone = result.value(PEAK, dtype, "min")
        return whole / (MULTIPLY_ADDS * alone) if whole and alone else None

    return times


def growth(result: Result) -> float | None:
    many, few = (result.value(GROWTH, f"{runs} runs", "ms_per_run") for runs in (10000, 300))
    return many / few if many and few else None


GOALS = (
    Goal("kernel against JAX, warm: flower, float32", speed("flower", "float32", JAX), 3.5),
    Goal("kernel against JAX, warm: flower, float64", speed("flower", "float64", JAX), 3.7),
    Goal("kernel against JAX, warm: digits, float32", speed("digits", "float32", JAX), 1.8),
    Goal("kernel against JAX, warm: digits, float64", speed("digits", "float64", JAX), 1.8),
    Goal("kernel against its multiply-adds alone: digits, float32", of_the_peak("float32"), 1.5, at_most=True),
    Goal("kernel against its multiply-adds alone: digits, float64", of_the_peak("float64"), 1.5, at_most=True),
    Goal("kernel against scikit-learn: flower, float32", speed("flower", "float32", SCIKIT_LEARN), 80),
    Goal("480 runs, whole command, against basic launcher and fluent API", of(END_TO_END, "ratio"), 30),
    Goal("tracking against `log_batch`", of(TRACKING, "ratio"), 10),
    Goal("tracking, a run", of(TRACKING, "in bulk"), 5, "ms", at_most=True),
    Goal("10,000 runs: time per run against that of 300", growth, 1.3, at_most=True),
    Goal("10,000 runs: peak memory", of(GROWTH, "10000 runs", "memory_mib"), 1536, "MiB", at_most=True),
    Goal("`shallowexp --help`", of(START_UP, HELP), 1.5, "s", at_most=True),
    Goal("field of 1,000,000 networks, whole command", of(FIELD, MILLION), 180, "s", at_most=True),
    Goal("field of 1,000,000 networks: peak memory", of(FIELD, MILLION, "memory_mib"), 1024, "MiB", at_most=True),
    Goal("field: a pixel against the kernel alone", of(FIELD, FRAME), 1.2, at_most=True),
    Goal("field: a step beside its samples", of(FIELD, FIXED), 0.4, "µs", at_most=True),
    Goal("field of 60 x 60, whole command", of(FIELD, PREVIEW), 10, "s", at_most=True),
)
