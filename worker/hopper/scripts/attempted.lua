-- attempted: what an attempt came to. KEYS[1] NS. ARGV: id, nonce, JSON of {word: delivered | nothing | again | dead |
-- back; delay_s: until the next attempt; rest_s: no attempt at all at this target for so long; error; blames: whether the
-- target failed; disable: why it is disabled by this, or ''; fails_from, rest_cap_s, probe_every_s, probe_cap_s,
-- disable_after_s, kept_s, most_dead, bring}.
-- Returns {word, or 'stale', '1' if the target was disabled by it}. `nothing`: there was nothing to tell; `back`: no
-- attempt was made. What has arrived has arrived, whoever says so; all else is for the holder to say. After the
-- first success the waiting ones are brought forward, `bring` with each further success: those that came soon
-- after a long failure must not wait for hours. Twice: the second is stale, or changes nothing.
local id, nonce, told = ARGV[1], ARGV[2], cjson.decode(ARGV[3])
local _, _, target = parts_of(id)
if not target then return { 'stale', '' } end
local home = key('target', target)

local function bring_forward()
  local left = tonumber(redis.call('HGET', home, 'to_bring') or 0) or 0
  if left <= 0 then return end
  local most = math.min(left, told.bring)
  local ids = redis.call('ZRANGE', key('due', target), '(' .. stamp(NOW), '+inf', 'BYSCORE', 'LIMIT', 0, most)
  for _, each in ipairs(ids) do redis.call('ZADD', key('due', target), stamp(NOW), each) end
  if #ids < most or left == #ids then
    redis.call('HDEL', home, 'to_bring')
  else
    redis.call('HSET', home, 'to_bring', left - #ids)
  end
end

if told.word == 'delivered' or told.word == 'nothing' then
  local held = redis.call('EXISTS', key('delivery', id)) == 1
  leave_queues(id, target)
  redis.call('DEL', key('delivery', id))
  if told.word == 'delivered' then
    if redis.call('HDEL', home, 'failing_since', 'failures', 'rest_until', 'probe_at') > 0 then
      redis.call('HSET', home, 'to_bring', redis.call('ZCOUNT', key('due', target), '(' .. stamp(NOW), '+inf'))
    end
    redis.call('HSET', home, 'last_success', stamp(NOW))
    bring_forward()
  end
  visit_at(target, NOW)
  return { held and told.word or 'stale', '' }
end

local held = redis.pcall('HMGET', key('delivery', id), 'nonce', 'probe')
local probe = tonumber(held[2] or 0) or 0
local is_mine = not held.err and (held[1] == nonce or told.word == 'back' and not held[1])
if not is_mine or not redis.call('ZSCORE', key('flying', target), id) then return { 'stale', '' } end
leave_queues(id, target)
redis.call('HDEL', key('delivery', id), 'nonce', 'probe')
visit_at(target, NOW)
if told.word == 'back' then
  redis.call('ZADD', key('due', target), stamp(math.max(NOW, probe)), id)
  return { 'back', '' }
end

local disabled = ''
if told.blames then
  redis.call('HSETNX', home, 'failing_since', stamp(NOW))
  local failures = redis.call('HINCRBY', home, 'failures', 1)
  local state = redis.call('HMGET', home, 'failing_since', 'asked_until', 'disabled_at')
  -- What the target asked for holds though another attempt succeeds meanwhile; what we made up does not.
  local asked_until = math.max(NOW + told.rest_s, tonumber(state[2] or 0) or 0)
  local rest_s = 0
  if failures >= told.fails_from then
    rest_s = math.min(told.rest_cap_s, 2 ^ math.min(failures - told.fails_from, 30))
  end
  local failing_s = NOW - (tonumber(state[1]) or NOW)
  -- The longer it fails, the further the probes are apart: a tenth of the time that it has failed.
  local probe_in_s = math.min(math.max(told.probe_every_s, failing_s / 10), told.probe_cap_s)
  redis.call('HSET', home, 'last_error', told.error, 'last_error_at', stamp(NOW), 'rest_until', stamp(NOW + rest_s),
    'asked_until', stamp(asked_until), 'probe_at', stamp(math.max(NOW + probe_in_s, asked_until)))
  local why = told.disable ~= '' and told.disable
    or failures >= told.fails_from and failing_s >= told.disable_after_s and 'it failed for too long: ' .. told.error
  if why and not state[3] then
    disable(target, why)
    disabled = '1'
  end
end
if told.word == 'dead' or is_disabled(target) then
  give_up(id, target, told.error, told.kept_s, told.most_dead)
  return { 'dead', disabled }
end
redis.call('HSET', key('delivery', id), 'error', told.error)
redis.call('ZADD', key('due', target), stamp(probe > NOW and probe or NOW + told.delay_s), id)
return { 'again', disabled }
