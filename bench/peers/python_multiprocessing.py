# SPDX-License-Identifier: Apache-2.0
"""Python's multiprocessing: Process with a Pipe, and Pool.

  python3 python_multiprocessing.py roundtrip|structured|stream|blob|life|memory [-n N]
  python3 python_multiprocessing.py map|cpu [-n N] [--chunk SIZE] [--workers 2]

Chosen: the fork start method, Linux's default before 3.14 and the fastest (the spawn method
starts a whole interpreter for each worker). Process with one duplex Pipe is the documented
way to talk to one worker; a Queue adds a thread and a lock. Pickle carries values; the blob
goes by send_bytes, which skips pickle. Pool.map is measured with its own choice of chunks
and one by one; CPU tasks are never chunked, so that no worker is left with the last chunk.
"""

import multiprocessing
import time

import values

WINDOW = 200


def echo(pipe):
    """The worker: sends back what comes until the pipe closes."""
    try:
        while True:
            pipe.send(pipe.recv())
    except EOFError:
        pass


def echo_bytes(pipe):
    try:
        while True:
            pipe.send_bytes(pipe.recv_bytes())
    except EOFError:
        pass


def start(context, target=echo):
    ours, theirs = context.Pipe()
    process = context.Process(target=worker, args=(target, ours, theirs))
    process.start()
    theirs.close()
    return process, ours


def worker(target, ours, theirs):
    ours.close()  # inherited by fork: else the pipe would never end
    target(theirs)


def stop(process, pipe):
    pipe.close()
    process.join()


def one_by_one(send, receive, value, count):
    for _ in range(count):
        send(value)
        receive()


def stream(pipe, value, count):
    sent = received = 0
    while received < count:
        while sent < count and sent - received < WINDOW:
            pipe.send(value)
            sent += 1
        pipe.recv()
        received += 1


def message_workload(context, options):
    target = echo_bytes if options.workload == "blob" else echo
    process, pipe = start(context, target)
    count = options.n
    if options.workload == "stream":
        def go(n):
            stream(pipe, 1000000, n)
    elif options.workload == "blob":
        blob = b"x" * options.s

        def go(n):
            one_by_one(pipe.send_bytes, pipe.recv_bytes, blob, n)
    else:
        value = values.structured() if options.workload == "structured" else 1000000

        def go(n):
            one_by_one(pipe.send, pipe.recv, value, n)
    go(count // 10 + 1)
    began = time.perf_counter()
    go(count)
    elapsed = time.perf_counter() - began
    values.show("ns_per_op", elapsed * 1e9 / count)
    if options.workload == "blob":
        values.show("mib_per_second", 2 * options.s / 1048576 * count / elapsed)
    stop(process, pipe)


def life(context, count):
    began = 0.0
    for i in range(-1, count):
        if i == 0:
            began = time.perf_counter()
        process, pipe = start(context)
        pipe.send(i)
        pipe.recv()
        stop(process, pipe)
    values.show("ns_per_op", (time.perf_counter() - began) * 1e9 / count)


def memory(context):
    workers = [start(context) for _ in range(8)]
    for _, pipe in workers:
        pipe.send(1)
        pipe.recv()
    total = sum(values.memory_of(process.pid) for process, _ in workers)
    values.show("kib_per_worker", total / len(workers))
    # Each later worker has inherited the earlier pipes: all are closed before any is joined.
    for _, pipe in workers:
        pipe.close()
    for process, _ in reversed(workers):
        process.join()


def timed_map(context, workers, function, items, chunk):
    with context.Pool(workers) as pool:
        pool.map(function, items[:workers], 1)  # all are up before the clock starts
        began = time.perf_counter()
        results = pool.map(function, items, chunk)
        elapsed = time.perf_counter() - began
    assert len(results) == len(items)
    return elapsed


def main():
    context = multiprocessing.get_context("fork")
    options = values.options()
    if options.workload == "life":
        life(context, options.n)
    elif options.workload == "memory":
        memory(context)
    elif options.workload == "map":
        items = list(range(options.n))
        elapsed = timed_map(context, options.workers, values.square, items, options.chunk)
        values.show("ns_per_op", elapsed * 1e9 / options.n)
    elif options.workload == "cpu":
        items = [values.calibrate(0.02)] * options.n
        one = timed_map(context, 1, values.burn, items, 1)
        values.show("speedup", one / timed_map(context, 2, values.burn, items, 1))
    else:
        message_workload(context, options)


if __name__ == "__main__":
    main()
