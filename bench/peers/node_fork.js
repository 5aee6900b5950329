// SPDX-License-Identifier: Apache-2.0
// Node.js child_process.fork: a worker process with a message channel.
//
//   node node_fork.js roundtrip|structured|stream|blob|life|memory [--advanced] [-n N]
//
// Chosen: fork() with its built-in channel, process.send and 'message' events, as the
// manual shows. Both serializations that fork offers are measured: json (the default) and
// advanced (structured clone). process.send is called without a callback, which is the
// cheaper form, and the worker does nothing but echo.
'use strict';
const { fork } = require('node:child_process');
const { memoryOf, run } = require('./values.js');

if (process.send) {
  process.on('message', (message) => process.send(message));
} else {
  const serialization = process.argv.includes('--advanced') ? 'advanced' : 'json';
  const start = () => {
    const child = fork(__filename, [], { serialization });
    let callback = () => {};
    child.on('message', (message) => callback(message));
    return {
      send: (value) => child.send(value),
      receive: (f) => { callback = f; },
      memory: () => memoryOf(child.pid),
      end: () => new Promise((resolve) => {
        child.on('exit', resolve);
        child.disconnect(); // the worker has nothing left to wait for, and exits
      }),
    };
  };
  run(process.argv[2], start);
}
