-- SPDX-License-Identifier: Apache-2.0
-- JSON for committed result files: keys in a fixed order, so that a diff shows figures only.
-- (lua-cjson, which reads them back, writes keys in the order of its hash table.)
local json = {}

local write

local function writeList(list, indent, out)
  local flat = type(list[1]) ~= "table"
  out[#out + 1] = "["
  for i, item in ipairs(list) do
    if i > 1 then out[#out + 1] = flat and ", " or "," end
    if not flat then out[#out + 1] = "\n" .. indent .. "  " end
    write(item, indent .. "  ", out)
  end
  out[#out + 1] = (flat or #list == 0) and "]" or "\n" .. indent .. "]"
end

local function writeObject(object, indent, out)
  local keys = {}
  for key in pairs(object) do keys[#keys + 1] = key end
  table.sort(keys)
  out[#out + 1] = "{"
  for i, key in ipairs(keys) do
    out[#out + 1] = (i > 1 and "," or "") .. "\n" .. indent .. "  "
    write(key, indent, out)
    out[#out + 1] = ": "
    write(object[key], indent .. "  ", out)
  end
  out[#out + 1] = "\n" .. indent .. "}"
end

local ESCAPES = { ['"'] = '\\"', ["\\"] = "\\\\", ["\n"] = "\\n", ["\t"] = "\\t" }

local function writeString(text, out)
  local escaped = text:gsub('[%c"\\]', function(char)
    return ESCAPES[char] or ("\\u%04x"):format(char:byte())
  end)
  out[#out + 1] = '"' .. escaped .. '"'
end

function write(value, indent, out)
  local kind = type(value)
  if kind == "table" and (value[1] ~= nil or next(value) == nil) then
    writeList(value, indent, out)
  elseif kind == "table" then
    writeObject(value, indent, out)
  elseif kind == "string" then
    writeString(value, out)
  elseif math.type(value) == "float" then
    out[#out + 1] = ("%.6g"):format(value)
  else
    out[#out + 1] = tostring(value)
  end
end

---@param value any tables, strings, finite numbers and booleans; an empty table is a list
---@return string
function json.encode(value)
  local out = {}
  write(value, "", out)
  return table.concat(out) .. "\n"
end

return json
