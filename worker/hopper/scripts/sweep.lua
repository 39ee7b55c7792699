-- sweep: what the dead left behind. One worker at a time; cheap when there is nothing.
-- KEYS[1] NS. ARGV: most per kind, release_ttl_s, retain_s, age of results to deliver again (s),
-- error text for a dead claim, seconds between sweeps.
-- Expired jobs end; released ones whose message was lost go back to their lane; dead claims end as
-- unknown, for the phone may have rung. Returns {ids whose results should be delivered (again)}, or
-- false if another worker swept within the interval. Safe to repeat: each move is checked by state.
local most, release_ttl_s, retain_s = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
if not redis.call('SET', key('sweeping'), '1', 'NX', 'PX', math.floor(tonumber(ARGV[6]) * 1000)) then return false end

local function due(zset, before)
  return redis.call('ZRANGE', zset, '-inf', before, 'BYSCORE', 'LIMIT', 0, most)
end

for _, id in ipairs(due(key('released'), NOW - release_ttl_s)) do
  local record = read(id, 'state', 'pbx', 'extid', 'hold', 'rank', 'seq')
  if record.state == 'released' then
    back_to_lane(id, record, 0)
  else
    redis.call('ZREM', key('released'), id)
  end
end

for _, id in ipairs(due(key('claimed'), NOW)) do
  local record = read(id, 'state', 'pbx', 'extid', 'hold')
  if record.state == 'claimed' then
    if owns_extension(record) then hold_for_a_call(id, record) end
    end_job(id, record, 'unknown', retain_s, 'errno', 'worker_lost', 'error', ARGV[5])
  else
    redis.call('ZREM', key('claimed'), id)
  end
end

for _, id in ipairs(due(key('expiry'), NOW)) do
  local record = read(id, 'state', 'pbx', 'extid', 'hold')
  if record.state == 'waiting' or record.state == 'released' then
    if record.state == 'released' then let_go(id, record) end
    end_job(id, record, 'expired', retain_s)
  elseif record.state ~= 'claimed' then
    redis.call('ZREM', key('expiry'), id)
  end
end

for _, list in ipairs({ 'ended', 'outbox' }) do -- their records are gone
  redis.call('ZREMRANGEBYSCORE', key(list), '-inf', NOW - tonumber(retain_s))
end
return due(key('outbox'), NOW - tonumber(ARGV[4]))
