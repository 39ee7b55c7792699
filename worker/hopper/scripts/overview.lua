-- overview: several PBXs at a glance. KEYS[1] NS. ARGV: names of PBXs.
-- Returns JSON: {everything_paused, everything_pause (its author, see `pauses` in keys.lua, or ''), held_why (why workers
-- begin no call; '': they do), refusal (why Redis takes nothing in; '': it does), undelivered (results), aside (how many
-- things were set aside), workers [[name, slots], …] of
-- those alive, now, pbxs [{known (a worker has registered it), waiting and oldest_s (lists by rank; 0: none waits), later,
-- released, in_doubt, open_calls, calls_per_second, burst, max_open_calls, paused, pause (its author, or ''), paused_lanes
-- [[extid, author, jobs, end of lease], …] (waiting and oldest_s leave them out), barred_until (0: closed), barred_since,
-- barred_reason, barred_by, logged_in}, …]}.
-- Changes nothing but entries of `waits` that a step of an older version left behind: those at the head are removed.
local REPAIRS = 20

-- Who paused what: by PBX, and by PBX and extension.
local authors, extensions = {}, {}
local pauses = redis.call('HGETALL', key('pauses'))
for i = 1, #pauses, 2 do
  local pbx, extid = string.match(pauses[i], '^([^/]+)/(.+)$')
  if pbx then
    extensions[pbx] = extensions[pbx] or {}
    extensions[pbx][extid] = pauses[i + 1]
  else
    authors[pauses[i]] = pauses[i + 1]
  end
end

local function oldest(pbx, rank)
  local waits, passed_over = key('waits', pbx, rank), 0
  for _ = 1, REPAIRS do
    local head = redis.call('ZRANGE', waits, passed_over, passed_over, 'WITHSCORES')
    if not head[1] then break end
    local found = redis.pcall('HMGET', key('job', head[1]), 'state', 'extid')
    if found[1] ~= 'waiting' then
      redis.call('ZREM', waits, head[1])
    elseif (extensions[pbx] or {})[found[2]] then
      passed_over = passed_over + 1
    else
      return math.max(0, NOW - tonumber(head[2]))
    end
  end
  -- Jobs that an older version put are in no such list: the first one of the lane whose turn it is stands for them.
  local lane = redis.call('ZRANGE', key('ring', pbx, rank), 0, 0)[1]
  local id = lane and redis.call('ZRANGE', key('lane', pbx, lane), 0, 0)[1]
  local record = id and read(id, 'enqueued_at', 'not_before') or {}
  return record.state and math.max(0, NOW - first_go(id, record)) or 0
end

-- The paused lanes of a PBX, and how many jobs in them are of each rank.
local function paused_lanes(pbx)
  local found, jobs = {}, { 0, 0, 0 }
  for extid, author in pairs(extensions[pbx] or {}) do
    local lane, lease = key('lane', pbx, extid), redis.call('ZSCORE', key('exts', pbx), extid)
    found[#found + 1] = { extid, author, redis.call('ZCARD', lane), tonumber(lease or 0) }
    for rank = 0, 2 do
      local count = redis.call('ZCOUNT', lane, rank * RANK_STEP, '(' .. (rank + 1) * RANK_STEP)
      jobs[rank + 1] = jobs[rank + 1] + count
    end
  end
  return found, jobs
end

local function glance(pbx)
  local waiting, ages = {}, {}
  local paused, jobs_of_paused = paused_lanes(pbx)
  for rank = 0, 2 do
    local lanes = redis.call('ZCARD', key('ring', pbx, rank))
    ages[rank + 1] = oldest(pbx, rank)
    waiting[rank + 1] = math.max(lanes, redis.call('ZCARD', key('waits', pbx, rank)) - jobs_of_paused[rank + 1])
  end
  local state = redis.call('HMGET', key('pbx', pbx), 'calls_per_second', 'burst', 'max_open_calls', 'barred_until',
    'barred_since', 'barred_reason', 'barred_by')
  local released = redis.call('ZCARD', key('released', pbx))
  return { known = state[1] and is_known(pbx) or false, waiting = waiting, oldest_s = ages, released = released,
    later = redis.call('ZCARD', key('later', pbx)), in_doubt = redis.call('ZCARD', key('doubts', pbx)),
    -- A released job has its line reserved already.
    open_calls = math.max(0, redis.call('ZCOUNT', key('lines', pbx), NOW, '+inf') - released),
    calls_per_second = tonumber(state[1] or 0), burst = tonumber(state[2] or 0),
    max_open_calls = tonumber(state[3] or 0), barred_until = tonumber(state[4] or 0),
    barred_since = tonumber(state[5] or 0), barred_reason = state[6] or '', barred_by = state[7] or '',
    paused = redis.call('SISMEMBER', key('paused'), pbx) == 1, pause = authors[pbx] or '', paused_lanes = paused,
    logged_in = redis.call('HEXISTS', key('pbx', pbx), 'logged_in') == 1 }
end

local workers, values = {}, redis.call('HGETALL', key('workers'))
for i = 1, #values, 2 do
  local slots, alive_until = string.match(values[i + 1], '^(%d+)|([%d.]+)$')
  if slots and tonumber(alive_until) > NOW then workers[#workers + 1] = { values[i], tonumber(slots) } end
end
local pbxs = {}
for i, pbx in ipairs(ARGV) do pbxs[i] = glance(pbx) end
return cjson.encode({ now = NOW, pbxs = pbxs, workers = workers,
  held_why = held_back() or '', refusal = refusal(),
  everything_paused = redis.call('SISMEMBER', key('paused'), '*') == 1, everything_pause = authors['*'] or '',
  undelivered = redis.call('ZCARD', key('outbox')),
  aside = tonumber(redis.call('GET', key('aside_count')) or 0) or 0 })
