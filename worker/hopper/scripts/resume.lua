-- resume: lifts one pause, and no other. KEYS[1] NS.
-- ARGV: PBX name, or * for the kill switch; extid, or '' for the whole PBX; reason.
-- Returns {1 if it was paused, who had paused it, as the hash of pauses has that, or ''}. Safe to repeat.
local pbx, extid, reason = ARGV[1], ARGV[2], ARGV[3]
local place = place_of_pause(pbx, extid)
local author = redis.call('HGET', key('pauses'), place)
local was_paused = redis.call('HDEL', key('pauses'), place)
if extid == '' then was_paused = redis.call('SREM', key('paused'), pbx) end
if extid ~= '' then
  place_lane(pbx, extid)
elseif pbx ~= '*' and has_jobs(pbx) then
  redis.call('ZADD', key('pbxs'), 'LT', NOW, pbx)
end
wake()
if was_paused == 1 then audit('resume', place, reason) end
return { was_paused, was_paused == 1 and author or '' }
