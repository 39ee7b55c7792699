-- unreachable: a PBX could not be asked, sent no answer, or asked to be left alone. KEYS[1] NS.
-- ARGV: PBX, failures in a row that open the breaker, base_s, cap_s, seconds that the PBX asked for (0: it did not ask),
-- reason, who tried (a job's id), kind (down | dial: it was a dial that got no answer).
-- Returns {'counted', failures} | {'opened', seconds} | {'open', seconds}. The breaker opens for base_s, and for twice
-- as long (four times after a dial), cap_s at most, after each probe that fails in the same way. Calls that fail together
-- count once it is open as one; the longest rest that the PBX asked for holds.
local pbx, home = ARGV[1], key('pbx', ARGV[1])
local base_s, cap_s, asked_s, reason = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6]
local state = redis.call('HMGET', home, 'barred_until', 'probe', 'probe_until', 'barred_by')
local barred_until = tonumber(state[1] or 0)
local asked_until = asked_s > 0 and NOW + asked_s or 0

local function bar(seconds, by)
  redis.call('HSET', home, 'barred_until', stamp(NOW + seconds), 'barred_reason', reason, 'barred_by', by)
  redis.call('HSETNX', home, 'barred_since', stamp(NOW))
  look_again(pbx, NOW + seconds)
end

if barred_until > NOW then
  if asked_until > barred_until and state[4] ~= 'login' then bar(asked_s, 'asked') end
  return { 'open', stamp(math.max(barred_until, asked_until) - NOW) }
end
-- Half open, and the probe is another's: an old failure that comes late brings no news.
if state[1] and state[2] and state[2] ~= ARGV[7] and tonumber(state[3]) > NOW and asked_s == 0 then
  return { 'open', stamp(tonumber(state[3]) - NOW) }
end
redis.call('HDEL', home, 'probe', 'probe_until')
local failures = redis.call('HINCRBY', home, 'failures', 1)
if not state[1] and failures < tonumber(ARGV[2]) and asked_s == 0 then return { 'counted', failures } end
local is_dial = ARGV[8] == 'dial'
local trips = redis.call('HINCRBY', home, is_dial and 'lost_dials' or 'trips', 1)
local growth = is_dial and 4 or 2
local seconds = math.max(asked_s, math.min(cap_s, base_s * growth ^ math.min(trips - 1, 30)))
bar(seconds, asked_s > 0 and 'asked' or ARGV[8])
return { 'opened', stamp(seconds) }
