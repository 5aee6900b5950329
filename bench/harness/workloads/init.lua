-- SPDX-License-Identifier: Apache-2.0
-- All workloads in the order in which they run and are shown.
local workloads = {}

for _, group in ipairs { "messages", "lives", "pools", "servers", "sweeps" } do
  for _, workload in ipairs(require("bench.harness.workloads." .. group)) do
    workloads[#workloads + 1] = workload
    workloads[workload.name] = workload
  end
end

return workloads
