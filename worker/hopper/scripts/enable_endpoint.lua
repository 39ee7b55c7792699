-- enable_endpoint: results go to this target again, from now on. KEYS[1] NS. ARGV: target, reason.
-- Its dead letters stay dead letters: see replay.lua. Returns 1 if it was disabled. Safe to repeat.
local was = redis.call('HDEL', key('target', ARGV[1]), 'disabled_at')
redis.call('HDEL', key('target', ARGV[1]), 'disabled_why', 'failing_since', 'failures', 'rest_until', 'asked_until', 'probe_at')
visit_at(ARGV[1], NOW)
if was == 1 then audit('enable_endpoint', ARGV[1], ARGV[2]) end
return was
