-- SPDX-License-Identifier: Apache-2.0
-- Shows in plain words what artel does. tools/demo runs it.

local folder = arg[0]:match "^(.*)/" or "."
package.path = folder .. "/?.lua;" .. package.path

require "demo.dedicated" (folder)
require "demo.pool" (folder)
require "demo.shared" (folder)
