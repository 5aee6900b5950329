-- SPDX-License-Identifier: Apache-2.0
local core = require "artel.core"
local helper = require "spec.helper"
local randomValues = require "spec.random_values"

local function encode(value) return core.encode("msgpack", value) end
local function decode(bytes) return core.decode("msgpack", bytes) end

local function hex(bytes)
  return (bytes:gsub(".", function(byte) return ("%02x"):format(byte:byte()) end))
end

local function unhex(digits)
  return (digits:gsub("%s", ""):gsub("%x%x", function(pair)
    return string.char(tonumber(pair, 16))
  end))
end

--- Encodes, compares with the expected bytes, and decodes them again.
local function assertBytes(expected, value)
  local bytes = assert(encode(value))
  assert.equal((expected:gsub("%s", "")), hex(bytes))
  local back = decode(bytes)
  assert.same(value, back)
  assert.equal(math.type(value), math.type(back))
end

local function assertRefused(message, value)
  local bytes, err = encode(value)
  assert.is_nil(bytes)
  assert.equal(message, err)
end

local function assertBad(message, digits)
  local value, err = decode(unhex(digits))
  assert.is_nil(value)
  assert.equal(message, err)
end

--- A table of `count` tables around `value`.
local function nest(count, value)
  for _ = 1, count do value = { value } end
  return value
end

