-- SPDX-License-Identifier: Apache-2.0
-- Custom channel factories: a module that makes the codec for the payloads of a channel.
--
-- `{ module = "mycodec", options = {...} }` names it; the module answers a function, or a table
-- with `new`, that is called with the options and answers { encode =, decode = }:
-- encode(value) → string, decode(string) → value; what they raise is an encode or decode error.
-- Frames keep the msgpack header, whatever is inside.

local factoryCodec = {}

--- Makes the codec that a factory describes. Raises when it cannot.
---@param factory { module: string, options?: any }
---@return { encode: fun(value: any): string, decode: fun(bytes: string): any }
function factoryCodec.load(factory)
  local module = require(factory.module)
  local make = type(module) == "table" and module.new or module
  if type(make) ~= "function" then
    error(("the channel factory %s answers neither a function nor a table with new")
      :format(factory.module), 0)
  end
  local codec = make(factory.options)
  if type(codec) ~= "table" or not codec.encode or not codec.decode then
    error(("the channel factory %s made no table with encode and decode")
      :format(factory.module), 0)
  end
  return codec
end

--- The fields `encoding` and `codec` of a channel's options.
---@param factory "msgpack"|"json"|table
function factoryCodec.options(factory)
  if type(factory) ~= "table" then return { encoding = factory } end
  return { encoding = "msgpack", codec = factoryCodec.load(factory) }
end

return factoryCodec
