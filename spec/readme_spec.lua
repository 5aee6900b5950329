-- SPDX-License-Identifier: Apache-2.0
local artel = require "artel"
local core = require "artel.core"
local document = require "spec.document"
local program = require "spec.program"
local uv = require "luv"

local pages = { "README.md" }
local folderEntries = assert(uv.fs_scandir("docs"))
for name in function() return uv.fs_scandir_next(folderEntries) end do
  if name:find "%.md$" then pages[#pages + 1] = "docs/" .. name end
end

local function read(path)
  local file <close> = assert(io.open(path))
  return file:read "a"
end

local perform = {}

function perform.write(step, folder)
  local file <close> = assert(io.open(folder .. "/" .. step.path, "w"))
  file:write(step.text)
end

function perform.run(step, folder)
  -- Other programs than ours may leak as they like, also where we are sanitized.
  local environment = step.command[1] == "sh" and { LSAN_OPTIONS = "detect_leaks=0" } or nil
  local result = program.run(step.command, { folder = folder, environment = environment })
  local shown = ("line %d of the page\n%s%s"):format(step.line, result.output, result.errors)
  assert(not result.errors:find("stack traceback", 1, true), shown)
  if step.expected then
    assert(program.matches(result.output, step.expected), shown)
  else
    assert.equal("", result.output .. result.errors, shown)
  end
  assert(result.code == 0 and result.signal == 0, shown)
end

-- Whoever runs the commands must really name each of them.
function perform.delegate(step)
  local check = read(step.path)
  for line in step.text:gmatch "[^\n]+" do
    local first, second = line:gsub("%s#.*$", ""):match "^(%S+)%s*(%S*)"
    local named = check:find(first, 1, true) and check:find(second, 1, true)
    assert(named, ("%s does not run: %s"):format(step.path, line))
  end
end

for _, page in ipairs(pages) do
  describe(page, function()
    local folder

    setup(function() folder = program.makeFolder() end)
    teardown(function() program.removeFolder(folder) end)

    it("has nothing but marked code, and all of it does what the page says", function()
      for _, step in ipairs(document.steps(read(page))) do perform[step.action](step, folder) end
    end)

    it("links to what exists", function()
      local base = page:match "^(.*/)" or ""
      for link in read(page):gmatch "%]%(([^)#%s]+)[^)]*%)" do
        if not link:find "^%a+:" then
          local target = base .. link
          assert(io.open(target), ("%s: no %s"):format(page, target)):close()
        end
      end
    end)
  end)
end

describe("docs/api.md", function()
  local text = read "docs/api.md"

  local function names(what, class, skip)
    it("names everything that " .. what .. " has", function()
      for name in pairs(class) do
        if not (skip and skip[name]) then
          local written = name:gsub("Stage[23]Global", "Stage1Global") -- "likewise for 2 and 3"
          assert(text:find("%f[%w]" .. written .. "%f[%W]"), name .. " is not in docs/api.md")
        end
      end
    end)
  end

  local classOf = function(object) return getmetatable(object).__index end
  names("the module artel", artel)
  names("a channel", core.class "artel.Channel")
  names("a worker", core.class "artel.Worker")
  names("a shared worker", artel.SharedWorker)
  names("a pool", artel.WorkerPool, { engine = true })
  names("a profile", artel.BootstrapProfile, { metatable = true, fromOptions = true })
  names("a factory", artel.WorkerFactory, { startWorker = true, startPool = true })
  names("a task", classOf(artel.async(function() end)))
  names("an address", artel.address)
  names("a status", artel.WorkerStatus)
  names("a counter", artel.WorkerCounter)
  names("a range", artel.Range)
  names("a worker's own code", artel.WorkerRunner)
end)

describe("docs/reliability.md", function()
  it("names specs that exist", function()
    local count = 0
    for name, title in read("docs/reliability.md"):gmatch '`(%S+_spec%.lua)` | "([^\n]-)" |\n' do
      count = count + 1
      local text = read("spec/" .. name)
      assert(text:find('"' .. title, 1, true), ("no spec in %s: %s"):format(name, title))
    end
    assert.is_true(count > 0)
  end)
end)
