"""How often a 95% interval over seeds holds the true mean, on populations of differences that really occur.

    python -m benchmarks.coverage

trains 600 fresh seeds of every network below and takes their paired differences as the population, whose mean is then known.
From each it draws 3,000 samples, asks every kind of interval, and writes the table into docs/statistics.md: two minutes.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from warnings import catch_warnings

import numpy as np
from scipy import stats

from shallowexp.network.activations import Activation, LeakyReLU, ReLU, Sigmoid, Tanh
from shallowexp.network.data import Flower
from shallowexp.network.initializers import Random
from shallowexp.network.outputs import Sigmoid as SigmoidOutput
from shallowexp.provenance import about
from shallowexp.training.engines import train
from shallowexp.training.job import Job

PAGE = Path(__file__).parent.parent / "docs" / "statistics.md"
GENERATED = re.compile(r"(?<=<!-- python -m benchmarks.coverage -->\n).*?(?=<!-- end -->)", re.DOTALL)
SEEDS = range(1000, 1600)
STEPS = (100, 1000, 3000)
DRAWS, SIZES, RESAMPLES, LEVEL = 3000, (20, 40), 999, 0.95
FAILING = 0.05
CHUNK = 100  # samples that are resampled together: memory

Network = tuple[Activation, float]  # with the scale of its initial weights
Bounds = tuple[np.ndarray, np.ndarray]  # low and high, one of each sample
CELLS: dict[str, tuple[Network, Network, int]] = {  # loss of the first minus the second, at a step
    "tanh, × 0.01 minus × 0.3": ((Tanh(), 0.01), (Tanh(), 0.3), 100),
    "tanh minus sigmoid, × 0.01": ((Tanh(), 0.01), (Sigmoid(), 0.01), 100),
    "tanh minus sigmoid, × 0.01, later": ((Tanh(), 0.01), (Sigmoid(), 0.01), 1000),
    "ReLU minus leaky ReLU, × 0.01": ((ReLU(), 0.01), (LeakyReLU(), 0.01), 1000),
    "sigmoid, × 1 minus × 0.01": ((Sigmoid(), 1.0), (Sigmoid(), 0.01), 3000),
    "tanh, × 1 minus × 0.01": ((Tanh(), 1.0), (Tanh(), 0.01), 3000),
}


def populations() -> dict[str, np.ndarray]:
    """One difference of each seed, by what differs; beside them normal ones and failures, 1 where a run fails."""
    networks = list(dict.fromkeys(network for first, second, _ in CELLS.values() for network in (first, second)))
    losses = dict(zip(networks, map(train_losses, networks), strict=True))
    found = {
        f"{name}, {step} steps": losses[first][:, STEPS.index(step)] - losses[second][:, STEPS.index(step)]
        for name, (first, second, step) in CELLS.items()
    }
    normal = stats.norm.ppf((np.arange(len(SEEDS)) + 0.5) / len(SEEDS))
    fails = (np.arange(len(SEEDS)) < FAILING * len(SEEDS)).astype(float)
    return {"normal": normal} | found | {f"{FAILING:.0%} of the runs fail, the others are equal": fails}


def train_losses(network: Network) -> np.ndarray:
    """The training loss of each seed at each of STEPS, (seeds, steps): flower, 4 hidden units, learning rate 1.2."""
    g, scale = network
    jobs = [
        Job(Flower(seed=int(f"1{seed}")), g, Random(scale), SigmoidOutput(), 4, seed, STEPS[-1], 1.2, STEPS,
            engine="compiled")
        for seed in SEEDS
    ]  # fmt: skip
    return np.array([result.history("train/loss") for result in train(jobs)])


def student(samples: np.ndarray) -> Bounds:
    """mean ± t s / sqrt(n), of each row."""
    found = stats.ttest_1samp(samples, 0, axis=1).confidence_interval(LEVEL)
    return found.low, found.high


def bootstrap_t(samples: np.ndarray) -> Bounds:
    """With the quantiles of t as the sample itself has them (Efron & Tibshirani 1993, 12.5)."""
    mean, error = samples.mean(axis=1), stats.sem(samples, axis=1)
    n, draw = samples.shape[1], np.random.default_rng(0)
    resamples = samples[:, draw.integers(n, size=(RESAMPLES, n))]  # (samples, RESAMPLES, n)
    t = (resamples.mean(axis=2) - mean[:, None]) / np.maximum(stats.sem(resamples, axis=2), 1e-300)
    high, low = np.quantile(t, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return mean - low * error, mean - high * error


def bootstrap(method: str) -> Callable[[np.ndarray], Bounds]:
    def interval(samples: np.ndarray) -> Bounds:
        draw = np.random.default_rng(0)
        found = stats.bootstrap([samples], np.mean, axis=1, n_resamples=RESAMPLES, method=method, rng=draw)
        return found.confidence_interval

    return interval


METHODS: dict[str, Callable[[np.ndarray], Bounds]] = {
    "t": student,
    "bootstrap-t": bootstrap_t,
    "BCa": bootstrap("BCa"),
    "percentile": bootstrap("percentile"),
}


def coverage(population: np.ndarray, method: Callable[[np.ndarray], Bounds], n: int) -> float:
    """The fraction of samples of n whose interval holds the population's mean; one without bounds holds nothing."""
    samples, mean = np.random.default_rng(n).choice(population, size=(DRAWS, n)), population.mean()
    held = []
    with np.errstate(all="ignore"), catch_warnings(action="ignore"):  # of samples whose values are all equal
        for chunk in np.split(samples, range(CHUNK, DRAWS, CHUNK)):
            low, high = method(chunk)
            held.append((low <= mean) & (mean <= high))
    return float(np.mean(held))


