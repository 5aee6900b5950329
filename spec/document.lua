-- SPDX-License-Identifier: Apache-2.0
-- Knows how a page of the documentation marks its code, so that all of it can be run.
--
-- In an HTML comment before each fenced block, which readers do not see:
--   <!-- file: NAME -->    the block is the file NAME in the page's folder
--   <!-- run: COMMAND -->  the block is what COMMAND (a program and its arguments) prints
--   <!-- run -->           a block of sh: every line must succeed; or a Lua script to be run
--   <!-- output -->        what the `run` block before it prints
--   <!-- checked by: PATH -->  a block of commands that PATH, another check, runs
--   <!-- text -->          nothing that can be run: a picture, a format
-- In what is printed `...` stands for any text.

local document = {}

---@class spec.Block
---@field line integer of its opening fence
---@field language string
---@field marker? string the comment before it
---@field text string

--- The fenced blocks of a page.
---@param content string
---@return spec.Block[]
function document.blocks(content)
  local blocks, open, marker, number = {}, nil, nil, 0
  for line in (content .. "\n"):gmatch "(.-)\n" do
    number = number + 1
    local fence = line:match "^```(.*)$"
    if open then
      if fence then
        open.text = table.concat(open.lines, "\n") .. "\n"
        blocks[#blocks + 1] = open
        open = nil
      else
        open.lines[#open.lines + 1] = line
      end
    elseif fence then
      open = { line = number, language = fence, marker = marker, lines = {} }
      marker = nil
    elseif line:find "%S" then
      marker = line:match "^<!%-%-%s*(.-)%s*%-%->$"
    end
  end
  assert(not open, "a fence is not closed")
  return blocks
end

local function split(command)
  local words = {}
  for word in command:gmatch "%S+" do words[#words + 1] = word end
  return words
end

---@class spec.Step
---@field line integer
---@field action "write"|"run"|"delegate"
---@field path? string file to write, or the check that runs it
---@field text? string content, or the commands
---@field command? string[]
---@field expected? string

local MAKERS = {
  { "^file: (%S+)$", function(block, path)
    return { line = block.line, action = "write", path = path, text = block.text }
  end },
  { "^run: (.+)$", function(block, command)
    return { line = block.line, action = "run", command = split(command), expected = block.text }
  end },
  { "^checked by: (%S+)$", function(block, path)
    return { line = block.line, action = "delegate", path = path, text = block.text }
  end },
  { "^run$", function(block)
    local command = block.language == "lua" and { "lua5.4", "-e", block.text }
      or { "sh", "-e", "-c", block.text }
    return { line = block.line, action = "run", command = command }
  end },
}

--- What is to be done with a page, in its order. Raises for a block without a marker.
---@param content string
---@return spec.Step[]
function document.steps(content)
  local steps = {}
  for _, block in ipairs(document.blocks(content)) do
    local step
    if block.marker == "output" then
      assert(steps[#steps] and steps[#steps].action == "run", "output of what?")
      steps[#steps].expected = block.text
    elseif block.marker ~= "text" then
      for _, maker in ipairs(MAKERS) do
        local capture = (block.marker or ""):match(maker[1])
        if capture then step = maker[2](block, capture) end
      end
      assert(step, ("line %d: a block without a known marker"):format(block.line))
      steps[#steps + 1] = step
    end
  end
  return steps
end

return document
