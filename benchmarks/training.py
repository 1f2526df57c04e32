"""How long a step of training takes, beside what a user would take instead: ns per hidden unit, sample and step.

Everyone gets the same work: the same data and initial parameters, full-batch gradient descent with one learning rate. Before
anything is timed, each contender's parameters after the first steps are compared with network/passes.py's. Rounds alternate between
contenders, so that a busy machine troubles all of them alike; the median and the range of the rounds are reported. Slow
contenders get fewer networks or steps; `work` says which.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.goals import JAX, KERNEL, SCIKIT_LEARN
from shallowexp.network import activations, outputs
from shallowexp.network.data import Digits, Flower
from shallowexp.network.initializers import Parameters, VarianceScaling
from shallowexp.training import kernel
from shallowexp.training.engines import train_one
from shallowexp.training.job import Job

CURVES = {"tanh": activations.Tanh(), "sigmoid": activations.Sigmoid(), "relu": activations.ReLU()}
CHECKED_STEPS = 5
THREADS = len(os.sched_getaffinity(0))


def jobs(data: str, curve: str, dtype: str, networks: int, steps: int) -> list[Job]:
    """Networks of 2, 8, 16 and 32 hidden units in turn on the flower, of 32 on the digits."""
    table, output = (Flower(), outputs.Sigmoid()) if data == "flower" else (Digits(), outputs.Softmax())
    sizes = [(2, 8, 16, 32)[i % 4] if data == "flower" else 32 for i in range(networks)]
    return [
        Job(table, CURVES[curve], VarianceScaling(), output, n_h, seed, steps, 0.1, (steps,), dtype)
        for seed, n_h in enumerate(sizes)
    ]


def with_steps(jobs: list[Job], steps: int) -> list[Job]:
    return [replace(job, steps=steps, log_steps=(steps,)) for job in jobs]


def volume(jobs: list[Job]) -> int:
    """Hidden units x samples x steps."""
    return sum(job.hidden_size * job.data.load().X.shape[1] * job.steps for job in jobs)


def this_kernel(jobs: list[Job]) -> list[Parameters]:
    return [result.final for result in kernel.train_batch(jobs)]


def chapter(jobs: list[Job]) -> list[Parameters]:
    """The chapter's code, one network after the other, with `@`."""
    curves = {"Tanh": np.tanh, "Sigmoid": lambda z: 1 / (1 + np.exp(-z)), "ReLU": lambda z: np.maximum(z, 0)}
    slopes = {"Tanh": lambda a: 1 - a * a, "Sigmoid": lambda a: a * (1 - a), "ReLU": lambda a: (a > 0).astype(a.dtype)}
    trained = []
    for job in jobs:
        (X, Y, *_), (W1, b1, W2, b2) = job.initial()
        name, m = type(job.activation).__name__, X.shape[1]
        for _ in range(job.steps):
            A1 = curves[name](W1 @ X + b1)
            Z2 = W2 @ A1 + b2
            if len(Y) == 1:
                A2 = 1 / (1 + np.exp(-Z2))
            else:
                e = np.exp(Z2 - Z2.max(axis=0))
                A2 = e / e.sum(axis=0)
            dZ2 = A2 - Y
            dZ1 = W2.T @ dZ2 * slopes[name](A1)
            dW2, db2 = dZ2 @ A1.T / m, dZ2.sum(axis=1, keepdims=True) / m
            dW1, db1 = dZ1 @ X.T / m, dZ1.sum(axis=1, keepdims=True) / m
            rate = job.learning_rate
            W1, b1, W2, b2 = W1 - rate * dW1, b1 - rate * db1, W2 - rate * dW2, b2 - rate * db2
        trained.append(Parameters(W1, b1, W2, b2))
    return trained