def binomial_coverage(p: float, n: int) -> float:
    """Of Clopper & Pearson's exact interval of a fraction: no draws are needed."""
    k = np.arange(n + 1)
    bounds = [stats.binomtest(int(i), n).proportion_ci(LEVEL, "exact") for i in k]
    return float(sum(stats.binom.pmf(k, n, p)[[bound.low <= p <= bound.high for bound in bounds]]))


def table(populations: dict[str, np.ndarray]) -> str:
    """A row for each population: its skewness, and the coverage of every interval."""
    head = [f"{name}, n = {SIZES[0]}" for name in METHODS] + [f"t, n = {n}" for n in SIZES[1:]]
    rows = []
    for name, population in populations.items():
        found = [coverage(population, method, SIZES[0]) for method in METHODS.values()]
        found += [coverage(population, student, n) for n in SIZES[1:]]
        rows.append([name, f"{stats.skew(population):.1f}", *(f"{100 * c:.1f}%" for c in found)])
    lines = [["population", "skewness", *head], ["---"] * (2 + len(head)), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(text: str) -> None:
    """Into the page, between its two markers."""
    page, times = GENERATED.subn(lambda _: f"\n{text}\n\n", PAGE.read_text(encoding="utf-8"))
    if times != 1:
        raise ValueError(f"{PAGE} has {times} generated parts: one is needed")
    PAGE.write_text(page, encoding="utf-8")


def main() -> None:
    exact = ", ".join(f"{100 * binomial_coverage(FAILING, n):.1f}% at n = {n}" for n in SIZES)
    made = f"{datetime.now(UTC).date()}; {about()['Code']}; {about()['Libraries']}"
    paragraphs: Sequence[str] = (
        table(populations()),
        f"Clopper and Pearson's exact interval of a fraction that is {FAILING:.0%}: {exact}.",
        f"{DRAWS} samples of each population of {len(SEEDS)} seeds ({SEEDS[0]} to {SEEDS[-1]}); {RESAMPLES} resamples. {made}.",
    )
    write("\n\n".join(paragraphs))
    print("\n\n".join(paragraphs))


if __name__ == "__main__":
    main()
