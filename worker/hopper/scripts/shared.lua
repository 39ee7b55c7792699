-- What every step shares: key names, the clock, and the moves of a job between states.
-- Put in front of each script when it is loaded; runs nothing by itself.
--
-- KEYS[1] is the namespace NS. Key map (times are unix seconds on this server's clock):
--   NS:job:ID          hash    the record; the truth about one job
--   NS:lane:PBX:EXT    zset    ID -> rank * 1e13 + seq: jobs of one extension that may go now
--   NS:ring:PBX:RANK   zset    EXT -> time it may ring next: lanes whose first job has this rank
--   NS:later:PBX       zset    ID -> due time: jobs whose time has not come (not_before, parked)
--   NS:pbxs            zset    PBX -> time the pacer looks at it next: the round between PBXs
--   NS:released[:PBX]  zset    ID -> time released: handed to Celery, not yet claimed
--   NS:claimed         zset    ID -> time the claim counts as dead
--   NS:lines:PBX       zset    ID -> end of lease: one open call
--   NS:exts:PBX        zset    EXT -> end of lease: extension in a call or resting
--   NS:expiry          zset    ID -> expires_at of jobs that have one and are not final
--   NS:pbx:PBX         hash    limits, `tat` (GCRA), `closed_until`, `closed_reason`
--   NS:token:PBX       hash    the shared login (see login_turn.lua)
--   NS:paused          set     PBX names, and * for the kill switch
--   NS:ended           zset    ID -> time it ended, for listing
--   NS:outbox          zset    ID -> time it ended: results not yet delivered
--   NS:wake            list    at most one item: a sleeping pacer should look again
--   NS:starved         string  the pacer stopped for want of room at this many released jobs
--   NS:seq             string  counter: order of arrival within a lane
--   NS:workers         hash    NAME -> "slots|alive until"
local NS = KEYS[1]
local RANK_STEP = 1e13

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function key(kind, first, second)
  if second then return NS .. ':' .. kind .. ':' .. first .. ':' .. second end
  if first then return NS .. ':' .. kind .. ':' .. first end
  return NS .. ':' .. kind
end

-- Times go into hashes with microseconds; Lua's own tostring would keep only 14 digits.
local function stamp(seconds) return string.format('%.6f', seconds) end

local function read(id, ...)
  local names = { ... }
  local values = redis.call('HMGET', key('job', id), ...)
  local record = {}
  for i, name in ipairs(names) do record[name] = values[i] or nil end
  return record
end

-- A step that frees something calls this; one waiting token is enough for any number of reasons.
local function wake()
  if redis.call('LLEN', key('wake')) == 0 then redis.call('LPUSH', key('wake'), '1') end
end

local function is_paused(pbx)
  return redis.call('SISMEMBER', key('paused'), '*') == 1 or redis.call('SISMEMBER', key('paused'), pbx) == 1
end

-- Puts the lane where its first job says it belongs. Safe to call at any time. A lane whose extension is
-- free keeps its turn; one whose extension just became free, or that was just served, goes to the end.
-- Whoever takes a job out of a lane calls this with `shorter` set, for it may have been the last.
local function place_lane(pbx, extid, shorter, served)
  local head = redis.call('ZRANGE', key('lane', pbx, extid), 0, 0, 'WITHSCORES')
  if not head[1] and not shorter then return end
  local rank = head[1] and math.floor(tonumber(head[2]) / RANK_STEP) or -1
  local lease = tonumber(redis.call('ZSCORE', key('exts', pbx), extid) or 0)
  local at = math.max(lease, NOW)
  for ring = 0, 2 do
    local turn = tonumber(redis.call('ZSCORE', key('ring', pbx, ring), extid) or NOW)
    if lease <= NOW and turn < NOW and not served then at = math.max(turn, lease) end
    if ring ~= rank then redis.call('ZREM', key('ring', pbx, ring), extid) end
  end
  if rank < 0 then return end
  redis.call('ZADD', key('ring', pbx, rank), at, extid)
  if redis.call('ZADD', key('pbxs'), 'LT', 'CH', math.max(at, NOW), pbx) == 1 then wake() end
end

local function has_jobs(pbx)
  return redis.call('EXISTS', key('ring', pbx, 0), key('ring', pbx, 1), key('ring', pbx, 2), key('later', pbx)) > 0
end

-- Something about a PBX changed that may let a waiting job go: the pacer looks again.
local function look_again(pbx, at)
  if redis.call('ZADD', key('pbxs'), 'XX', 'LT', 'CH', at or NOW, pbx) == 1 then wake() end
end

local function enter_lane(id, record)
  local score = tonumber(record.rank) * RANK_STEP + tonumber(record.seq)
  local lane = key('lane', record.pbx, record.extid)
  redis.call('ZADD', lane, score, id)
  -- Behind others it changes nothing about when the lane may go, and most jobs of an import come behind others.
  if redis.call('ZRANK', lane, id) == 0 then place_lane(record.pbx, record.extid) end
end

local function enter_later(id, record, due)
  redis.call('ZADD', key('later', record.pbx), due, id)
  redis.call('ZADD', key('pbxs'), 'LT', due, record.pbx)
end

local function leave_lane(id, record)
  redis.call('ZREM', key('later', record.pbx), id)
  if redis.call('ZREM', key('lane', record.pbx, record.extid), id) == 1 then
    place_lane(record.pbx, record.extid, true)
  end
end

local function pbx_limits(pbx)
  local values = redis.call('HMGET', key('pbx', pbx),
    'calls_per_second', 'burst', 'max_open_calls', 'open_call_s', 'extension_rest_s', 'tat', 'closed_until')
  if not values[1] then return nil end
  return { calls_per_second = values[1], burst = values[2], max_open_calls = tonumber(values[3]),
    open_call_s = tonumber(values[4]), extension_rest_s = tonumber(values[5]),
    tat = values[6] or nil, closed_until = tonumber(values[7] or 0) }
end

-- Line and extension are leased together. The record remembers the extension's lease as `hold` (in the same HSET
-- as whatever else changes), so that nobody shortens a lease that is another job's.
local function hold(id, record, line_until, ext_until, ...)
  local mark = stamp(ext_until)
  redis.call('ZADD', key('lines', record.pbx), line_until, id)
  redis.call('ZADD', key('exts', record.pbx), mark, record.extid)
  redis.call('HSET', key('job', id), 'hold', mark, ...)
  record.hold = mark
