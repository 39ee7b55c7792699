-- resume: lifts one pause. KEYS[1] NS. ARGV: PBX name, or * for the kill switch; a PBX that was paused for itself stays so.
-- Returns 1 if it was paused. Safe to repeat.
local name = ARGV[1]
local was_paused = redis.call('SREM', key('paused'), name)
if name ~= '*' and has_jobs(name) then redis.call('ZADD', key('pbxs'), 'LT', NOW, name) end
wake()
return was_paused
