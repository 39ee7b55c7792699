-- pause: nothing of this PBX is released or claimed until resume. Safe to repeat; kept by AOF.
-- KEYS[1] NS. ARGV: PBX name, or * for the kill switch. Returns 1 if it was not paused before.
redis.call('SREM', key('paused'), '') -- takes nothing away; a full Redis allows the rest of a script that begins so
return redis.call('SADD', key('paused'), ARGV[1])