def scikit_learn(jobs: list[Job]) -> list[Parameters]:
    """MLPClassifier, one after the other: plain full-batch SGD, told not to stop early."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPClassifier

    names = {"Tanh": "tanh", "Sigmoid": "logistic", "ReLU": "relu"}

    class FromOurs(MLPClassifier):
        """Starts from the job's parameters."""

        def _init_coef(self, fan_in, fan_out, dtype):
            W, b = self.starts[len(self.starts) - self.left]
            self.left -= 1
            return W.T.copy(), b[:, 0].copy()

    trained = []
    for job in jobs:
        (X, Y, *_), (W1, b1, W2, b2) = job.initial()
        labels = Y[0].astype(int) if len(Y) == 1 else Y.argmax(axis=0)
        model = FromOurs(
            (job.hidden_size,), names[type(job.activation).__name__], solver="sgd", alpha=0.0, batch_size=X.shape[1],
            learning_rate_init=job.learning_rate, max_iter=job.steps, momentum=0.0, nesterovs_momentum=False, tol=0.0,
            n_iter_no_change=10**9, shuffle=False,
        )  # fmt: skip
        model.starts, model.left = [(W1, b1), (W2, b2)], 2
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(X.T, labels)
        (V1, V2), (c1, c2) = model.coefs_, model.intercepts_
        trained.append(Parameters(V1.T, c1[:, None], V2.T, c2[:, None]))
    return trained


def torch_one_by_one(jobs: list[Job]) -> list[Parameters]:
    """PyTorch as most would write it: nn.Sequential, autograd and SGD, a network at a time."""
    import torch
    from torch import nn

    curves, trained = {"Tanh": nn.Tanh, "Sigmoid": nn.Sigmoid, "ReLU": nn.ReLU}, []
    for job in jobs:
        data, initial = job.initial()
        X, Y = (torch.from_numpy(np.ascontiguousarray(a.T)) for a in (data.X, data.Y))
        model = nn.Sequential(
            nn.Linear(X.shape[1], job.hidden_size), curves[type(job.activation).__name__](),
            nn.Linear(job.hidden_size, Y.shape[1]),
        ).to(X.dtype)  # fmt: skip
        with torch.no_grad():
            for p, value in zip(model.parameters(), initial, strict=True):
                p.copy_(torch.from_numpy(value).reshape(p.shape))
        loss = nn.BCEWithLogitsLoss() if Y.shape[1] == 1 else nn.CrossEntropyLoss()
        optimizer = torch.optim.SGD(model.parameters(), lr=job.learning_rate)
        for _ in range(job.steps):
            optimizer.zero_grad()
            loss(model(X), Y).backward()
            optimizer.step()
        W1, b1, W2, b2 = (p.detach().numpy() for p in model.parameters())
        trained.append(Parameters(W1, b1[:, None], W2, b2[:, None]))
    return trained


def stacked(jobs: list[Job]) -> tuple[np.ndarray, np.ndarray, Parameters]:
    """The data, and the parameters of all networks in 3-d arrays."""
    data = jobs[0].initial()[0]
    starts = [job.initial()[1] for job in jobs]
    return data.X, data.Y, Parameters(*map(np.stack, zip(*starts, strict=True)))


def unstacked(parameters) -> list[Parameters]:
    return [Parameters(*p) for p in zip(*map(np.asarray, parameters), strict=True)]


def of_one_size(train: Callable) -> Callable:
    """Only networks of one size can be stacked without padding: one stack for each."""

    def grouped(jobs: list[Job]) -> list[Parameters]:
        trained = {}
        for size in {job.hidden_size for job in jobs}:
            group = [i for i, job in enumerate(jobs) if job.hidden_size == size]
            trained |= zip(group, train([jobs[i] for i in group]), strict=True)
        return [trained[i] for i in range(len(jobs))]

    return grouped


@of_one_size
def torch_stacked(jobs: list[Job]) -> list[Parameters]:
    """PyTorch with all networks in 3-d arrays: bmm and autograd."""
    import torch
    from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

    curve = {"Tanh": torch.tanh, "Sigmoid": torch.sigmoid, "ReLU": torch.relu}[type(jobs[0].activation).__name__]
    X, Y, start = stacked(jobs)
    X, Y = (torch.from_numpy(a).expand(len(jobs), *a.shape).contiguous() for a in (X, Y))
    parameters = [torch.from_numpy(p).requires_grad_() for p in start]
    m = X.shape[2]
    for _ in range(jobs[0].steps):
        W1, b1, W2, b2 = parameters
        Z2 = torch.baddbmm(b2, W2, curve(torch.baddbmm(b1, W1, X)))
        if Y.shape[1] == 1:
            J = binary_cross_entropy_with_logits(Z2, Y, reduction="sum") / m
        else:
            J = cross_entropy(Z2, Y, reduction="sum") / m
        gradients = torch.autograd.grad(J, parameters)
        with torch.no_grad():
            for p, d in zip(parameters, gradients, strict=True):
                p -= jobs[0].learning_rate * d
    return unstacked(p.detach().numpy() for p in parameters)


