"""How long one forward pass takes as the loops of 6.2.1 and as matrix products, exact ones and `@`, over the number of samples.

    python benchmarks/vectorisation.py [--rounds 31]

writes experiments/vectorisation.json, which the experiment of that name reads. All forms run in this process, and are
checked to give the same values before any is timed; each round times every form at every size, so that a busy
machine troubles all alike.
"""

import argparse
import json
import operator
import platform
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from threadpoolctl import threadpool_limits

from shallowexp.network.activations import Tanh
from shallowexp.network.data import Flower
from shallowexp.network.initializers import Random
from shallowexp.network.passes import Forward, forward, forward_by_sample
from shallowexp.provenance import blas

SAMPLES = (1, 10, 100, 400, 1000)
TARGET = Path(__file__).parent.parent / "experiments" / "vectorisation.json"


def sample_by_sample(X, parameters, g) -> Forward:
    """The loop over samples alone, with each layer's units in one product."""
    parts = [forward(X[:, i : i + 1], parameters, g) for i in range(X.shape[1])]
    return Forward(*(np.hstack(arrays) for arrays in zip(*parts, strict=True)))


FORMS: dict[str, Callable] = {
    "loop over samples and units": forward_by_sample,
    "loop over samples": sample_by_sample,
    "matrix form": forward,  # by einsum
    "matrix form, @": partial(forward, product=operator.matmul),
}


def measure(rounds: int) -> list[dict]:
    """A row for each form and number of samples: its processor seconds for one pass in each round, and their median."""
    inputs = {m: (Flower(samples=max(m, 2)).load().X[:, :m], Random(0.5)(2, 4, 1, seed=2), Tanh()) for m in SAMPLES}
    for arguments in inputs.values():
        for form in FORMS.values():
            for found, expected in zip(form(*arguments), forward(*arguments), strict=True):
                np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-15)
    taken = {(name, m): [] for m in inputs for name in FORMS}
    for _ in range(rounds):
        for (name, m), seconds in taken.items():
            repeats = max(1, 100 // m) if name.startswith("loop") else 100
            seconds.append(_seconds(FORMS[name], inputs[m], repeats))
    return [{"form": name, "samples": m, "median": median(s), "rounds": s} for (name, m), s in taken.items()]


def _seconds(form: Callable, arguments: tuple, repeats: int) -> float:
    """Of the processor, not of the clock: all forms use one thread, and others on the machine cannot slow this down."""
    start = time.process_time()
    for _ in range(repeats):
        form(*arguments)
    return float(f"{(time.process_time() - start) / repeats:.4g}")


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor()}, Python {platform.python_version()}, NumPy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=31)
    with threadpool_limits(1):
        rows, beneath = measure(parser.parse_args().rounds), blas()
    made = {"machine": machine(), "blas": beneath, "date": datetime.now(UTC).date().isoformat()}
    about = made | {"units": 4, "inputs": 2}
    lines = ",\n".join(json.dumps(row) for row in rows)
    TARGET.write_text(f'{json.dumps(about)[:-1]}, "rows": [\n{lines}\n]}}\n', encoding="utf-8")
    for row in rows:
        print(f"{row['samples']:5d} samples  {row['form']:28s} {1e6 * row['median']:10.1f} us")


if __name__ == "__main__":
    main()
