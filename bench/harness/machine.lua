-- SPDX-License-Identifier: Apache-2.0
-- What a result must name to be worth anything later: the machine and the versions.
local machine = {}

local function firstLine(command)
  local pipe = io.popen(command .. " 2>/dev/null")
  local line = pipe and pipe:read("l")
  if pipe then pipe:close() end
  return line and line:match("^%s*(.-)%s*$")
end

local function fromFile(path, pattern)
  local file = io.open(path)
  if not file then return nil end
  local text = file:read("a")
  file:close()
  return text:match(pattern)
end

--- Processor, kernel and what is free to use.
---@return table<string, any>
function machine.describe()
  local memory = tonumber(fromFile("/proc/meminfo", "MemTotal:%s+(%d+)")) or 0
  return {
    processor = fromFile("/proc/cpuinfo", "model name%s*:%s*([^\n]+)") or firstLine("uname -m"),
    cores = tonumber(firstLine("nproc")),
    kernel = firstLine("uname -sr"),
    memoryMiB = memory // 1024,
    virtual = firstLine("systemd-detect-virt") or "unknown",
  }
end

local PROGRAMS = {
  lua = "lua5.4 -v",
  luv = [[lua5.4 -e 'print((require"luv".version_string()))']],
  node = "node --version",
  piscina = [[cd bench && node -p 'require("piscina/package.json").version']],
  python = "python3 --version",
  gcc = "gcc -dumpfullversion",
  libc = "ldd --version",
  redis = "redis-server --version",
  artel = "git describe --always --dirty",
}

--- Versions of what runs here; what is absent is left out.
---@return table<string, string>
function machine.versions()
  local versions = {}
  for name, command in pairs(PROGRAMS) do
    local line = firstLine(command) -- programs say more than that, in no common form
    versions[name] = line and (name == "artel" and line or line:match("%d+%.[%w.+-]+"))
  end
  return versions
end

return machine