end

-- After a call that was placed, or may have been: from now on, line and extension are held as long as a call lasts.
local function hold_for_a_call(id, record, ...)
  local limits = pbx_limits(record.pbx) or { open_call_s = 60, extension_rest_s = 0 }
  local over_at = NOW + limits.open_call_s
  hold(id, record, over_at, over_at + limits.extension_rest_s, ...)
  place_lane(record.pbx, record.extid)
  -- Also where nothing waits: that visit clears the line away.
  if redis.call('ZADD', key('pbxs'), 'LT', 'CH', math.max(over_at, NOW), record.pbx) == 1 then wake() end
end

-- The leases of a released job outlast the longest way from here: released for its whole time, claimed at its
-- last moment, the claim dead, and the phone ringing all the same. So a claim need not touch them.
local function reserve(id, record, limits, begins_in_s, release_ttl_s, dead_after_s, ...)
  local over_at = NOW + begins_in_s + release_ttl_s + dead_after_s + limits.open_call_s
  hold(id, record, over_at, over_at + limits.extension_rest_s, ...)
end

local function owns_extension(record)
  local lease = redis.call('ZSCORE', key('exts', record.pbx), record.extid)
  return lease and record.hold and tonumber(lease) == tonumber(record.hold)
end

-- Gives line and extension back; `rest_s` keeps the extension a little longer (it said busy).
local function let_go(id, record, rest_s)
  redis.call('ZREM', key('lines', record.pbx), id)
  if owns_extension(record) then
    if rest_s and rest_s > 0 then
      redis.call('ZADD', key('exts', record.pbx), stamp(NOW + rest_s), record.extid)
    else
      redis.call('ZREM', key('exts', record.pbx), record.extid)
    end
    place_lane(record.pbx, record.extid)
  end
  redis.call('HDEL', key('job', id), 'hold')
  look_again(record.pbx) -- a freed line may let another lane go
  wake()
end

local function leave_flight(id, record)
  redis.call('ZREM', key('released'), id)
  redis.call('ZREM', key('released', record.pbx), id)
  redis.call('ZREM', key('claimed'), id)
end

-- released or claimed -> waiting. `due` 0 means: as soon as pacing allows.
local function back_to_lane(id, record, due, rest_s)
  leave_flight(id, record)
  let_go(id, record, rest_s)
  redis.call('HSET', key('job', id), 'state', 'waiting', 'due', stamp(due))
  if due > NOW then enter_later(id, record, due) else enter_lane(id, record) end
end

-- Any state -> a final one: out of every lane, into the list of ended jobs and the outbox.
-- The process may die right after: the result is still in the outbox, and a sweep delivers it.
local function end_job(id, record, state, retain_s, ...)
  leave_flight(id, record)
  if record.state == 'waiting' then leave_lane(id, record) end
  redis.call('ZREM', key('expiry'), id)
  redis.call('HSET', key('job', id), 'state', state, 'finished_at', stamp(NOW), ...)
  redis.call('EXPIRE', key('job', id), retain_s)
  redis.call('ZADD', key('ended'), stamp(NOW), id)
  redis.call('ZADD', key('outbox'), stamp(NOW), id)
  redis.call('PUBLISH', key('end', id), state)
  return stamp(NOW)
end

-- GCRA with two twists, both from the promise "never more than the limit in any sliding second":
-- permits come `slack` further apart than asked, and one may be taken up to `slack` early, so a
-- claim some milliseconds late costs nothing. n + 1 claims then span n * interval - slack >= 1 s.
local SLACK_S = 0.015
local function permits(limits)
  local rate = tonumber(limits.calls_per_second)
  local interval = (1 + SLACK_S + 0.0005) / rate
  return interval, (tonumber(limits.burst) - 1) * interval + SLACK_S
end

-- When the next permit is due, on the grid that earlier ones set. Further ahead than one burst it can stand
-- only by a lower limit of yesterday, or a clock set back.
local function next_permit(limits)
  local interval, tolerance = permits(limits)
  return math.min(math.max(tonumber(limits.tat or 0), NOW), NOW + tolerance + interval)
end

-- Seconds until this PBX has a permit for somebody behind `ahead` others; 0 or less means now.
local function permit_wait(limits, ahead)
  local interval, tolerance = permits(limits)
  return next_permit(limits) + ahead * interval - tolerance - NOW
end
