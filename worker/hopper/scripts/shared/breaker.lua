-- A PBX as a whole: its limits and its breaker.

local function pbx_limits(pbx)
  local values = redis.call('HMGET', key('pbx', pbx), 'calls_per_second', 'burst', 'max_open_calls', 'open_call_s',
    'extension_rest_s', 'tat', 'barred_until', 'probe', 'probe_until', 'look_permits')
  if not values[1] then return nil end
  return { calls_per_second = values[1], burst = values[2], max_open_calls = tonumber(values[3]),
    open_call_s = tonumber(values[4]), extension_rest_s = tonumber(values[5]), tat = values[6] or nil,
    barred_until = values[7] and tonumber(values[7]), probe = values[8] or nil,
    probe_until = tonumber(values[9] or 0), look_permits = tonumber(values[10] or 10) }
end

-- Workers have the PBX in their settings, as far as Redis knows (see register.lua and withdraw.lua); else its jobs wait.
local function is_known(pbx) return redis.call('SISMEMBER', key('known'), pbx) == 1 end

-- The breaker of one PBX: `failures` in a row, `trips` in a row (`lost_dials`: those by a dial without an answer),
-- `barred_until` and `barred_reason` from the first trip on, `barred_since` (that trip), `barred_by` (down | dial |
-- asked | login). Open until `barred_until`, then half open: one claim may go as `probe` until `probe_until`. Returns nil
-- (closed), or until when nobody else may try (0: a probe may).
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
  redis.call('HDEL', key('pbx', pbx), 'failures', 'trips', 'lost_dials', 'barred_until', 'barred_reason', 'barred_by', 'barred_since',
    'probe', 'probe_until')
end

-- The PBX gave an answer, whatever it says: the breaker closes. One barred for its log-in opens by a log-in alone, and
-- the rest that a PBX asked for lasts to its end. Returns '1' if the breaker had been open.
local function answered(pbx)
  local state = redis.call('HMGET', key('pbx', pbx), 'failures', 'barred_until', 'barred_by')
  if not state[1] or state[3] == 'asked' and tonumber(state[2]) > NOW then return '' end
  redis.call('HDEL', key('pbx', pbx), 'failures')
  if not state[2] or state[3] == 'login' then return '' end
  close_breaker(pbx)
  look_again(pbx)
  return '1'
end
