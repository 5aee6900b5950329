// SPDX-License-Identifier: Apache-2.0
// Node.js worker_threads: threads with an isolate of their own.
//
//   node node_threads.js roundtrip|structured|stream|blob|life|memory [-n N]
//
// Chosen: postMessage and 'message' events both ways, as the manual shows. Strings and
// objects are cloned, as they must be; handing over an ArrayBuffer by transfer would move
// 16 MiB without a copy, but a string, which is what this workload sends, cannot be
// transferred. Atomics.wait with shared memory would be faster than postMessage and is what
// a library may build on it; it carries no messages by itself.
'use strict';
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const { run } = require('./values.js');

if (!isMainThread) {
  parentPort.on('message', (message) => parentPort.postMessage(message));
} else {
  const start = () => {
    const worker = new Worker(__filename);
    let callback = () => {};
    worker.on('message', (message) => callback(message));
    return {
      send: (value) => worker.postMessage(value),
      receive: (f) => { callback = f; },
      end: () => worker.terminate(),
    };
  };
  run(process.argv[2], start);
}
