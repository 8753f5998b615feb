"""Two processes train one net, one of them is killed, and the training ends as if nothing had happened.

    python notebooks/experiments/distributed.py      (`make experiments`; two minutes on two cores)
    make distributed                                 the same, again, shown and not stored

Each process has two of four devices and four of eight ragged sequences; gradients are added up by JAX's collectives over gloo. All
batches are drawn from the seed and the number of the update, so whoever goes on from a checkpoint sees the same data. Three trainings:

    one        one process with one device
    two        two processes, undisturbed
    killed     two processes, of which the second kills itself (SIGKILL, as a machine that fails) before update 27; the first waits for
               its sum until JAX misses the other's heartbeat; both are started again, and go on from the checkpoint of update 20

Results go to results/distributed.json, a list with one entry a seed; what is there already is not run again.
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax

from rnnlib import cells, checkpoints, losses, parallel, train
from rnnlib.unroll import unroll_scan

RESULTS = Path(__file__).parent / "results" / "distributed.json"
SEEDS, UPDATES, EVERY, DIES = (0, 1), 40, 10, 27
PROCESSES, DEVICES, B = 2, 2, 8
HEARTBEAT = 10  # seconds without a sign of life until a process counts as dead; JAX's default is 100
PATIENCE = 60  # seconds to wait for a process that ought to end


def batch(seed, update):
    """Inputs, targets and mask of one update, (30, 8, ...): the target is the input of two steps before."""
    rng = np.random.default_rng([seed, update])
    xs, lengths = rng.standard_normal((30, B, 1)), rng.integers(3, 31, B)
    return xs, np.concatenate([np.zeros((2, B, 1)), xs[:-2]]), np.arange(30)[:, None] < lengths


def total(params, xs, targets, mask):
    """The sum of the losses of some sequences, and the steps that it has."""
    ys, _ = unroll_scan(params, xs, mask=mask)
    return losses.squared_error(ys, targets, mask.astype(ys.dtype)), mask.sum()


def work(folder, seed, updates, every, dies):
    """What each process runs: go on from the checkpoint if there is one, and write one every few updates."""
    me, optimiser, file = jax.process_index(), optax.adam(0.01), folder / "checkpoint.npz"
    begin = train.start(optimiser, cells.init_lstm(1, 8, 1, rng=np.random.default_rng(seed)))
    trained = train.Trained(begin, (), None)
    if file.exists():
        trained = checkpoints.load(file, like=trained)
    learner, history = trained.learner, list(trained.history)
    if me == 0:
        with (folder / "begun.txt").open("a") as file_of_starts:
            file_of_starts.write(f"{len(history)}\n")
    mine = slice(me * B // jax.process_count(), (me + 1) * B // jax.process_count())
    gradient = parallel.sharded_gradient(total)
    for update in range(len(history), updates):
        if update == dies and me == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        loss, grads = gradient(learner.params, *(a[:, mine] for a in batch(seed, update)))
        grads = jax.tree.map(np.asarray, grads)  # the same numbers in every process
        changes, opt_state = optimiser.update(grads, learner.opt_state)
        learner = train.Learner(optax.apply_updates(learner.params, changes), opt_state, None)
        history.append((update + 1, float(loss)))
        if me == 0 and (update + 1) % every == 0:
            checkpoints.save(file, train.Trained(learner, tuple(history), None))


def worker(options):
    """A process of `run`: join the others, then work."""
    jax.config.update("jax_enable_x64", True)
    if options.processes > 1:
        here = f"127.0.0.1:{options.port}"
        jax.distributed.initialize(here, options.processes, options.worker, heartbeat_timeout_seconds=HEARTBEAT)
    work(options.folder, options.seed, options.updates, options.every, options.dies)


def start(folder, processes, devices, seed, updates, every, dies):
    """Start all processes of a training; each may hold so many devices."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = [flag for flag in os.environ.get("XLA_FLAGS", "").split() if "device_count" not in flag]
    flags = " ".join([*flags, f"--xla_force_host_platform_device_count={devices}"])
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    common = [sys.executable, __file__, "--folder", folder, "--processes", processes, "--port", port]
    common += ["--seed", seed, "--updates", updates, "--every", every, "--dies", dies]
    commands = [[*map(str, [*common, "--worker", number])] for number in range(processes)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}  # gloo greets each connection
    return [subprocess.Popen(command, env=environment, **quiet) for command in commands]


