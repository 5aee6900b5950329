-- SPDX-License-Identifier: Apache-2.0
-- An evented worker that computes for as many seconds as it is asked to.
return {
  onRequest = function(_, seconds)
    local ends = os.clock() + seconds
    while os.clock() < ends do end -- luacheck: ignore 542
    return true
  end,
}
