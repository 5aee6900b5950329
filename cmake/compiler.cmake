# SPDX-License-Identifier: Apache-2.0
# Language level, warnings, hardening and instrumentation, for everything we compile.
include(CheckLinkerFlag)
include(CheckPIESupported)

set(CMAKE_C_STANDARD 11)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
check_pie_supported(LANGUAGES C)

add_compile_definitions(_GNU_SOURCE)
add_compile_options(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes
                    -Wmissing-prototypes)
if(ARTEL_WERROR)
  add_compile_options(-Werror)
endif()

if(ARTEL_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "ARTEL_FUZZ needs clang: cmake -DCMAKE_C_COMPILER=clang ...")
  endif()
  set(ARTEL_SANITIZE ON)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(ARTEL_SANITIZE)
  set(artel_sanitizers -fsanitize=address,undefined)
elseif(ARTEL_THREAD_SANITIZE)
  set(artel_sanitizers -fsanitize=thread)
endif()

if(artel_sanitizers AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
  # gcc's warnings that follow values are wrong about instrumented code; other builds have them.
  add_compile_options(-Wno-maybe-uninitialized -Wno-format-truncation)
endif()

if(artel_sanitizers)
  add_compile_options(${artel_sanitizers} -fno-sanitize-recover=all
                      -fno-omit-frame-pointer -g)
  add_link_options(${artel_sanitizers})
else()
  # Measured on Linux, x86-64, 4,000 rounds in turn, `artel host -h`: a host at a random address
  # (CMake's default with CMAKE_POSITION_INDEPENDENT_CODE) takes 20 us of 640 longer to start
  # than one at a fixed address, and binding everything at once 40 us longer than binding what
  # is called. Of a worker's life that is a hundredth or two. tools/checks/hardened looks
  # whether what is installed has all this.
  #
  # Fortification needs an optimising build; undefined first, as some compilers predefine it.
  set(optimised $<CONFIG:Release,RelWithDebInfo,MinSizeRel>)
  add_compile_options(-fstack-protector-strong
                      $<${optimised}:-U_FORTIFY_SOURCE> $<${optimised}:-D_FORTIFY_SOURCE=2>)
  foreach(flag IN ITEMS relro now noexecstack)
    check_linker_flag(C -Wl,-z,${flag} ARTEL_LINKER_HAS_${flag})
    if(ARTEL_LINKER_HAS_${flag})
      add_link_options(-Wl,-z,${flag})
    endif()
  endforeach()
endif()
