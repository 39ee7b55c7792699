-- resume: lifts a pause. KEYS[1] NS. ARGV: PBX name, or * for everything that is paused.
-- Returns the names that were paused (* for the kill switch). Safe to repeat.
local names = { ARGV[1] }
if ARGV[1] == '*' then names = redis.call('SMEMBERS', key('paused')) end
local lifted = {}
for _, name in ipairs(names) do
  if redis.call('SREM', key('paused'), name) == 1 then lifted[#lifted + 1] = name end
  if name ~= '*' and has_jobs(name) then redis.call('ZADD', key('pbxs'), 'LT', NOW, name) end
end
wake()
return lifted
