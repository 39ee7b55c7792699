-- disable_endpoint: nothing goes to this target until it is enabled. KEYS[1] NS. ARGV: target, why, reason
-- of the operator. What waits, and what comes, become dead letters. Returns 1 if it was not disabled before. Safe to repeat.
redis.call('HDEL', key('target', ARGV[1]), 'to_bring') -- a removal first: a full Redis allows what follows
if is_disabled(ARGV[1]) then return 0 end
redis.call('SADD', key('endpoints'), ARGV[1])
disable(ARGV[1], ARGV[2])
audit('disable_endpoint', ARGV[1], ARGV[3])
return 1
