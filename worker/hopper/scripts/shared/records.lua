-- Reading a record, and knowing one that somebody spoiled.

-- Shapes of a record's fields. Whatever passes can be reckoned with here and read by Python: the longest time is
-- that of the year 9999, and a `seq` of more digits would reach into the ranks.
local TEN_DIGITS = string.rep('%d', 10)
local NEEDED = { pbx = '^[a-z0-9][a-z0-9_-]*$', extid = '^%d+$', outto = '^[%d*#+]+$', rank = '^[012]$',
  seq = '^%d+$', enqueued_at = '^' .. TEN_DIGITS .. '%.?%d*$' }
local NUMBER, COUNT, TIME = '^%-?%d+%.?%d*$', '^%-?%d+$', '^' .. TEN_DIGITS .. '%.?%d*$'
local OPTIONAL = { v = COUNT, attempts = COUNT, n = '^%d+$', not_before = NUMBER, expires_at = NUMBER, due = NUMBER,
  hold = NUMBER, claimed_at = NUMBER, doubted_at = NUMBER, quiet_since = NUMBER, placed_at = TIME,
  finished_at = TIME, trying_since = TIME, tries_in_vain = COUNT }
local LONGEST = { pbx = 32, extid = 10, outto = 32, seq = 12, attempts = 9, n = 9, v = 9, tries_in_vain = 9 }
local WORDS = { doubt = { lost_reply = true, said_failed = true, worker_lost = true },
  autoanswer = { yes = true, no = true } }

local function damage_in(name, value)
  local shape = NEEDED[name] or OPTIONAL[name]
  if NEEDED[name] and not value then return name .. ' is missing' end
  if not value then return nil end
  if shape and (#value > (LONGEST[name] or 20) or not string.find(value, shape)) then
    return name .. ' is not readable'
  end
  if WORDS[name] and not WORDS[name][value] then return name .. ' is not readable' end
  if name == 'metadata' then
    local readable, metadata = pcall(cjson.decode, value)
    if not readable or string.find(value, '^[^{]') or string.find(value, '[%z\1-\31]') then
      return 'metadata is not readable'
    end
    for field, text in pairs(metadata) do
      if type(field) ~= 'string' or type(text) ~= 'string' then return 'metadata is not readable' end
    end
  end
end

-- The record format these scripts write, in field `v`. A record of a later version is left to later workers.
local VERSION = 1
local FINAL = { placed = true, failed = true, unknown = true, cancelled = true, expired = true, refused = true }
local STATES = { waiting = true, released = true, claimed = true }
for state in pairs(FINAL) do STATES[state] = true end

-- The named fields of a record, and `v`, `n` and `doubt`; `state` is nil where there is no record. One that somebody
-- spoiled has `damage` set, in words, and no state; so has one that was set aside before: see `abandon`.
local function read(id, ...)
  local names = { 'errno', 'state', 'v', 'n', 'doubt', ... }
  local values = redis.pcall('HMGET', key('job', id), unpack(names))
  if values.err then return { damage = 'its record is not a hash' } end
  local record = {}
  for i, name in ipairs(names) do record[name] = values[i] or nil end
  if not record.state then
    if redis.call('EXISTS', key('job', id)) == 1 then record.damage = 'state is missing' end
    return record
  end
  if record.errno == 'damaged' then
    return { damage = redis.call('HGET', key('job', id), 'error') or 'it was set aside before' }
  end
  if not STATES[record.state] and (tonumber(record.v or 1) or 1) <= VERSION then
    return { damage = 'state is not one of a job' }
  end
  for _, name in ipairs(names) do
    local damage = damage_in(name, record[name])
    -- What a rule forbade may lack the very thing it was forbidden for.
    if damage and (record[name] or record.state ~= 'refused') then return { damage = damage } end
  end
  return record
end

-- How often the job has ended, as text, and of its announcements: how many, and of which end the last was.
-- Both forms begin again where somebody spoiled them.
local function this_end(record) return string.match(record.ends or '1', '^%d%d?%d?%d?%d?%d?$') or '1' end
local function last_told(record) return string.match(record.told or '0|', '^(%d%d?%d?%d?%d?%d?)|(%d*)$') end

-- Seconds since the first attempt that counted, as text; the retry deadline is measured by it.
local function trying_s(record)
  return record.trying_since and stamp(math.max(0, NOW - tonumber(record.trying_since))) or '0'
end
