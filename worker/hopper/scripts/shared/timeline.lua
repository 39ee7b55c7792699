-- What a record remembers of its own life.

-- One line of a job's timeline, as fields for the HSET of its record: `~1` to `~4` are the first lines, `~5` to `~20`
-- the last ones, going round; `n` counts all. A line is `time|state|who|reason`, at most 64 bytes long, for with
-- longer values Redis would hold the record in a form that takes twice the memory. The record must hold `n`.
local FIRST_LINES, LAST_LINES = 4, 16
-- No more than `most` bytes of UTF-8, and no half character: clients refuse a record that holds one.
local function cut(text, most)
  if #text <= most then return text end
  while most > 0 and string.find(string.sub(text, most + 1, most + 1), '[\128-\191]') do most = most - 1 end
  return string.sub(text, 1, most)
end

local function line(record, what, reason)
  local n = tonumber(record.n or 0) + 1
  record.n = n
  local place = n
  if n > FIRST_LINES then place = FIRST_LINES + 1 + (n - FIRST_LINES - 1) % LAST_LINES end
  local text = string.format('%.3f|%s|%s|%s', NOW, what, cut(WHO, 24), reason or '')
  return 'n', n, '~' .. place, cut(text, 64)
end
