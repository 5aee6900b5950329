// SPDX-License-Identifier: Apache-2.0
// The tasks that piscina's threads run.
'use strict';
const { burn } = require('./values.js');

module.exports = { burn, square: (n) => n * n };
