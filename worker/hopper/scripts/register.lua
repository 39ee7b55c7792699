-- register: one PBX's limits as the settings have them. KEYS[1] NS.
-- ARGV: PBX, fingerprint of its address and credentials, longest time from the release of a job to the end of its doubt
-- (s), longest rest of an extension without a call (s), longest rest of a PBX (down, dial, asked, login; s), then field,
-- value, … of the limits.
-- New credentials forget the token and the block that the old ones earned. Leases and rests that former, longer limits
-- have left behind are cut to what the present ones allow. Safe to repeat.
local pbx, credentials, flight_s, idle_rest_s = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local home = key('pbx', pbx)
redis.call('SADD', key('known'), pbx)
redis.call('HSET', home, unpack(ARGV, 9))
if redis.call('HGET', key('token', pbx), 'credentials') ~= credentials then
  local generation = redis.call('HGET', key('token', pbx), 'generation') or 0
  redis.call('DEL', key('token', pbx))
  redis.call('HDEL', home, 'logged_in', 'login_until')
  redis.call('HSET', key('token', pbx), 'credentials', credentials, 'generation', generation + 1,
    'changed_at', stamp(NOW))
  close_breaker(pbx)
end

local limits = pbx_limits(pbx)
local longest_bars = { down = ARGV[5], dial = ARGV[6], asked = ARGV[7], login = ARGV[8] }
local longest_bar = tonumber(longest_bars[redis.call('HGET', home, 'barred_by') or ''] or '')
if longest_bar and limits.barred_until and limits.barred_until > NOW + longest_bar then
  redis.call('HSET', home, 'barred_until', stamp(NOW + longest_bar))
end

for _, id in ipairs(redis.call('ZRANGE', key('lines', pbx), NOW, '+inf', 'BYSCORE')) do
  local record = read(id, 'pbx', 'extid', 'hold')
  local longest = NOW + limits.open_call_s + (FINAL[record.state] and 0 or flight_s)
  if record.state and record.pbx == pbx and tonumber(redis.call('ZSCORE', key('lines', pbx), id)) > longest then
    if owns_extension(record) then
      hold(id, record, longest, longest + limits.extension_rest_s)
      place_lane(pbx, record.extid)
    else
      redis.call('ZADD', key('lines', pbx), longest, id)
    end
  end
end
local in_calls = NOW + limits.open_call_s + flight_s + limits.extension_rest_s
for _, extid in ipairs(redis.call('ZRANGE', key('exts', pbx), stamp(in_calls + 1), '+inf', 'BYSCORE')) do
  redis.call('ZADD', key('exts', pbx), stamp(NOW + math.max(idle_rest_s, limits.extension_rest_s)), extid)
  place_lane(pbx, extid)
end
look_again(pbx)
return 1
