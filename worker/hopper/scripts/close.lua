-- close: a PBX could not be reached; nobody tries again for a while that doubles with each failure.
-- KEYS[1] NS. ARGV: PBX, base_s, cap_s, reason. Returns seconds until it is tried again.
-- Calls that failed together count once: only the first finds the PBX open. finish.lua and park.lua forget the count.
local home = key('pbx', ARGV[1])
local closed_until = tonumber(redis.call('HGET', home, 'closed_until') or 0)
if closed_until <= NOW then
  local failures = redis.call('HINCRBY', home, 'failures', 1)
  closed_until = NOW + math.min(tonumber(ARGV[3]), tonumber(ARGV[2]) * 2 ^ math.min(failures - 1, 30))
  redis.call('HSET', home, 'closed_until', stamp(closed_until), 'closed_reason', ARGV[4])
end
return stamp(closed_until - NOW)
