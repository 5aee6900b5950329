// SPDX-License-Identifier: Apache-2.0
// What the Node.js peers send and how they measure: the same values as every contender.
'use strict';
const fs = require('node:fs');

/** 20 string fields and a list of 20 integers: about 1 KB on any wire. */
function structured() {
  const value = { list: [] };
  for (let i = 1; i <= 20; i++) {
    value['field' + String(i).padStart(2, '0')] = 'the quick brown fox jumps over ' + i;
    value.list.push(i * 1000);
  }
  return value;
}

/** The number behind a name on the command line, or the default. */
function option(name, byDefault) {
  const at = process.argv.indexOf(name);
  return at < 0 ? byDefault : Number(process.argv[at + 1]);
}

/** Seconds since some fixed moment. */
function now() {
  return Number(process.hrtime.bigint()) / 1e9;
}

function print(figure, value) {
  console.log(figure + ' ' + value.toPrecision(6));
}

/** Memory of a process in KiB, a shared page counted by its share. */
function memoryOf(pid) {
  const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)[1]);
}

/** A loop of about `milliseconds` on this machine: how often to go round. */
function calibrate(milliseconds) {
  const rounds = 2e6;
  burn(rounds);
  const start = now();
  burn(rounds);
  return Math.round(rounds * milliseconds / 1000 / (now() - start));
}

/** Fixed work for one processor: the same result for the same rounds. */
function burn(rounds) {
  let state = 1;
  for (let i = 0; i < rounds; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
  }
  return state;
}

/**
 * The workloads that need no more than a way to start a worker that echoes.
 * start() answers { send(value), receive(callback), end() → promise, memory() → KiB }.
 */
async function run(workload, start) {
  const count = option('-n', 10000);
  if (workload === 'life') {
    return life(start, count);
  }
  if (workload === 'memory') {
    return memory(start);
  }
  const worker = start();
  const value = workload === 'structured' ? structured()
    : workload === 'blob' ? 'x'.repeat(option('-s', 16 * 1024 * 1024))
      : 1000000;
  const window = workload === 'stream' ? 200 : 1;
  await pump(worker, value, Math.ceil(count / 10), window);
  const start_ = now();
  await pump(worker, value, count, window);
  const elapsed = now() - start_;
  print('ns_per_op', elapsed * 1e9 / count);
  if (workload === 'blob') {
    print('mib_per_second', 2 * value.length / 1048576 * count / elapsed);
  }
  await worker.end();
}

/** Keeps `window` messages under way until `count` echoes are in. */
function pump(worker, value, count, window) {
  return new Promise((resolve) => {
    let sent = 0;
    let received = 0;
    const fill = () => {
      while (sent < count && sent - received < window) {
        sent++;
        worker.send(value);
      }
    };
    worker.receive(() => {
      received++;
      if (received === count) {
        resolve();
      } else {
        fill();
      }
    });
    fill();
  });
}

async function life(start, count) {
  let began = 0;
  for (let i = -1; i < count; i++) {
    if (i === 0) {
      began = now();
    }
    const worker = start();
    await pump(worker, i, 1, 1);
    await worker.end();
  }
  print('ns_per_op', (now() - began) * 1e9 / count);
}

async function memory(start) {
  const workers = [];
  const before = memoryOf('self');
  for (let i = 0; i < 8; i++) {
    workers.push(start());
    await pump(workers[i], i, 1, 1);
  }
  let total = 0;
  if (workers[0].memory) {
    for (const worker of workers) {
      total += worker.memory();
    }
  } else {
    total = memoryOf('self') - before; // threads: what this process grew by
  }
  print('kib_per_worker', total / workers.length);
  await Promise.all(workers.map((worker) => worker.end()));
}

module.exports = { burn, calibrate, memoryOf, now, option, print, run };
