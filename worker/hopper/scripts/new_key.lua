-- new_key: store an API key. KEYS[1] NS. ARGV: id, then field, value, … (see admit.lua).
-- Adds created_at and created_by. Returns 1, or 0 if there is a key of this id, which stays as it is. Twice: 0.
if redis.call('EXISTS', key('apikey', ARGV[1])) == 1 then return 0 end
redis.call('HSET', key('apikey', ARGV[1]), 'created_at', stamp(NOW), 'created_by', WHO, unpack(ARGV, 2))
redis.call('SADD', key('apikeys'), ARGV[1])
local made = redis.call('HMGET', key('apikey', ARGV[1]), 'name', 'scopes')
audit('create_key', ARGV[1], '', 'name', made[1] or '', 'scopes', made[2] or '')
return 1