def run(folder, processes, devices, *, seed, updates, every, dies=-1, patience=PATIENCE):
    """Run a training until it has ended well, starting it again if a process died. Returns what it took."""
    restarts, waited, code = 0, None, 0
    while True:
        group = start(folder, processes, devices, seed, updates, every, dies)
        if dies >= 0:
            code = group[1].wait(PATIENCE)
            begin = time.perf_counter()
            try:
                group[0].wait(patience)  # it misses the other at the next sum
                waited = time.perf_counter() - begin
            except subprocess.TimeoutExpired:
                group[0].kill()
        errors = [process.communicate(timeout=PATIENCE)[1] for process in group]
        if all(process.returncode == 0 for process in group):
            return {"restarts": restarts, "code": code, "seconds until the other gave up": waited}
        if dies < 0:
            raise RuntimeError(f"distributed: a process ended with an error.\n{errors[0][-2000:]}")
        restarts, dies = restarts + 1, -1


def learnt(folder, seed):
    """The parameters at the end, as one vector, and the losses."""
    net = cells.init_lstm(1, 8, 1, rng=np.random.default_rng(seed))
    like = train.Trained(train.start(optax.adam(0.01), net), (), None)
    trained = checkpoints.load(folder / "checkpoint.npz", like=like)
    return np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(trained.learner.params)]), trained.history


def gradients(seed):
    """The gradient of the first batch on one device, and the mean of the gradients of its two halves: what pmean would make of it."""
    params, whole = cells.init_lstm(1, 8, 1, rng=np.random.default_rng(seed)), batch(seed, 0)

    def mean(params, *batch):
        value, count = total(params, *batch)
        return value / count

    one = jax.grad(mean)(params, *whole)
    halves = [jax.grad(mean)(params, *(a[:, half] for a in whole)) for half in (slice(0, 4), slice(4, 8))]
    return one, jax.tree.map(lambda a, b: (a + b) / 2, *halves)


def experiment(seed, updates=UPDATES, every=EVERY, dies=DIES, kinds=("one", "two", "killed")):
    """The trainings of one seed, compared."""
    ends, notes = {}, {}
    plans = {"one": (1, 1, -1), "two": (PROCESSES, DEVICES, -1), "killed": (PROCESSES, DEVICES, dies)}
    for kind in kinds:
        processes, devices, dying = plans[kind]
        with tempfile.TemporaryDirectory() as folder:
            folder = Path(folder)
            notes[kind] = run(folder, processes, devices, seed=seed, updates=updates, every=every, dies=dying)
            ends[kind] = learnt(folder, seed)
            begun = (folder / "begun.txt").read_text().split()
    killed = notes["killed"]
    one, of_means = gradients(seed)
    wrong = max(
        float(jnp.abs(a - b).max()) for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(of_means), strict=True)
    )
    return {
        "seed": seed,
        "updates": updates,
        "processes": PROCESSES,
        "devices": PROCESSES * DEVICES,
        "killed before update": dies,
        "its exit code": killed["code"],
        "restarts": killed["restarts"],
        "resumed from update": int(begun[-1]),
        "seconds until the other gave up": killed["seconds until the other gave up"],
        "losses": [loss for _, loss in ends["one"][1]],
        "two from one": float(np.abs(ends[kinds[1]][0] - ends["one"][0]).max()),
        "killed from undisturbed": float(np.abs(ends["killed"][0] - ends[kinds[1]][0]).max()),
        "mean of means from the gradient": wrong,
    }


def main():
    """Run what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("worker", "port", "processes", "seed", "updates", "every"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--dies", type=int, default=-1)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--again", action="store_true", help="run one seed and show it; store nothing")
    options = parser.parse_args()
    if options.worker is not None:
        return worker(options)
    jax.config.update("jax_enable_x64", True)
    if options.again:
        print(json.dumps(experiment(SEEDS[0]), indent=1))
        return None
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    for seed in SEEDS:
        if not any(one["seed"] == seed for one in runs):
            print(f"seed {seed}", flush=True)
            runs.append(experiment(seed))
            RESULTS.write_text(json.dumps(runs, separators=(",", ":")))
    return None


if __name__ == "__main__":
    main()
