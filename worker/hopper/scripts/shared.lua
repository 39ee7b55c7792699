-- What every step shares: key names, the clock, and the moves of a job between states.
-- Put in front of each script when it is loaded; runs nothing by itself.
--
-- KEYS[1] is the namespace NS; ARGV[1] is who acts, taken off before a step reads its own ARGV.
-- Key map (times are unix seconds on this server's clock):
--   NS:job:ID          hash    the record; the truth about one job
--   NS:lane:PBX:EXT    zset    ID -> rank * 1e13 + seq: jobs of one extension that may go now
--   NS:ring:PBX:RANK   zset    EXT -> time it may ring next: lanes whose first job has this rank
--   NS:later:PBX       zset    ID -> due time: jobs whose time has not come (not_before, parked)
--   NS:pbxs            zset    PBX -> time the pacer looks at it next: the round between PBXs
--   NS:released[:PBX]  zset    ID -> time released: handed to Celery, not yet claimed
--   NS:claimed         zset    ID -> time the claim counts as dead
--   NS:doubts:PBX      zset    ID -> time of the last look: claimed, and nobody knows whether it rang
--   NS:looks           zset    PBX -> time of the next look at what it shows of its doubts
--   NS:lines:PBX       zset    ID -> end of lease: one open call
--   NS:exts:PBX        zset    EXT -> end of lease: extension in a call or resting
--   NS:expiry          zset    ID -> expires_at of jobs that have one and are not final
--   NS:pbx:PBX         hash    limits, `tat` (GCRA), and the breaker (see `breaker` below)
--   NS:known           set     names of all PBXs ever registered
--   NS:token:PBX       hash    the shared login (see login_turn.lua)
--   NS:paused          set     PBX names, and * for the kill switch
--   NS:ended           zset    ID -> time it ended, for listing
--   NS:outbox          zset    ID -> time it ended: results not yet delivered
--   NS:wake            list    at most one item: a sleeping pacer should look again
--   NS:starved         string  the pacer stopped for want of room at this many released jobs
--   NS:seq             string  counter: order of arrival within a lane
--   NS:workers         hash    NAME -> "slots|alive until"
--   NS:aside           list    newest first: notes of what could not be used, as JSON (see set_aside.lua)
--   NS:aside_count     string  how many notes there were, those no longer kept included
--
-- A full server: a script whose first write is one that Redis refuses for want of memory (HSET, ZADD, SET, …) fails
-- before any change; one whose first write is allowed (ZREM, HDEL, …) may do everything. Steps that lead to a call
-- begin with `only_with_room`, steps that tell what has happened begin with a removal.
local NS = KEYS[1]
local WHO = table.remove(ARGV, 1)
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

-- Changes nothing; fails when the server is full.
local function only_with_room() redis.call('SETRANGE', key('seq'), 0, '') end

-- Shapes of a record's fields. Whatever passes can be reckoned with here and read by Python: the longest time is
-- that of the year 9999, and a `seq` of more digits would reach into the ranks.
local TEN_DIGITS = string.rep('%d', 10)
local NEEDED = { pbx = '^[a-z0-9][a-z0-9_-]*$', extid = '^%d+$', outto = '^[%d*#+]+$', rank = '^[012]$',
  seq = '^%d+$', enqueued_at = '^' .. TEN_DIGITS .. '%.?%d*$' }
local NUMBER, COUNT, TIME = '^%-?%d+%.?%d*$', '^%-?%d+$', '^' .. TEN_DIGITS .. '%.?%d*$'
local OPTIONAL = { v = COUNT, attempts = COUNT, n = '^%d+$', not_before = NUMBER, expires_at = NUMBER, due = NUMBER,
  hold = NUMBER, claimed_at = NUMBER, doubted_at = NUMBER, quiet_since = NUMBER, placed_at = TIME,
  finished_at = TIME }
local LONGEST = { pbx = 32, extid = 10, outto = 32, seq = 12, attempts = 9, n = 9, v = 9 }
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
    if damage then return { damage = damage } end
  end
  return record
end

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
  local values = redis.call('HMGET', key('pbx', pbx), 'calls_per_second', 'burst', 'max_open_calls', 'open_call_s',
    'extension_rest_s', 'tat', 'barred_until', 'probe', 'probe_until')
  if not values[1] then return nil end
  return { calls_per_second = values[1], burst = values[2], max_open_calls = tonumber(values[3]),
    open_call_s = tonumber(values[4]), extension_rest_s = tonumber(values[5]), tat = values[6] or nil,
    barred_until = values[7] and tonumber(values[7]), probe = values[8] or nil,
    probe_until = tonumber(values[9] or 0) }
end

-- The breaker of one PBX: `failures` in a row, `trips` in a row, `barred_until` and `barred_reason` from the first
-- trip on, `barred_since` (that trip), `barred_by` (down | login). Open until `barred_until`, then half open: one claim
-- may go as `probe` until `probe_until`. Returns nil (closed), or until when nobody else may try (0: a probe may).
local function barred(limits, id)
  if not limits.barred_until then return nil end
  if limits.barred_until > NOW then return limits.barred_until end
  if limits.probe_until > NOW and limits.probe ~= id then return limits.probe_until end
  return 0
end

local function begin_probe(pbx, id, lasts_s)
  redis.call('HSET', key('pbx', pbx), 'probe', id, 'probe_until', stamp(NOW + lasts_s))
end

-- The probe is over, whatever it told: another may go.
local function end_probe(pbx, id)
  if redis.call('HGET', key('pbx', pbx), 'probe') ~= id then return end
  redis.call('HDEL', key('pbx', pbx), 'probe', 'probe_until')
  look_again(pbx)
end

local function close_breaker(pbx)
  redis.call('HDEL', key('pbx', pbx), 'failures', 'trips', 'barred_until', 'barred_reason', 'barred_by', 'barred_since',
    'probe', 'probe_until')
end

-- The PBX gave an answer, whatever it says: the breaker closes. One barred for its log-in opens by a log-in alone.
-- Returns '1' if the breaker had been open.
local function answered(pbx)
  if redis.call('HDEL', key('pbx', pbx), 'failures') == 0 then return '' end
  local state = redis.call('HMGET', key('pbx', pbx), 'barred_until', 'barred_by')
  if not state[1] or state[2] == 'login' then return '' end
  close_breaker(pbx)
  look_again(pbx)
  return '1'
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
  redis.call('ZREM', key('claimed'), id)
  redis.call('ZREM', key('released'), id)
  redis.call('ZREM', key('released', record.pbx), id)
  if record.state == 'claimed' then end_probe(record.pbx, id) end
  if record.doubt then
    redis.call('ZREM', key('doubts', record.pbx), id)
    redis.call('HDEL', key('job', id), 'doubt', 'doubted_at', 'engaged', 'quiet_since')
  end
end

-- Out of every list, for a job whose record is gone or spoiled and does not say where it is: a ghost among the
-- released would hold its PBX up. Its lane drops it when it comes to its turn, and leases end by themselves, for it
-- may be ringing. Returns whether a list held it that holds only jobs whose life is not over.
local function leave_everything(id)
  local held = 0
  for _, name in ipairs({ 'released', 'claimed', 'expiry' }) do held = held + redis.call('ZREM', key(name), id) end
  for _, name in ipairs({ 'ended', 'outbox' }) do redis.call('ZREM', key(name), id) end
  for _, pbx in ipairs(redis.call('SMEMBERS', key('known'))) do
    for _, name in ipairs({ 'released', 'later', 'doubts' }) do held = held + redis.call('ZREM', key(name, pbx), id) end
    end_probe(pbx, id)
    look_again(pbx)
  end
  return held > 0
end

-- A note for the doctor; it says nothing of the content. Notes go a week after the last one.
local MOST_NOTES, NOTES_KEPT_S = 100, 7 * 86400
local function set_aside(what, id, reason)
  redis.call('LTRIM', key('aside'), 0, MOST_NOTES - 2)
  redis.call('LPUSH', key('aside'), cjson.encode({ at = NOW, what = what, id = id, reason = reason }))
  redis.call('INCR', key('aside_count'))
  redis.call('EXPIRE', key('aside'), NOTES_KEPT_S)
  redis.call('EXPIRE', key('aside_count'), NOTES_KEPT_S)
end

-- A spoiled record holds nobody up: it leaves every list, is never dialed, and the doctor shows it for a week.
-- One that waited or was released has certainly not rung, and gives back what it held; one that has ended has ended as
-- it did. Twice changes nothing.
local function abandon(id, damage)
  leave_everything(id)
  local home = key('job', id)
  local kind = redis.call('TYPE', home).ok
  if kind ~= 'hash' then
    if redis.call('TTL', home) >= 0 then return end
    redis.call('EXPIRE', home, NOTES_KEPT_S)
    return set_aside('job', id, damage)
  end
  local values = redis.call('HMGET', home, 'state', 'pbx', 'extid', 'hold', 'errno')
  if values[5] == 'damaged' then return end
  local is_quiet = values[1] == 'waiting' or values[1] == 'released'
  local record = { pbx = values[2], extid = values[3], hold = values[4] }
  if values[1] == 'released' and not damage_in('pbx', record.pbx) and not damage_in('extid', record.extid) then
    let_go(id, record)
  end
  redis.call('HSET', home, 'errno', 'damaged', 'error', damage)
  if not FINAL[values[1]] then
    redis.call('HSET', home, 'state', is_quiet and 'failed' or 'unknown', 'finished_at', stamp(NOW))
  end
  redis.call('EXPIRE', home, NOTES_KEPT_S)
  set_aside('job', id, damage)
end

-- A job's metadata, or ''. Not worth losing a result for: what cannot be read is taken out of the record.
local function readable_metadata(id)
  local metadata = redis.call('HGET', key('job', id), 'metadata')
  if not metadata then return '' end
  if not damage_in('metadata', metadata) then return metadata end
  redis.call('HDEL', key('job', id), 'metadata')
  set_aside('job', id, 'metadata was not readable, and is left out of its result')
  return ''
end

-- A record that is gone while its job still had to live; one that ended long ago is nothing to tell of.
local function forget(id, was_alive)
  if leave_everything(id) or was_alive then set_aside('job', id, 'its record is gone') end
end

-- released or claimed -> waiting. `due` 0 means: as soon as pacing allows.
local function back_to_lane(id, record, due, rest_s, reason)
  leave_flight(id, record)
  let_go(id, record, rest_s)
  redis.call('HSET', key('job', id), 'state', 'waiting', 'due', stamp(due), line(record, 'waiting', reason))
  if due > NOW then enter_later(id, record, due) else enter_lane(id, record) end
end

-- claimed -> claimed, but nobody may be sure any more whether the phone rang: the PBX is looked at.
-- Line and extension stay held for as long as the looking may take, and a call after it.
local function doubt(id, record, kind, errno, error, at_most_s, every_s)
  redis.call('ZREM', key('claimed'), id)
  local limits = pbx_limits(record.pbx) or { open_call_s = 60, extension_rest_s = 0 }
  if owns_extension(record) then
    local over_at = NOW + at_most_s + limits.open_call_s
    hold(id, record, over_at, over_at + limits.extension_rest_s)
    place_lane(record.pbx, record.extid)
  end
  redis.call('HSET', key('job', id), 'doubt', kind, 'doubted_at', stamp(NOW), 'errno', errno, 'error', error,
    line(record, 'doubted', errno))
  redis.call('ZADD', key('doubts', record.pbx), NOW, id)
  local looked_at = tonumber(redis.call('HGET', key('pbx', record.pbx), 'looked_at') or 0)
  redis.call('ZADD', key('looks'), 'LT', math.max(NOW, looked_at + every_s), record.pbx)
  end_probe(record.pbx, id)
end

-- Any state -> a final one: out of every lane, into the list of ended jobs and the outbox.
-- The process may die right after: the result is still in the outbox, and a sweep delivers it.
local function end_job(id, record, state, retain_s, reason, ...)
  leave_flight(id, record)
  if record.state == 'waiting' then leave_lane(id, record) end
  redis.call('ZREM', key('expiry'), id)
  redis.call('HSET', key('job', id), 'state', state, 'finished_at', stamp(NOW), ...)
  redis.call('HSET', key('job', id), line(record, state, reason))
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
