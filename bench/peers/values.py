# SPDX-License-Identifier: Apache-2.0
"""What the Python peers send and how they measure: the same values as every contender."""

import argparse
import time


def structured():
    """20 string fields and a list of 20 integers: about 1 KB on any wire."""
    value = {f"field{i:02d}": f"the quick brown fox jumps over {i}" for i in range(1, 21)}
    value["list"] = [i * 1000 for i in range(1, 21)]
    return value


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("workload")
    parser.add_argument("-n", type=int, default=10000)
    parser.add_argument("-s", type=int, default=16 * 1024 * 1024)
    parser.add_argument("--chunk", type=int, default=None)
    parser.add_argument("--workers", type=int, default=2)
    return parser.parse_args()


def show(figure, value):
    print(f"{figure} {value:.6g}", flush=True)


def memory_of(pid):
    """Memory of a process in KiB, a shared page counted by its share."""
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pss:"):
                return int(line.split()[1])
    raise RuntimeError("the kernel gives no Pss")


def square(n):
    return n * n


def burn(rounds):
    """Fixed work for one processor: the same result for the same rounds."""
    state = 1
    for _ in range(rounds):
        state = (state * 1103515245 + 12345) & 0x7FFFFFFF
    return state


def calibrate(seconds):
    """A loop of about so many seconds on this machine: how often to go round."""
    rounds = 200000
    burn(rounds)
    start = time.perf_counter()
    burn(rounds)
    return int(rounds * seconds / (time.perf_counter() - start))
