-- revoke_key: an API key is refused from now on; its hash stays, for listing. KEYS[1] NS. ARGV: id, reason.
-- Returns 'revoked', 'again' if it was, or 'gone' if there is none. Twice: 'again', and nothing changes.
local held = redis.call('HMGET', key('apikey', ARGV[1]), 'digest', 'revoked_at', 'name')
if not held[1] then return 'gone' end
redis.call('DEL', key('quota', ARGV[1]))
if held[2] then return 'again' end
redis.call('HSET', key('apikey', ARGV[1]), 'revoked_at', stamp(NOW), 'revoked_by', WHO)
audit('revoke_key', ARGV[1], ARGV[2], 'name', held[3] or '')
return 'revoked'
