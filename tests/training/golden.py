"""`python -m tests.training.golden`: what 60 jobs give here with each engine, into golden.json beside this file: a digest and the last loss.

With `--keep FILE` their numbers go to that file instead; with `--against FILE` it says how far those of another processor, or of other
settings of this one, lie from those of here.
"""

import hashlib
import json
import platform
from argparse import ArgumentParser
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import llvmlite
import numba
import numpy as np
from llvmlite.binding import get_host_cpu_name

from shallowexp import provenance
from shallowexp.training.engines import train
from shallowexp.training.job import Job, Result
from tests.training.test_kernel import ACTIVATIONS, DTYPES, OUTPUTS, make

FILE = Path(__file__).with_name("golden.json")
ENGINES = ("numpy", "chapter", "compiled")


def environment() -> dict[str, str]:
    """All that the bits may depend on, beside the code."""
    return {
        "processor": numba.config.CPU_NAME or get_host_cpu_name(),
        "instructions of NumPy": " ".join(np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])),
        "C library": " ".join(platform.libc_ver()),
        "BLAS": provenance.blas().partition(", threads")[0],  # these products are too small for several
        "numpy": np.__version__,
        "numba": numba.__version__,
        "llvmlite": llvmlite.__version__,
    }


def jobs(steps: int = 30) -> dict[str, Job]:
    """Name -> a job: each activation, output and dtype, on data of odd sizes."""
    made = {}
    for i, (g, output, dtype) in enumerate(product(ACTIVATIONS, OUTPUTS, DTYPES)):
        job = make(
            output, n_x=2 + i % 7, samples=41 + i, seed=i, hidden_size=1 + i % 9, activation=g, dtype=dtype,
            steps=steps, log_steps=(0, steps // 2, steps), batch_size=None if i % 3 else 16,
        )  # fmt: skip
        made[f"{g} {output} {dtype} {i}"] = job
    return made


def trained(steps: int = 30) -> dict[str, Result]:
    """The same, with each engine."""
    named = {f"{name} {by}": replace(job, engine=by) for name, job in jobs(steps).items() for by in ENGINES}
    return dict(zip(named, train([*named.values()]), strict=True))


def digest(result: Result) -> str:
    arrays = (result.steps, result.metrics, *result.final)
    return hashlib.sha256(b"".join(a.tobytes() for a in arrays) + repr(result.diverged_at).encode()).hexdigest()[:16]


def loss(result: Result) -> float:
    return float(result.history("train/loss")[-1])


def farthest(here: Sequence[np.ndarray], there: Sequence[np.ndarray]) -> float:
    """The largest difference of two numbers, as a part of the larger, where larger than 1, or else of 1."""
    return max(
        float(np.nanmax(np.abs(a - b) / np.maximum(1, np.abs(a)), initial=0)) for a, b in zip(here, there, strict=True)
    )


def main() -> None:
    parser = ArgumentParser(prog="python -m tests.training.golden", description=__doc__)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--steps", type=int, default=30)
    asked = parser.parse_args()
    results = trained(asked.steps)
    if asked.keep:
        np.savez(asked.keep, **{name: result.metrics for name, result in results.items()})
    elif asked.against:
        kept = np.load(asked.against)
        for engine, dtype in product(ENGINES, DTYPES):
            names = [name for name in results if name.endswith(engine) and f" {dtype} " in name]
            equal = sum(np.array_equal(results[name].metrics, kept[name], equal_nan=True) for name in names)
            far = farthest([results[name].metrics for name in names], [kept[name] for name in names])
            print(f"{engine}, {dtype}: {equal} of {len(names)} to the last bit, the farthest number by {far:.1g}")
    else:
        made = {"environment": environment()} | {
            key: {name: of(result) for name, result in results.items()}
            for key, of in (("losses", loss), ("digests", digest))
        }
        FILE.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