describe("the msgpack codec", function()
  it("writes integers in their smallest form #valgrind", function()
    assertBytes("00", 0)
    assertBytes("7f", 127)
    assertBytes("cc80", 128)
    assertBytes("ccff", 255)
    assertBytes("cd0100", 256)
    assertBytes("cdffff", 65535)
    assertBytes("ce00010000", 65536)
    assertBytes("ceffffffff", 4294967295)
    assertBytes("cf0000000100000000", 4294967296)
    assertBytes("cf7fffffffffffffff", math.maxinteger)
    assertBytes("ff", -1)
    assertBytes("e0", -32)
    assertBytes("d0df", -33)
    assertBytes("d080", -128)
    assertBytes("d1ff7f", -129)
    assertBytes("d18000", -32768)
    assertBytes("d2ffff7fff", -32769)
    assertBytes("d280000000", -2147483648)
    assertBytes("d3ffffffff7fffffff", -2147483649)
    assertBytes("d38000000000000000", math.mininteger)
  end)

  it("keeps floats floats, whatever their value", function()
    assertBytes("cb3ff0000000000000", 1.0)
    assertBytes("cb7ff0000000000000", math.huge)
    assertBytes("cbfff0000000000000", -math.huge)
    assert.equal("cb8000000000000000", hex(encode(-0.0)))
    assert.equal(-math.huge, 1 / decode(encode(-0.0)))
    local nan = decode(encode(0 / 0))
    assert.is_true(nan ~= nan)
  end)

  it("writes UTF-8 as str and any other bytes as bin", function()
    assertBytes("a0", "")
    assertBytes("a3616263", "abc")
    assertBytes("a2c3a4", "\u{e4}")
    assertBytes("c401ff", "\xff")
    assertBytes("c403eda080", "\u{d800}") -- Lua writes surrogates, UTF-8 has none
    for _, length in ipairs { 31, 32, 255, 256, 65535, 65536 } do
      for _, byte in ipairs { "x", "\x80" } do
        local text = byte:rep(length)
        assert.equal(text, decode(encode(text)))
      end
    end
    assert.equal("bf", hex(encode(("x"):rep(31))):sub(1, 2))
    assert.equal("d920", hex(encode(("x"):rep(32))):sub(1, 4))
    assert.equal("da0100", hex(encode(("x"):rep(256))):sub(1, 6))
    assert.equal("db00010000", hex(encode(("x"):rep(65536))):sub(1, 10))
    assert.equal("c50100", hex(encode(("\xff"):rep(256))):sub(1, 6))
    assert.equal("c600010000", hex(encode(("\xff"):rep(65536))):sub(1, 10))
  end)

  it("carries booleans and null, which is truthy", function()
    assertBytes("c2", false)
    assertBytes("c3", true)
    assertBytes("c0", core.null)
    assert.is_true(core.null and true)
    assertBytes("92c0c0", { core.null, core.null })
  end)

  it("writes keys that are exactly 1..n as an array", function()
    assertBytes("90", {})
    assertBytes("93010203", { 1, 2, 3 })
    assertBytes("92 91 01 91 02", { { 1 }, { 2 } })
    local backwards = {}
    for i = 20, 1, -1 do backwards[i] = i end
    assert.equal("dc0014", hex(encode(backwards)):sub(1, 6))
    assert.same(backwards, decode(encode(backwards)))
    assertBytes("92 01 02", { [1] = 1, [2] = 2 })
  end)

  it("writes any other table as a map", function()
    assertBytes("81a16101", { a = 1 })
    assertBytes("810005", { [0] = 5 })
    assertBytes("81c3c2", { [true] = false })
    assertBytes("81cb3ff80000000000000a", { [1.5] = 10 })
    for _, value in ipairs {
      { 1, 2, nil, 4 }, { 1, 2, 3, x = 4 }, { x = { 1, y = { 2, 3, n = 2 } } },
      { [2] = "two" }, { [-1] = { [math.maxinteger] = "far" } }, table.pack(1, nil, 3),
      { { 1 }, { 2 }, x = { 3 } }, { [1] = "a", ["1"] = "b" },
    } do
      assert.same(value, decode(encode(value)))
    end
  end)

  it("writes the head of a map as short as it may, also when its contents are long", function()
    for _, count in ipairs { 0, 1, 15, 16, 17, 65535, 65536, 65537 } do
      for _, text in ipairs { "x", count < 20 and ("long"):rep(500) or nil } do
        local value = {}
        for i = 1, count do value["key" .. i] = text end
        assert.is_true(randomValues.same(value, decode(encode(value))))
      end
    end
    assert.equal("8f", hex(encode({ a = 1, b = 2, c = 3, d = 4, e = 5, f = 6, g = 7, h = 8,
      i = 9, j = 10, k = 11, l = 12, m = 13, n = 14, o = 15 })):sub(1, 2))
  end)

  it("goes by the mark that a table bears", function()
    assertBytes("80", core.object {})
    assertBytes("90", core.array {})
    assertBytes("820101 0202", core.object { 1, 2 })
    assertBytes("92c280", { false, core.object() })
    assertRefused("cannot send an array with a string as a key (at message)",
      core.array { 1, x = 2 })
    assertRefused("cannot send a list with a hole at index 2 (at message.list)",
      { list = core.array { 1, nil, 3 } })
  end)

  it("gives an empty object back as it came", function()
    local value = decode(unhex "9280 90")
    assert.equal("928090", hex(encode(value)))
    value[1].added = true
    assert.equal("9281a56164646564c390", hex(encode(value)))
  end)

  it("sends no metatable and runs no metamethod", function()
    local function never() error "a metamethod ran" end
    local value = setmetatable({ 1, a = "b" }, {
      __index = never, __pairs = never, __len = never, __tostring = never, __name = "X",
    })
    local back = decode(encode { value })
    assert.same({ 1, a = "b" }, back[1])
    assert.is_nil(getmetatable(back[1]))
  end)

  it("sends a table twice when it is met twice", function()
    local shared = { "s" }
    local back = decode(encode { shared, shared, x = { shared } })
    assert.same({ { "s" }, { "s" }, x = { { "s" } } }, back)
    assert.not_equal(back[1], back[2])
  end)

  it("gives back whatever it is given", function()
    local random = randomValues.new(54, { anyNumber = true, anyString = true, anyKey = true })
    for _ = 1, helper.isWatched and 1000 or 3000 do
      local value = random:value()
      local back = decode(assert(encode(value)))
      assert.is_true(randomValues.same(value, back))
    end
  end)

  it("accepts the forms that others write", function()
    assert.equal(1, decode(unhex "cc01"))
    assert.equal(-1, decode(unhex "d3ffffffffffffffff"))
    assert.equal(5, decode(unhex "d005"))
    assert.equal(1.5, decode(unhex "ca3fc00000"))
    assert.equal("a", decode(unhex "d90161"))
    assert.equal("\xff", decode(unhex "a1ff"))
    assert.equal("a", decode(unhex "c6 00000001 61"))
    assert.same({ 1 }, decode(unhex "dd00000001 01"))
    assert.same({ a = 1 }, decode(unhex "de0001 a161 01"))
    assert.same({ a = 1 }, decode(unhex "df00000001 a161 01"))
    assert.same({ "x", "y" }, decode(unhex "82 02 a179 01 a178"))
  end)
end)

