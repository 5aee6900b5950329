-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local cjson = require "cjson"
local helper = require "spec.helper"
local randomValues = require "spec.random_values"

local function encode(value) return core.encode("json", value) end
local function decode(text) return core.decode("json", text) end

--- Encodes, compares with the expected text, and decodes it again.
local function assertText(expected, value)
  local text = assert(encode(value))
  assert.equal(expected, text)
  local back = decode(text)
  assert.same(value, back)
  assert.equal(math.type(value), math.type(back))
end

local function assertRefused(message, value)
  local text, err = encode(value)
  assert.is_nil(text)
  assert.equal(message, err)
end

local function assertBad(message, text)
  local value, err = decode(text)
  assert.is_nil(value)
  assert.equal(message, err)
end

describe("the JSON codec", function()
  it("keeps every integer exact", function()
    for _, value in ipairs {
      0, 7, -7, 10, 99, 100, 12345678901234567, 2 ^ 53 | 0, (2 ^ 53 | 0) + 1,
      math.maxinteger, math.mininteger, math.maxinteger - 1, math.mininteger + 1,
    } do
      assertText(("%d"):format(value), value)
    end
    assert.equal(0, decode "-0")
    assert.equal("integer", math.type(decode "-0"))
  end)

  it("writes floats with the fewest of 15 to 17 digits, and as floats", function()
    assertText("1.0", 1.0)
    assertText("-2.5", -2.5)
    assertText("0.1", 0.1)
    assertText("0.30000000000000004", 0.1 + 0.2)
    assertText("0.3333333333333333", 1 / 3)
    assertText("1e+300", 1e300)
    assertText("9007199254740992.0", 2.0 ^ 53)
    assertText("1e-07", 1e-7)
    assert.equal("-0.0", encode(-0.0))
    assert.equal(-math.huge, 1 / decode "-0.0")
    assert.equal("float", math.type(decode "1e2"))
    assert.equal("float", math.type(decode "1.0"))
    assert.equal(100.0, decode "1E+2")
    assert.equal(0.0, decode "1e-999")
  end)

  it("writes the same numbers in every locale", function()
    local before = os.setlocale()
    finally(function() os.setlocale(before) end)
    if not (os.setlocale "de_DE.UTF-8" or os.setlocale "fr_FR.UTF-8") then
      return -- src/core/number_text_test.c tries more names
    end
    assertText("0.3333333333333333", 1 / 3)
    assertText("1.5", 1.5)
  end)

  it("escapes what has to be, and nothing else", function()
    assertText([["\"\\/\b\f\n\r\t\u0000\u001f]] .. '\u{7f}"', '"\\/\b\f\n\r\t\0\x1f\u{7f}')
    assertText('"\u{e4} \u{20ac} \u{1f600} \u{2028}"', "\u{e4} \u{20ac} \u{1f600} \u{2028}")
    for length = 0, 40 do
      for at = 1, length do
        local text = ("x"):rep(at - 1) .. "\n" .. ("y"):rep(length - at)
        assert.equal(text, decode(encode(text)))
      end
    end
    local text = ("\1"):rep(100000)
    assert.equal(text, decode(encode(text)))
  end)

  it("reads every escape", function()
    assert.equal('"\\/\b\f\n\r\t', decode [["\"\\\/\b\f\n\r\t"]])
    assert.equal("A\u{e4}\u{20ac}\u{ffff}\0", decode [["\u0041\u00E4\u20aC\uffff\u0000"]])
    assert.equal("\u{1f600}\u{10ffff}\u{10000}",
      decode [["\uD83D\ude00\udbff\udfff\ud800\udc00"]])
  end)

  it("carries booleans and null", function()
    assertText("true", true)
    assertText("false", false)
    assertText("null", core.null)
    assert.equal(cjson.null, decode "null")
    assertText("[null,{\"a\":null}]", { core.null, { a = core.null } })
  end)

  it("writes keys that are exactly 1..n as an array, string keys as an object", function()
    assertText("[]", {})
    assertText("{}", core.object {})
    assertText("[]", core.array {})
    assertText("[1,[2,[3]]]", { 1, { 2, { 3 } } })
    assertText('{"a":{"b":[{"c":1}]}}', { a = { b = { { c = 1 } } } })
    assertText('{"1":"a"}', { ["1"] = "a" })
    local backwards = {}
    for i = 5, 1, -1 do backwards[i] = i end
    assertText("[1,2,3,4,5]", backwards)
  end)

  it("gives an empty object back as it came", function()
    assert.equal('[{},[],{"a":{}}]', encode(decode '[{}, [ ], {"a":{ }}]'))
  end)

  it("reads containers of every length", function()
    for _, count in ipairs { 0, 1, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129, 5000 } do
      local list, map = {}, core.object {}
      for i = 1, count do
        list[i] = i
        map["key" .. i] = { i }
      end
      assert.same(list, decode(encode(list)))
      assert.same(map, decode(encode(map)))
    end
  end)

  it("skips white space wherever it may stand", function()
    assert.same({ a = { 1, 2 } }, decode ' \t\r\n{ "a" : [ 1 ,\r\n2\t] } \n')
  end)

  it("sends no metatable and runs no metamethod", function()
    local function never() error "a metamethod ran" end
    local value = setmetatable({ a = "b" }, {
      __index = never, __pairs = never, __len = never, __tostring = never, __name = "X",
    })
    assert.equal('[{"a":"b"}]', encode { value })
  end)

  it("gives back whatever it is given", function()
    local random = randomValues.new(1889)
    for _ = 1, helper.isWatched and 1000 or 3000 do
      local value = random:value()
      local back = decode(assert(encode(value)))
      assert.is_true(randomValues.same(value, back))
    end
  end)

  it("writes what lua-cjson reads, and reads what it writes", function()
    -- lua-cjson 2.1.0 reads every number as a float and writes 14 digits: whole floats
    -- and short ones are where the two agree.
    local random = randomValues.new(2009)
    random.integer = function(self) return self:below(1000000) + 0.0 end
    random.float = function(self) return self:below(1000) / 8 end
    local function plain(value) -- cjson marks no empty objects and leaves out empty lists
      if type(value) ~= "table" then return value end
      local copy = {}
      for key, inner in next, value do copy[key] = plain(inner) end
      return copy
    end
    for _ = 1, 500 do
      local value = plain(random:value())
      assert.same(value, cjson.decode(encode { value })[1])
      local back = decode(cjson.encode { value })[1]
      assert.same(value, plain(back))
    end
  end)
end)

describe("the JSON codec refuses to send", function()
  it("nil and what is no data, and says where it is", function()
    assertRefused("cannot send nil", nil)
    assertRefused("cannot send a function (at message.jobs[3].callback)",
      { jobs = { 1, 2, { callback = print } } })
    assertRefused("cannot send a userdata (at message[1])", { io.stdout })
  end)

  it("numbers and strings that JSON does not have", function()
    assertRefused("cannot send NaN as JSON (at message.x)", { x = 0 / 0 })
    assertRefused("cannot send infinity as JSON (at message[2])", { 1, math.huge })
    assertRefused("cannot send infinity as JSON (at message)", -math.huge)
    assertRefused("cannot send a string that is not UTF-8 as JSON (at message.s)",
      { s = "\xff" })
    assertRefused("cannot send a string that is not UTF-8 as JSON (at message)", "\u{d800}")
    assertRefused('cannot send a string that is not UTF-8 as JSON (at message["\\x80"])',
      { ["\x80"] = 1 })
  end)

  it("tables that are neither an array nor an object", function()
    assertRefused("cannot send a table with mixed keys (at message.t)",
      { t = { 1, 2, x = 3 } })
    assertRefused("cannot send a list with a hole at index 3 (at message)",
      { 1, 2, nil, 4 })
    assertRefused("cannot send a list with a hole at index 1 (at message[1])",
      { { [2] = "two" } })
    assertRefused("cannot send a table with the key 0 (at message)", { [0] = 1 })
    assertRefused("cannot send a table with the key -1 (at message)", { x = 1, [-1] = 1 })
    assertRefused("cannot send a table with a boolean as a key (at message)", { [true] = 1 })
    assertRefused("cannot send a table with a number as a key (at message)", { [1.5] = 1 })
    assertRefused("cannot send an object with a number as a key (at message)",
      core.object { "a" })
    assertRefused("cannot send an array with a string as a key (at message.a)",
      { a = core.array { x = 1 } })
    assertRefused("cannot send a table with mixed keys (at message)", table.pack("a", nil, "c"))
  end)

  it("a table that contains itself, or is nested too deep", function()
    local value = { a = {} }
    value.a.parent = value
    assertRefused("cannot send a table that contains itself (at message.a.parent)", value)
    local deep = "x"
    for _ = 1, 512 do deep = { deep } end
    assert.is_string(encode(deep))
    assert.same(deep, decode(encode(deep)))
    local _, err = encode { deep }
    assert.matches("^cannot send a table nested deeper than 512 levels %(at message%[1%]", err)
  end)
end)

describe("the JSON codec refuses to read", function()
  it("what is cut short, at any place", function()
    local text = encode { a = { 1, -2.5e300, true, false, core.null, "s\n\u{e4}", {} },
      b = core.object {} }
    for length = 0, #text - 1 do
      local value, err = decode(text:sub(1, length))
      assert.is_nil(value)
      assert.is_string(err)
    end
  end)

  it("anything behind the value", function()
    assertBad("bytes behind the value (at byte 3)", "1 2")
    assertBad("bytes behind the value (at byte 3)", "{}}")
  end)

  it("wrong syntax, and says at which byte", function()
    assertBad("the text is cut short (at byte 1)", "")
    assertBad("no value where one is needed (at byte 2)", "[,1]")
    assertBad("no value where one is needed (at byte 4)", "[1,]")
    assertBad("neither a comma nor the end of an array (at byte 4)", "[1 2]")
    assertBad("neither a comma nor the end of an array (at byte 3)", "[1}")
    assertBad("no key where one is needed (at byte 2)", "{1:2}")
    assertBad("no key where one is needed (at byte 8)", '{"a":1,}')
    assertBad("no colon behind a key (at byte 5)", '{"a"}')
    assertBad("neither a comma nor the end of an object (at byte 7)", '{"a":1"b":2}')
    assertBad("no value where one is needed (at byte 1)", "nul")
    assertBad("no value where one is needed (at byte 1)", "NaN")
    assertBad("no value where one is needed (at byte 1)", "'a'")
    assertBad("no value where one is needed (at byte 1)", "// comment")
    assertBad("no value where one is needed (at byte 1)", "\u{feff}1")
  end)

  it("wrong numbers", function()
    for _, text in ipairs { "01", "-", "+1", ".5", "1.", "1e", "1e+", "-a", "0x10", "1.e5",
      "Infinity", "--1", "1.5.5", "00" } do
      assert.is_nil(decode(text))
    end
  end)

  it("numbers out of range", function()
    assert.equal(math.maxinteger, decode "9223372036854775807")
    assert.equal(math.mininteger, decode "-9223372036854775808")
    assertBad("an integer outside 64 bits (at byte 1)", "9223372036854775808")
    assertBad("an integer outside 64 bits (at byte 2)", "[-9223372036854775809]")
    assertBad("an integer outside 64 bits (at byte 1)", "18446744073709551616")
    assertBad("an integer outside 64 bits (at byte 1)", ("9"):rep(1000))
    assert.equal(9223372036854775808.0, decode "9223372036854775808.0")
    assertBad("a number that is too large for a float (at byte 1)", "1e309")
  end)

  it("wrong strings", function()
    assertBad("a control character in a string (at byte 3)", '"a\n"')
    assertBad("a control character in a string (at byte 3)", '"\\\n"')
    assertBad("a string that is not UTF-8 (at byte 2)", '"\xff"')
    assertBad("a string that is not UTF-8 (at byte 3)", '"\\\xff"')
    assertBad("a string that is not UTF-8 (at byte 2)", '"\xed\xa0\x80"')
    assertBad("a string without end (at byte 3)", '"a')
    assertBad("a string without end (at byte 5)", '"a\\"')
    assertBad("a wrong escape in a string (at byte 2)", [["\x41"]])
    assertBad("a wrong escape in a string (at byte 3)", [["a\u12"]])
    assertBad("a wrong escape in a string (at byte 2)", [["\u12g4"]])
    assertBad("a wrong escape in a string (at byte 2)", '"\\\u{e4}"')
  end)

  it("halves of surrogate pairs", function()
    for _, text in ipairs { [["\ud800"]], [["\udc00"]], [["\ud800x"]], [["\ud800\n"]],
      [["\ud800\ud800"]], [["\ud800\u0041"]], [["\udc00\ud800"]], [["\ud83d\ude0"]] } do
      assertBad("a wrong escape in a string (at byte 2)", text)
    end
  end)

  it("keys that are there already", function()
    assert.matches("^a key that comes twice", select(2, decode '{"a":1,"b":2,"a":3}'))
    assert.matches("^a key that comes twice", select(2, decode [[{"a":1,"\u0061":3}]]))
    local text = {}
    for i = 1, 100 do text[i] = ('"key%d":%d'):format(i, i) end
    text[101] = '"key5":0'
    assert.matches("^a key that comes twice",
      select(2, decode("{" .. table.concat(text, ",") .. "}")))
  end)

  it("what is nested deeper than the limit", function()
    assert.is_table(decode(("["):rep(512) .. ("]"):rep(512)))
    assertBad("nested too deep (at byte 514)", ("["):rep(513) .. ("]"):rep(513))
  end)
end)
