-- SPDX-License-Identifier: Apache-2.0
std = "lua54"
max_line_length = 100
cache = false
exclude_files = { "build*", "bench/node_modules" }

files["spec"] = { std = "lua54+busted" }
