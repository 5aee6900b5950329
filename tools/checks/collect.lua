-- SPDX-License-Identifier: Apache-2.0
-- A busted helper: collects all garbage at nearly every allocation, so that a value which C
-- code holds without anchoring it is gone when it is used next.
collectgarbage("incremental", 1, 1000, 1)
