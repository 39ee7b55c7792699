-- park: what an attempt came to, when the job shall be tried again.
-- KEYS[1] NS. ARGV: id, nonce, delay_s, '1' to give the attempt back, '1' if the caller's slot keeps the
-- job and claims again after the delay, seconds the extension rests meanwhile, release_ttl_s,
-- dead_after_s, errno, error, '1' if the PBX answered, '1' if the job met a busy agent or line.
-- Returns {'parked', '1' if the breaker closed by it} or {'stale', state or 'gone'}. Twice with the same nonce: the
-- second changes nothing. If the process dies while its slot keeps the job, the job is 'released' and the sweeper
-- takes it back.
local id, nonce, delay_s = ARGV[1], ARGV[2], tonumber(ARGV[3])
local record = read(id, 'nonce', 'pbx', 'extid', 'hold', 'rank', 'seq', 'attempts', 'expires_at', 'claimed_at')
if record.damage then
  abandon(id, record.damage)
  return { 'stale', 'damaged' }
end
if not record.state or record.nonce ~= nonce then return { 'stale', record.state or 'gone' } end
if record.state == 'waiting' or record.state == 'released' then return { 'parked', '' } end
if record.state ~= 'claimed' and record.state ~= 'unknown' then return { 'stale', record.state } end

redis.call('ZREM', key('ended'), id)
redis.call('ZREM', key('outbox'), id)
local closed = ARGV[11] == '1' and answered(record.pbx) or ''
redis.call('PERSIST', key('job', id))
redis.call('HDEL', key('job', id), 'finished_at')
if ARGV[4] == '1' then
  redis.call('HINCRBY', key('job', id), 'attempts', -1)
else
  redis.call('HSETNX', key('job', id), 'trying_since', record.claimed_at or stamp(NOW))
end
if ARGV[12] == '1' then redis.call('HINCRBY', key('job', id), 'tries_in_vain', 1) end
if ARGV[9] ~= '' then redis.call('HSET', key('job', id), 'errno', ARGV[9], 'error', ARGV[10]) end
if record.expires_at then redis.call('ZADD', key('expiry'), record.expires_at, id) end

-- A claim that came back late has lost its leases: its job goes to the end of the queue for them.
local limits = pbx_limits(record.pbx)
if ARGV[5] == '1' and record.state == 'claimed' and not record.doubt and limits and owns_extension(record) then
  leave_flight(id, record)
  redis.call('ZADD', key('released'), NOW + delay_s, id)
  redis.call('ZADD', key('released', record.pbx), NOW + delay_s, id)
  reserve(id, record, limits, delay_s, tonumber(ARGV[7]), tonumber(ARGV[8]), 'state', 'released',
    line(record, 'put off', ARGV[9]))
  place_lane(record.pbx, record.extid)
else
  back_to_lane(id, record, NOW + delay_s, tonumber(ARGV[6]), ARGV[9])
end
return { 'parked', closed }
