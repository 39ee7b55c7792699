-- dispatch: the courier's step. Hands due deliveries to Celery, endpoints in turns. KEYS[1] NS, KEYS[2] the queue.
-- ARGV: JSON of {name, slots, alive_s: of the courier; most: now; lease_s; limits: {target: in flight at most}, limit: of
-- the others; fails_from: failures in a row from which a target gets one attempt at a time; kept_s, most_dead; message
-- with @ID@ and @TAG@ in place of delivery id and delivery tag}.
-- State and message change in this one step. Should the message be lost, or whoever has it die, the lease ends and the
-- delivery is due again. Targets that fail have half of the slots at most between them, so that those that hang never
-- take all. Where none of a failing target's deliveries is due for long, one goes before its time as a probe, which
-- costs it no attempt, so that a target that is well again is found so. Deliveries of a disabled target are given up. Returns {deliveries handed out, seconds until there is
-- something to do, or -1 for "when woken"}. Twice: hands out what may go by then.
local given = cjson.decode(ARGV[1])
local VISITS, MOST_GIVEN_UP = 200, 50

redis.call('HDEL', key('couriers'), given.name) -- a removal first: a full server must be emptied too
redis.call('HSET', key('couriers'), given.name, given.slots .. '|' .. stamp(NOW + given.alive_s))
local slots = 0
local couriers = redis.call('HGETALL', key('couriers'))
for i = 1, #couriers, 2 do
  local count, alive_until = string.match(couriers[i + 1], '^(%d+)|([%d.]+)$')
  if count and tonumber(alive_until) > NOW then
    slots = slots + tonumber(count)
  else
    redis.call('HDEL', key('couriers'), couriers[i])
  end
end
redis.call('ZREMRANGEBYSCORE', key('trials'), '-inf', NOW)
local most_trials = math.max(1, math.floor(slots / 2))

local function message_for(id)
  local tag = id .. '.' .. stamp(NOW)
  local message = string.gsub(given.message, '@TAG@', function() return tag end)
  return (string.gsub(message, '@ID@', function() return id end))
end

local function lease_end(target)
  local first = redis.call('ZRANGE', key('flying', target), 0, 0, 'WITHSCORES')[2]
  return first and tonumber(first)
end

local function take_back_what_lapsed(target)
  for _, id in ipairs(redis.call('ZRANGE', key('flying', target), '-inf', NOW, 'BYSCORE', 'LIMIT', 0, 100)) do
    redis.call('ZREM', key('flying', target), id)
    redis.pcall('HDEL', key('delivery', id), 'nonce', 'probe') -- spoiled ones are seen when their turn comes
    redis.call('ZADD', key('due', target), stamp(NOW), id)
  end
end

local function give_up_some(target)
  for _, id in ipairs(redis.call('ZRANGE', key('due', target), 0, MOST_GIVEN_UP - 1)) do
    if sound_delivery(id, target) then give_up(id, target, DISABLED, given.kept_s, given.most_dead) end
  end
  return redis.call('EXISTS', key('due', target)) == 1 and NOW or lease_end(target)
end

local function hand_out(id, target, fails, probe)
  redis.call('ZREM', key('due', target), id)
  if not parts_of(id) or not sound_delivery(id, target) then return 0 end
  local over_at = stamp(NOW + given.lease_s)
  redis.call('HDEL', key('delivery', id), 'nonce', 'probe')
  if probe then redis.call('HSET', key('delivery', id), 'probe', probe) end
  redis.call('ZADD', key('flying', target), over_at, id)
  if fails then redis.call('ZADD', key('trials'), over_at, id) end
  redis.call('LPUSH', KEYS[2], message_for(id))
  return 1
end

-- One turn of one target. Returns deliveries handed out and when to look at it again (nil: when something comes).
local function visit(target)
  take_back_what_lapsed(target)
  local state = redis.call('HMGET', key('target', target), 'disabled_at', 'failures', 'rest_until', 'probe_at', 'asked_until')
  if state[1] then return 0, give_up_some(target) end
  local rest_until = math.max(tonumber(state[3] or 0) or 0, tonumber(state[5] or 0) or 0)
  if rest_until > NOW then return 0, rest_until end
  local fails = (tonumber(state[2] or 0) or 0) >= given.fails_from
  local limit = fails and 1 or given.limits[target] or given.limit
  if redis.call('ZCARD', key('flying', target)) >= limit then return 0, lease_end(target) end
  if fails and redis.call('ZCARD', key('trials')) >= most_trials then return 0, NOW + 0.5 end
  local first = redis.call('ZRANGE', key('due', target), 0, 0, 'WITHSCORES')
  if first[1] and tonumber(first[2]) <= NOW then return hand_out(first[1], target, fails), NOW end
  local probe_at = first[1] and tonumber(state[4] or '') or math.huge
  if probe_at <= NOW then
    redis.call('HDEL', key('target', target), 'probe_at')
    return hand_out(first[1], target, true, first[2]), NOW
  end
  local soonest = math.min(first[2] and tonumber(first[2]) or math.huge, lease_end(target) or math.huge, probe_at)
  return 0, soonest < math.huge and soonest or nil
end

local room = math.min(given.most, slots - redis.call('LLEN', KEYS[2]))
local handed_out, visits = 0, 0
while handed_out < room and visits < VISITS do
  local first = redis.call('ZRANGE', key('targets'), 0, 0, 'WITHSCORES')
  -- A target just served comes back a microsecond behind the last, so each has its turn in this round.
  if not first[1] or tonumber(first[2]) > NOW + visits * 1e-6 then break end
  visits = visits + 1
  local count, again_at = visit(first[1])
  handed_out = handed_out + count
  if again_at then
    redis.call('ZADD', key('targets'), math.max(again_at, NOW + visits * 1e-6), first[1])
  else
    redis.call('ZREM', key('targets'), first[1])
  end
end

local first = redis.call('ZRANGE', key('targets'), 0, 0, 'WITHSCORES')
if not first[1] then return { handed_out, '-1' } end
if handed_out >= room and room < given.most then
  redis.call('SET', key('courier_starved'), math.floor(slots / 2), 'EX', 5) -- take_delivery.lua wakes us
  return { handed_out, '1' }
end
return { handed_out, stamp(math.max(0, tonumber(first[2]) - NOW)) }
