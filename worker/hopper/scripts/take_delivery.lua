-- take_delivery: an attempt begins. KEYS[1] NS, KEYS[2] the queue. ARGV: id, nonce of this attempt, lease_s.
-- Returns {'go', target, job, seq, result, attempts with this one (a probe costs none), age_s since it was announced
-- or replayed, the job's trace or ''}, or
-- {'not_yours', ''} where it has arrived, was given up, waits for a later attempt, or is another's.
-- Twice with the same nonce: 'go' again, counting once. If its holder dies, the lease ends and it is due again.
local id, nonce = ARGV[1], ARGV[2]
local job, seq, target = parts_of(id)
if not target or not redis.call('ZSCORE', key('flying', target), id) then return { 'not_yours', '' } end
local delivery = sound_delivery(id, target)
if not delivery or delivery.nonce and delivery.nonce ~= nonce then return { 'not_yours', '' } end

redis.call('ZREM', key('flying', target), id) -- a removal first: a full server must be emptied too
redis.call('ZADD', key('flying', target), stamp(NOW + tonumber(ARGV[3])), id)
redis.call('ZADD', key('targets'), 'LT', NOW + tonumber(ARGV[3]), target) -- no courier sleeps for so long
if not delivery.nonce then
  if not delivery.probe or delivery.attempts == 0 then delivery.attempts = delivery.attempts + 1 end
  redis.call('HSET', key('delivery', id), 'nonce', nonce, 'attempts', delivery.attempts, 'tried_at', stamp(NOW))
end
local starved = redis.call('GET', key('courier_starved'))
if starved and redis.call('LLEN', KEYS[2]) <= tonumber(starved) then
  redis.call('DEL', key('courier_starved'))
  wake_courier()
end
local trace = redis.pcall('HGET', key('job', job), 'trace') -- an error where somebody spoiled the record
return { 'go', target, job, tonumber(seq), delivery.result, delivery.attempts, stamp(NOW - delivery.announced_at),
  type(trace) == 'string' and trace or '' }
