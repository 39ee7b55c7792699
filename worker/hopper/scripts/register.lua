-- register: one PBX's limits as the settings have them. KEYS[1] NS.
-- ARGV: PBX, fingerprint of its address and credentials, then field, value, … of the limits.
-- New credentials forget the token and the block that the old ones earned. Safe to repeat.
local pbx, credentials = ARGV[1], ARGV[2]
redis.call('SADD', key('known'), pbx)
redis.call('HSET', key('pbx', pbx), unpack(ARGV, 3))
if redis.call('HGET', key('token', pbx), 'credentials') ~= credentials then
  local generation = redis.call('HGET', key('token', pbx), 'generation') or 0
  redis.call('DEL', key('token', pbx))
  redis.call('HDEL', key('pbx', pbx), 'logged_in', 'login_until')
  redis.call('HSET', key('token', pbx), 'credentials', credentials, 'generation', generation + 1)
  close_breaker(pbx)
end
look_again(pbx)
return 1
