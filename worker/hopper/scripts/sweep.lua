-- sweep: what the dead left behind. One worker at a time; cheap when there is nothing.
-- KEYS[1] NS. ARGV: most per kind, release_ttl_s, retain_s, age of results to deliver again (s),
-- errno and error for a dead claim, longest time of the looking (s), shortest time between looks (s), seconds between
-- sweeps.
-- Expired jobs end; released ones whose message was lost go back to their lane; dead claims are in doubt, for the
-- phone may have rung. Returns {ids whose results should be delivered (again)}, or
-- false if another worker swept within the interval, or the clock is in doubt. Safe to repeat: each move is checked by state.
local most, release_ttl_s, retain_s = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if is_clock_in_doubt() then return false end
local swept_at = tonumber(redis.call('GET', key('sweeping')) or 0)
if swept_at > NOW - tonumber(ARGV[9]) and swept_at <= NOW then return false end
redis.call('DEL', key('sweeping')) -- a removal first: a full server must be swept too
redis.call('SET', key('sweeping'), stamp(NOW), 'EX', 60)

local function due(zset, before)
  return redis.call('ZRANGE', zset, '-inf', before, 'BYSCORE', 'LIMIT', 0, most)
end

-- The record if it can be worked with; one that is gone or spoiled leaves every list.
local function sound(id, ...)
  local record = read(id, ...)
  if record.state then return record end
  if record.damage then abandon(id, record.damage) else forget(id) end
end

for _, id in ipairs(due(key('released'), NOW - release_ttl_s)) do
  local record = sound(id, 'pbx', 'extid', 'hold', 'rank', 'seq')
  if record and record.state == 'released' then
    back_to_lane(id, record, 0, 0, 'message lost')
  elseif record then
    redis.call('ZREM', key('released'), id)
    redis.call('ZREM', key('released', record.pbx), id)
  end
end

for _, id in ipairs(due(key('claimed'), NOW)) do
  local record = sound(id, 'pbx', 'extid', 'hold')
  if record and record.state == 'claimed' and not record.doubt then
    doubt(id, record, 'worker_lost', ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8]))
  elseif record then
    redis.call('ZREM', key('claimed'), id)
  end
end

for _, id in ipairs(due(key('expiry'), NOW)) do
  local record = sound(id, 'pbx', 'extid', 'hold')
  if record and (record.state == 'waiting' or record.state == 'released') then
    if record.state == 'released' then let_go(id, record) end
    end_job(id, record, 'expired', retain_s)
  elseif record and record.state ~= 'claimed' then
    redis.call('ZREM', key('expiry'), id)
  end
end

local RECORDS_GONE = 2000 -- per sweep; as many arguments as Lua can hand on
local gone = redis.call('ZRANGE', key('ended'), '-inf', NOW - tonumber(retain_s), 'BYSCORE', 'LIMIT', 0, RECORDS_GONE)
for _, list in ipairs(gone[1] and { 'ended', 'outbox', 'arrivals' } or {}) do
  redis.call('ZREM', key(list), unpack(gone))
end
tidy_index()
local undelivered = {}
for _, id in ipairs(due(key('outbox'), NOW - tonumber(ARGV[4]))) do
  local record = sound(id, 'pbx', 'extid', 'enqueued_at', 'attempts', 'placed_at', 'finished_at')
  if record and FINAL[record.state] and not record.finished_at then
    abandon(id, 'finished_at is missing')
  elseif record then
    readable_metadata(id)
    undelivered[#undelivered + 1] = id
  end
end
return undelivered
