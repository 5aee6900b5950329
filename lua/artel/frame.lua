-- SPDX-License-Identifier: Apache-2.0
-- The kinds of frames by name; the numbers are those on the wire (docs/wire.md).

return {
  MESSAGE = 0,
  REQUEST = 1,
  RESPONSE = 2,
  ERROR = 3,
  STOP = 4,
  QUERY = 5,
  STATUS = 6,
  READY = 7,
  FAILED = 8,
  CANCEL = 9,
}
