-- pause: nothing of this PBX is released or claimed until resume. Safe to repeat; kept by AOF.
-- KEYS[1] NS. ARGV: PBX name, or * for the kill switch. Returns 1 if it was not paused before.
-- The removal comes first so that a full server can be paused too.
local was_paused = redis.call('SREM', key('paused'), ARGV[1])
redis.call('SADD', key('paused'), ARGV[1])
return 1 - was_paused
