"""Measure what the pytest plugin costs a run that has no use for it.

    python -m tools.plugin_cost [--runs 20] [--limit 30]

Runs `pytest --collect-only` in an empty folder with the plugin and without, by turns. Prints the
medians, in milliseconds of processor time, and the median of the differences within a turn, which
a load that comes and goes disturbs least; exits with 1 if that is above the limit. Not for
Windows.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile

COMMAND = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider"]
WITH: tuple[str, ...] = ()
WITHOUT = ("-p", "no:httpcore")
NO_TESTS_COLLECTED = 5


def milliseconds(command: list[str], folder: str, env: dict[str, str]) -> float:
    """Return how much processor time pytest takes, which is what it takes if nobody disturbs."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != NO_TESTS_COLLECTED:
        raise SystemExit(f"pytest ended with {done.returncode}: {done.stderr.decode()}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=20, help="with and without")
    parser.add_argument("--limit", type=float, default=30, help="in milliseconds")
    args = parser.parse_args()

    with_plugin, without = [], []
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as cache:
        # Compiled once, as where a plugin is installed, whatever the caller's environment says.
        env = {**os.environ, "PYTHONPYCACHEPREFIX": cache, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(args.runs + 1):
            taken = {}
            # Who is first changes with each turn: what else goes on shall hit both alike.
            for extra in (WITH, WITHOUT) if number % 2 else (WITHOUT, WITH):
                taken[extra] = milliseconds([*COMMAND, *extra], folder, env)
            if number:  # the first turn fills the caches
                with_plugin.append(taken[WITH])
                without.append(taken[WITHOUT])
    medians = statistics.median(with_plugin), statistics.median(without)
    differences = [one - other for one, other in zip(with_plugin, without, strict=True)]
    low, difference, high = statistics.quantiles(differences, n=4)
    print(f"with the plugin {medians[0]:.0f} ms, without {medians[1]:.0f} ms")
    print(
        f"difference {difference:.1f} ms (quartiles {low:.1f} to {high:.1f}), "
        f"limit {args.limit:.0f} ms, {args.runs} turns"
    )
    return 1 if difference > args.limit else 0


if __name__ == "__main__":
    sys.exit(main())
