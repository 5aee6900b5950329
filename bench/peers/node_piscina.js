// SPDX-License-Identifier: Apache-2.0
// piscina, the worker pool that Node.js users pick most: threads behind promises.
//
//   node node_piscina.js map|cpu [-n N] [--workers 2]
//
// Chosen: one pool.run() for each item, all of them outstanding, Promise.all for the ordered
// result: the form in piscina's own documentation. piscina has no chunks. Each thread is
// given several tasks at a time (concurrentTasksPerWorker), which measured faster here than
// the default of one for trivial work; CPU tasks keep the default, since a task that waits
// behind a long one would idle the other thread.
'use strict';
const path = require('node:path');
const { Piscina } = require('piscina');
const { calibrate, now, option, print } = require('./values.js');

const TASKS_AT_A_TIME = 64;

function open(threads, concurrentTasksPerWorker) {
  return new Piscina({
    filename: path.join(__dirname, 'node_piscina_task.js'),
    minThreads: threads,
    maxThreads: threads,
    concurrentTasksPerWorker,
  });
}

async function timed(pool, name, items) {
  const start = now();
  const results = await Promise.all(items.map((item) => pool.run(item, { name })));
  const elapsed = now() - start;
  if (results.length !== items.length) {
    throw new Error('results are missing');
  }
  return elapsed;
}

async function cpu(threads, rounds, count) {
  const pool = open(threads, 1);
  const items = new Array(count).fill(rounds);
  await timed(pool, 'burn', items.slice(0, threads));
  const elapsed = await timed(pool, 'burn', items);
  await pool.destroy();
  return elapsed;
}

async function main() {
  const count = option('-n', 10000);
  const threads = option('--workers', 2);
  if (process.argv[2] === 'cpu') {
    const rounds = calibrate(20);
    const one = await cpu(1, rounds, count);
    print('speedup', one / await cpu(2, rounds, count));
    return;
  }
  const pool = open(threads, TASKS_AT_A_TIME);
  const items = Array.from({ length: count }, (_, i) => i);
  await timed(pool, 'square', items.slice(0, count / 10 + 1));
  print('ns_per_op', await timed(pool, 'square', items) * 1e9 / count);
  await pool.destroy();
}

main();
