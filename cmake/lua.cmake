# SPDX-License-Identifier: Apache-2.0
# Where Lua 5.4 is: headers for the module, and a library to put into the host.
# LUA_INCDIR and LUA_LIBDIR (LuaRocks sets them) are looked at first.
set(suffixes lua5.4 lua-5.4 lua54 lua)
find_path(ARTEL_LUA_INCLUDE_DIR lua.h HINTS "${LUA_INCDIR}" PATH_SUFFIXES ${suffixes})

# The static library, so that starting a host has nothing to resolve.
find_library(ARTEL_LUA_LIBRARY
             NAMES liblua5.4.a liblua-5.4.a liblua54.a liblua.a lua5.4 lua-5.4 lua54 lua
             HINTS "${LUA_LIBDIR}" PATH_SUFFIXES ${suffixes})

if(NOT ARTEL_LUA_INCLUDE_DIR OR NOT ARTEL_LUA_LIBRARY)
  message(FATAL_ERROR "Lua 5.4 with its headers was not found (Debian: liblua5.4-dev). "
                      "Set LUA_INCDIR and LUA_LIBDIR, or CMAKE_PREFIX_PATH.")
endif()
file(STRINGS "${ARTEL_LUA_INCLUDE_DIR}/lua.h" version REGEX "^#define LUA_VERSION_M[A-Z]+")
if(NOT version MATCHES "MAJOR[^0-9]+5" OR NOT version MATCHES "MINOR[^0-9]+4")
  message(FATAL_ERROR "${ARTEL_LUA_INCLUDE_DIR}/lua.h is not Lua 5.4: set LUA_INCDIR. With "
                      "LuaRocks, run it for Lua 5.4: luarocks --lua-version=5.4 make ...")
endif()

# For what is loaded by a Lua: the headers alone, as the program that loads it has the library.
add_library(artel_lua_headers INTERFACE)
target_include_directories(artel_lua_headers SYSTEM INTERFACE "${ARTEL_LUA_INCLUDE_DIR}")

# For programs that are a Lua. All of it goes in: a module that is loaded later may need
# what the program itself does not call.
add_library(artel_lua INTERFACE)
target_link_libraries(artel_lua INTERFACE artel_lua_headers)
if(ARTEL_LUA_LIBRARY MATCHES "\\.a$" AND NOT APPLE)
  target_link_libraries(artel_lua INTERFACE -Wl,--whole-archive "${ARTEL_LUA_LIBRARY}"
                                            -Wl,--no-whole-archive)
else()
  target_link_libraries(artel_lua INTERFACE "${ARTEL_LUA_LIBRARY}")
endif()
target_link_libraries(artel_lua INTERFACE m ${CMAKE_DL_LIBS})
