# SPDX-License-Identifier: Apache-2.0
# Sourced by the run scripts from the top of the tree: builds what is measured, unless a build
# tree is given, and sets the paths.
#
#   BENCH_BUILD   folder for builds              BENCH_ARTEL   artel's build tree
#   BENCH_BIN     the reference programs         BENCH_TMP     a scratch folder
# shellcheck shell=sh
BENCH_BUILD="$PWD/bench/build"
BENCH_ARTEL=
previous=
for argument in "$@"; do
    case "$previous" in
    --build) BENCH_BUILD=$argument ;;
    --artel) BENCH_ARTEL=$argument ;;
    esac
    previous=$argument
done
BENCH_BIN="$BENCH_BUILD/reference/bin"

build() { # SOURCE FOLDER
    cmake -S "$1" -B "$2" -DCMAKE_BUILD_TYPE=Release > /dev/null
    cmake --build "$2" > /dev/null
}

if [ "${BENCH_ONLY_READS:-}" != yes ]; then
    build bench "$BENCH_BUILD/reference"
    if [ -z "$BENCH_ARTEL" ]; then
        BENCH_ARTEL="$BENCH_BUILD/artel"
        build . "$BENCH_ARTEL"
    fi
fi

BENCH_TMP=$(mktemp -d)
trap 'rm -rf "$BENCH_TMP"' EXIT
LUA_PATH="$PWD/lua/?.lua;$PWD/lua/?/init.lua;$PWD/?.lua;$PWD/?/init.lua;;"
LUA_CPATH="$BENCH_ARTEL/lib/?.so;;"
export BENCH_BUILD BENCH_ARTEL BENCH_BIN BENCH_TMP LUA_PATH LUA_CPATH
