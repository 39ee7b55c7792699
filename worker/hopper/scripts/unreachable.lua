-- unreachable: a PBX could not be asked, or sent no answer. KEYS[1] NS.
-- ARGV: PBX, failures in a row that open the breaker, base_s, cap_s, reason, who tried (a job's id).
-- Returns {'counted', failures} | {'opened', seconds} | {'open', seconds}. The breaker opens for base_s, and for twice
-- as long, cap_s at most, after each probe that fails. Calls that fail together count once it is open as one.
local pbx, home = ARGV[1], key('pbx', ARGV[1])
local state = redis.call('HMGET', home, 'barred_until', 'probe', 'probe_until')
local barred_until = tonumber(state[1] or 0)
if barred_until > NOW then return { 'open', stamp(barred_until - NOW) } end
-- Half open, and the probe is somebody else's: an old failure that comes late says nothing new.
if state[1] and state[2] and state[2] ~= ARGV[6] and tonumber(state[3]) > NOW then
  return { 'open', stamp(tonumber(state[3]) - NOW) }
end
redis.call('HDEL', home, 'probe', 'probe_until')
local failures = redis.call('HINCRBY', home, 'failures', 1)
if not state[1] and failures < tonumber(ARGV[2]) then return { 'counted', failures } end
local trips = redis.call('HINCRBY', home, 'trips', 1)
local seconds = math.min(tonumber(ARGV[4]), tonumber(ARGV[3]) * 2 ^ math.min(trips - 1, 30))
redis.call('HSET', home, 'barred_until', stamp(NOW + seconds), 'barred_reason', ARGV[5], 'barred_by', 'down')
redis.call('HSETNX', home, 'barred_since', stamp(NOW))
look_again(pbx, NOW + seconds)
return { 'opened', stamp(seconds) }
