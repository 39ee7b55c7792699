-- A job leaves one state for another, or falls out of all of them.

local function leave_flight(id, record)
  redis.call('ZREM', key('claimed'), id)
  redis.call('ZREM', key('released'), id)
  redis.call('ZREM', key('released', record.pbx), id)
  if record.state == 'claimed' then end_probe(record.pbx, id) end
  if record.doubt then
    redis.call('ZREM', key('doubts', record.pbx), id)
    redis.call('HDEL', key('job', id), 'doubt', 'doubted_at', 'engaged', 'quiet_since', 'is_free')
  end
end

-- Out of every list, for a job whose record is gone or spoiled and does not say where it is: a ghost among the
-- released would hold its PBX up. Its lane drops it when it comes to its turn, and leases end by themselves, for it
-- may be ringing. Returns whether a list held it that holds only jobs whose life is not over.
local function leave_everything(id)
  local held = 0
  for _, name in ipairs({ 'released', 'claimed', 'expiry' }) do held = held + redis.call('ZREM', key(name), id) end
  for _, name in ipairs({ 'ended', 'outbox', 'arrivals' }) do redis.call('ZREM', key(name), id) end
  for _, pbx in ipairs(redis.call('SMEMBERS', key('known'))) do
    for _, name in ipairs({ 'released', 'later', 'doubts' }) do held = held + redis.call('ZREM', key(name, pbx), id) end
    leave_waits(id, pbx)
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

-- Any final state but placed -> waiting: as if the job had just been handed in, for its attempts, its retries and its
-- age count from now. What its former life came to stays in the timeline alone; its former holder's evidence would
-- now be about a call before the last one. The record must hold what `back_to_lane` needs.
local FORMER_LIFE = { 'finished_at', 'nonce', 'attempts', 'trying_since', 'tries_in_vain', 'errno', 'error', 'callid',
  'outboundid', 'claimed_at', 'placed_at' }
local function bring_back(id, record, reason)
  redis.call('ZREM', key('ended'), id)
  redis.call('ZREM', key('outbox'), id)
  redis.call('PERSIST', key('job', id))
  redis.call('HDEL', key('job', id), unpack(FORMER_LIFE))
  local due = tonumber(record.not_before or 0)
  if due <= NOW then
    due = 0
    record.not_before = stamp(NOW)
    redis.call('HSET', key('job', id), 'not_before', record.not_before)
  end
  if record.expires_at then redis.call('ZADD', key('expiry'), record.expires_at, id) end
  back_to_lane(id, record, due, 0, reason)
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

-- Any state -> a final one: out of every lane, into the list of ended jobs and the outbox. A job may end more than
-- once (unknown, and then evidence): `ends` counts, so that whoever is told can tell the later from the earlier.
-- The process may die right after: the result is still in the outbox, and a sweep delivers it.
local function end_job(id, record, state, retain_s, reason, ...)
  leave_flight(id, record)
  if record.state == 'waiting' then leave_lane(id, record) end
  redis.call('ZREM', key('expiry'), id)
  redis.call('HSET', key('job', id), 'state', state, 'finished_at', stamp(NOW), ...)
  redis.call('HSET', key('job', id), line(record, state, reason))
  redis.pcall('HINCRBY', key('job', id), 'ends', 1) -- an error where somebody spoiled it; the end counts more
  redis.call('EXPIRE', key('job', id), retain_s)
  redis.call('ZADD', key('ended'), stamp(NOW), id)
  redis.call('ZADD', key('outbox'), stamp(NOW), id)
  redis.call('PUBLISH', key('end', id), state)
  return stamp(NOW)
end
