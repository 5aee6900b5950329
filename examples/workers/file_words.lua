-- SPDX-License-Identifier: Apache-2.0
-- A request is the path of a file; the response is how many words there are in it.
return {
  onRequest = function(_, path)
    local file <close>, reason = io.open(path)
    if not file then return nil, reason end
    local count = 0
    for _ in file:read("a"):gmatch "%a+" do count = count + 1 end
    return count
  end,
}
