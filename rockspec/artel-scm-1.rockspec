-- SPDX-License-Identifier: Apache-2.0
rockspec_format = "3.0"
package = "artel"
version = "scm-1"
source = {
  url = "git+https://artel.invalid/artel.git", -- not published yet; luarocks make does not ask
}
description = {
  summary = "Runs Lua code in worker subprocesses",
  detailed = [[
Dedicated workers, worker pools and shared workers (daemons) for Lua 5.4: every worker is
a process of its own, and masters exchange messages (Lua values) with it.]],
  license = "Apache-2.0",
}
supported_platforms = { "unix" }
dependencies = {
  "lua >= 5.4, < 5.5",
  "luv",
}
test_dependencies = {
  "busted",
  "lua-cjson", -- an oracle for the JSON of channels; the benchmarks read theirs with it
}
build = {
  type = "cmake",
  variables = {
    CMAKE_BUILD_TYPE = "Release",
    CMAKE_INSTALL_PREFIX = "$(PREFIX)",
    ARTEL_LUADIR = "$(LUADIR)",
    ARTEL_LIBDIR = "$(LIBDIR)",
    ARTEL_BINDIR = "$(BINDIR)",
    ARTEL_TESTS = "OFF",
    LUA_INCDIR = "$(LUA_INCDIR)",
    LUA_LIBDIR = "$(LUA_LIBDIR)",
  },
}