describe("the msgpack codec refuses to send", function()
  it("nil", function()
    assertRefused("cannot send nil", nil)
  end)

  it("what is no data, and says where it is", function()
    assertRefused("cannot send a function (at message)", print)
    assertRefused("cannot send a function (at message.jobs[3].callback)",
      { jobs = { 1, 2, { callback = print } } })
    assertRefused("cannot send a thread (at message[2])", { 1, coroutine.create(print) })
    assertRefused("cannot send a userdata (at message.out)", { out = io.stdout })
    assertRefused('cannot send a function (at message["odd key"])', { ["odd key"] = print })
    assertRefused('cannot send a function (at message["a\\"b\\x0A\\xFF"])',
      { ['a"b\n\xff'] = print })
    assertRefused('cannot send a function (at message["2nd"].\u{6f}k)',
      { ["2nd"] = { ok = print } })
    assertRefused("cannot send a function (at message[1.5][true][-3])",
      { [1.5] = { [true] = { [-3] = print } } })
    local backwards = {}
    for i = 9, 1, -1 do backwards[i] = { i } end
    backwards[4] = { print }
    assertRefused("cannot send a function (at message.list[4][1])", { list = backwards })
  end)

  it("keys that are no data", function()
    assertRefused("cannot send a table with a function as a key (at message.a)",
      { a = { [print] = 1 } })
    assertRefused("cannot send a table with a table as a key (at message)", { [{}] = 1 })
    assertRefused("cannot send a table with a userdata as a key (at message)",
      { [core.null] = 1 })
  end)

  it("a table that contains itself", function()
    local value = { a = { b = {} } }
    value.a.parent = value
    assertRefused("cannot send a table that contains itself (at message.a.parent)", value)
    local list = { 1 }
    list[2] = list
    assertRefused("cannot send a table that contains itself (at message[2])", list)
  end)

  it("a table that is nested deeper than the limit", function()
    assert.is_string(encode(nest(128, "x")))
    assert.is_string(encode(nest(127, {})))
    local _, err = encode(nest(128, {}))
    assert.equal("cannot send a table nested deeper than 128 levels (at message"
      .. ("[1]"):rep(8) .. " ... " .. ("[1]"):rep(4) .. ")", err)
  end)

  it("and shows no more of a long key than one wants to read", function()
    local _, err = encode { [("k"):rep(1000000)] = print }
    assert.equal('cannot send a function (at message["' .. ("k"):rep(40) .. '..."])', err)
  end)
end)

describe("the msgpack codec refuses to read", function()
  it("what is cut short, at any place", function()
    local value = { 1, 300, 70000, -200, 1.5, "text", ("x"):rep(40), "\xff", core.null,
      true, { a = { b = {} } }, { [3] = 4 } }
    local bytes = encode(value)
    assert.same(value, decode(bytes))
    for length = 0, #bytes - 1 do
      local got, err = decode(bytes:sub(1, length))
      assert.is_nil(got)
      assert.is_string(err)
    end
  end)

  it("anything behind the value", function()
    assertBad("bytes behind the value (at byte 1)", "01 00")
    assertBad("bytes behind the value (at byte 2)", "9101 c0")
  end)

  it("nothing at all", function()
    assertBad("the value is cut short (at byte 0)", "")
  end)

  it("what Lua cannot hold", function()
    assertBad("an integer above 2^63-1 (at byte 9)", "cf8000000000000000")
    assertBad("an extension type (at byte 1)", "d40100")
    assertBad("an extension type (at byte 1)", "c70100ff")
    assertBad("a type that MessagePack does not have (at byte 2)", "91c1")
  end)

  it("keys that are nil, NaN, containers or there already", function()
    assertBad("nil as a key (at byte 2)", "81c001")
    assertBad("NaN as a key (at byte 10)", "81cb7ff8000000000000 01")
    assertBad("a container as a key (at byte 2)", "819001")
    assertBad("a container as a key (at byte 2)", "818001")
    assertBad("a container as a key (at byte 4)", "81de000001")
    assertBad("a key that comes twice (at byte 6)", "82a1610 1a16102")
    assertBad("a key that comes twice (at byte 4)", "8201010102")
    assertBad("a key that comes twice (at byte 12)", "820101cb3ff0000000000000 02") -- 1.0
    assertBad("a key that comes twice (at byte 4)", "82c301c302")
    assertBad("a key that comes twice (at byte 7)", "82a16101c4016102") -- str and bin
  end)

  it("announcements that the bytes do not bear out", function()
    assertBad("more elements are announced than there are bytes for (at byte 5)",
      "ddffffffff")
    assertBad("more elements are announced than there are bytes for (at byte 5)",
      "dfffffffff")
    assertBad("more elements are announced than there are bytes for (at byte 1)", "92 01")
    assertBad("more elements are announced than there are bytes for (at byte 1)", "82 0101 02")
    assertBad("a string that is cut short (at byte 5)", "dbffffffff")
  end)

  it("what is nested deeper than the limit", function()
    assert.is_table(decode(("\x91"):rep(128) .. "\xc0"))
    assertBad("nested too deep (at byte 129)", ("91"):rep(129) .. "c0")
    assertBad("nested too deep (at byte 157)", ("91"):rep(100) .. ("8101"):rep(28) .. "9090")
  end)
end)
