# SPDX-License-Identifier: Apache-2.0
"""Python's concurrent.futures.ProcessPoolExecutor.

  python3 python_executor.py map|cpu [-n N] [--chunk SIZE] [--workers 2]

Chosen: Executor.map, the documented form. Its default is one item at a time; its manual
advises large chunks for long iterables, so it is measured with --chunk 2500 as well.
"""

import concurrent.futures
import multiprocessing
import time

import values


def timed_map(workers, function, items, chunk):
    context = multiprocessing.get_context("fork")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as executor:
        list(executor.map(function, items[:workers]))  # all are up before the clock starts
        began = time.perf_counter()
        results = list(executor.map(function, items, chunksize=chunk))
        elapsed = time.perf_counter() - began
    assert len(results) == len(items)
    return elapsed


def main():
    options = values.options()
    if options.workload == "map":
        items = list(range(options.n))
        elapsed = timed_map(options.workers, values.square, items, options.chunk or 1)
        values.show("ns_per_op", elapsed * 1e9 / options.n)
    else:
        items = [values.calibrate(0.02)] * options.n
        one = timed_map(1, values.burn, items, 1)
        values.show("speedup", one / timed_map(2, values.burn, items, 1))


if __name__ == "__main__":
    main()