_JITTED: dict = {}


@of_one_size
def jax_scan(jobs: list[Job]) -> list[Parameters]:
    """JAX: jit of vmap of scan; compiled in the first call with these shapes."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jax import lax
    from jax import numpy as jnp

    job = jobs[0]
    X, Y, start = stacked(jobs)
    key = type(job.activation), X.shape, X.dtype, start.W1.shape, job.steps
    if key not in _JITTED:
        curve = {"Tanh": jnp.tanh, "Sigmoid": jax.nn.sigmoid, "ReLU": jax.nn.relu}[type(job.activation).__name__]

        def J(p, X, Y):
            Z2 = p.W2 @ curve(p.W1 @ X + p.b1) + p.b2
            if len(Y) == 1:
                return jnp.sum(jax.nn.softplus(Z2) - Z2 * Y) / X.shape[1]
            return -jnp.sum(Y * jax.nn.log_softmax(Z2, axis=0)) / X.shape[1]

        def descend(p, X, Y):
            def step(p, _):
                return jax.tree.map(lambda w, d: w - job.learning_rate * d, p, jax.grad(J)(p, X, Y)), None

            return lax.scan(step, p, None, length=job.steps)[0]

        _JITTED[key] = jax.jit(jax.vmap(descend, in_axes=(0, None, None)))
    return unstacked(jax.block_until_ready(_JITTED[key](start, X, Y)))


# Contender, what it is called, and its share of the work on the flower and on the digits: (networks, steps).
CONTENDERS = {
    KERNEL: (this_kernel, (64, 2000), (8, 200)),
    JAX: (jax_scan, (64, 2000), (8, 200)),
    "PyTorch, networks stacked": (torch_stacked, (64, 10), (8, 3)),
    "PyTorch, one by one": (torch_one_by_one, (8, 20), (2, 4)),
    "NumPy, the chapter's code": (chapter, (16, 30), (2, 5)),
    SCIKIT_LEARN: (scikit_learn, (8, 20), (2, 5)),
}


def check(train: Callable, work: list[Job]) -> None:
    """Parameters after the first steps are network/passes.py's, to rounding."""
    work = with_steps(work[:8], CHECKED_STEPS)
    tolerance = 1e-4 if work[0].dtype == "float32" else 1e-10
    for job, found in zip(work, train(work), strict=True):
        for p, q in zip(found, train_one(job).final, strict=True):
            np.testing.assert_allclose(p, q, rtol=tolerance, atol=tolerance)


def rows(rounds: int) -> list[dict]:
    """A row for each data set, activation, dtype and contender, with a speed or the reason why there is none."""
    table = []
    for data in ("flower", "digits"):
        for curve in CURVES:
            for dtype in ("float32", "float64"):
                table += compare(data, curve, dtype, rounds)
    return table


def compare(data: str, curve: str, dtype: str, rounds: int) -> list[dict]:
    found, runs = [], []
    for name, (train, *shares) in CONTENDERS.items():
        networks, steps = shares[data == "digits"]
        row = {"benchmark": f"training, {data}, {curve}, {dtype}", "what": name, "unit": "ns", "threads": THREADS}
        row["work"] = f"{networks} networks x {steps} steps"
        found.append(row)
        work = jobs(data, curve, dtype, networks, steps)
        try:
            check(train, work)
        except ImportError as error:
            row["missing"] = str(error)
            continue
        start = time.perf_counter()
        train(work)  # compiles
        row["first_call_s"] = time.perf_counter() - start
        runs.append((row, train, work, []))
    for _ in range(rounds):
        for _, train, work, times in runs:
            start = np.array([time.perf_counter(), time.process_time()])
            train(work)
            times.append(([time.perf_counter(), time.process_time()] - start) / volume(work) * 1e9)
    for row, _, _, times in runs:
        wall, cpu = np.transpose(times)
        row |= {"median": float(np.median(wall)), "min": wall.min().item(), "max": wall.max().item(), "rounds": rounds}
        row["cpu_ns"] = float(np.median(cpu))  # of all threads together: what a busy machine disturbs least
        row["times_the_kernel"] = row["median"] / found[0]["median"]
    return found
