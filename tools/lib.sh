# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# What the scripts of this folder share. To be sourced by bash.
#
# Every check is a program whose last line is "N passed, N failed"; that line is all that
# tools/test reads, and a program that ends without it has crashed.

set -euo pipefail

top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
scratch=$(mktemp -d "${TMPDIR:-/tmp}/artel-tools.XXXXXX")
trap 'rm -rf "$scratch"' EXIT

# Messages in the language that the scripts can read, and no reading from a terminal.
export LC_ALL=C.UTF-8
exec </dev/null

passed=0
failed=0

say() {
  printf '%s\n' "$*"
}

fail() {
  printf '%s\n' "${0##*/}: $*" >&2
  exit 1
}

# show FILE: its lines, indented; of a long one the beginning and the end.
show() {
  local lines
  lines=$(wc -l <"$1")
  if [ "$lines" -le 120 ]; then
    sed 's/^/    /' "$1"
  else
    sed -n '1,60s/^/    /p' "$1"
    say "    ... $((lines - 120)) lines left out ..."
    tail -n 60 "$1" | sed 's/^/    /'
  fi
}

# check TITLE COMMAND...: one check. Its output is shown when it fails.
check() {
  local title=$1
  shift
  if "$@" >"$scratch/check.out" 2>&1; then
    passed=$((passed + 1))
    say "ok      $title"
  else
    failed=$((failed + 1))
    say "FAILED  $title"
    show "$scratch/check.out"
  fi
}

# finish: the last line, and the exit status that goes with it.
finish() {
  if [ $((passed + failed)) -eq 0 ]; then
    say "nothing was checked"
    failed=1
  fi
  say "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}

# build_folder VARIANT: where tools/build puts it.
build_folder() {
  case $1 in
    normal) say "$top/build" ;;
    asan | fuzz | tsan) say "$top/build-$1" ;;
    *) fail "no build variant '$1': normal, asan, fuzz or tsan" ;;
  esac
}
