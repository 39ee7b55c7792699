-- Results on their way to endpoints; stands before the steps about deliveries only.

local function wake_courier()
  if redis.call('LLEN', key('courier_wake')) == 0 then redis.call('LPUSH', key('courier_wake'), '1') end
end

-- The courier looks at this target at that time, if it did not mean to look earlier.
local function visit_at(target, at)
  if redis.call('ZADD', key('targets'), 'LT', 'CH', at, target) == 1 then wake_courier() end
end

-- The parts of a delivery's id: job, seq, target; nothing where it is none.
local function parts_of(id)
  return string.match(id, '^(%x+%-%x+%-%x+%-%x+%-%x+)_(%d+)_([a-z0-9][a-z0-9:_-]*)$')
end

-- Out of every list; what it says is left alone.
local function leave_queues(id, target)
  redis.call('ZREM', key('flying', target), id)
  redis.call('ZREM', key('trials'), id)
  redis.call('ZREM', key('due', target), id)
  redis.call('ZREM', key('dead', target), id)
end

-- A delivery as it can be worked with, or nil: one that somebody spoiled leaves every list and is shown by the doctor.
local function sound_delivery(id, target)
  local values = redis.pcall('HMGET', key('delivery', id), 'result', 'nonce', 'attempts', 'announced_at', 'probe')
  local damage
  if values.err then
    damage = 'it is not a hash'
  elseif not values[1] then
    damage = 'its result is gone'
  else
    local readable, result = pcall(cjson.decode, values[1])
    if not readable or type(result) ~= 'table' or string.sub(values[1], 1, 1) ~= '{' then
      damage = 'its result is not readable'
    end
  end
  if not damage then
    local attempts = string.match(values[3] or '0', '^%d+$') and tonumber(values[3] or 0) or 0
    local announced_at = string.match(values[4] or '', '^%d+%.?%d*$') and tonumber(values[4]) or NOW
    return { result = values[1], nonce = values[2] or nil, attempts = math.min(attempts, 1e6),
      announced_at = math.min(announced_at, NOW), probe = values[5] }
  end
  leave_queues(id, target)
  redis.call('EXPIRE', key('delivery', id), NOTES_KEPT_S)
  set_aside('delivery', id, damage)
end

-- A dead letter: listed, and replayable, for `kept_s`; the newest `most` of a target.
local function give_up(id, target, error, kept_s, most)
  leave_queues(id, target)
  redis.call('HDEL', key('delivery', id), 'nonce', 'probe')
  redis.call('HSET', key('delivery', id), 'error', error, 'given_up_at', stamp(NOW))
  redis.call('EXPIRE', key('delivery', id), kept_s)
  redis.call('ZADD', key('dead', target), stamp(NOW), id)
  redis.call('EXPIRE', key('dead', target), kept_s)
  redis.call('ZREMRANGEBYSCORE', key('dead', target), '-inf', NOW - kept_s)
  while redis.call('ZCARD', key('dead', target)) > most do
    redis.call('DEL', key('delivery', redis.call('ZPOPMIN', key('dead', target))[1]))
    redis.call('HINCRBY', key('target', target), 'dropped', 1)
  end
end

local function is_disabled(target) return redis.call('HEXISTS', key('target', target), 'disabled_at') == 1 end

local function disable(target, why)
  redis.call('HSET', key('target', target), 'disabled_at', stamp(NOW), 'disabled_why', why)
  visit_at(target, NOW) -- the courier gives up what waits
end

local DISABLED = 'the endpoint is disabled'
