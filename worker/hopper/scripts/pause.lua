-- pause: nothing of this PBX, or of this extension, is released or claimed until resume. Safe to repeat; kept by AOF.
-- KEYS[1] NS. ARGV: PBX name, or * for the kill switch; extid, or '' for the whole PBX; reason.
-- Returns 1 if it was not paused before. One that was keeps its author and reason.
local pbx, extid, reason = ARGV[1], ARGV[2], ARGV[3]
local place = place_of_pause(pbx, extid)
redis.call('SREM', key('paused'), '') -- takes nothing away; a full Redis allows the rest of a script that begins so
if extid == '' and redis.call('SADD', key('paused'), pbx) == 0 then return 0 end
if extid ~= '' and is_extension_paused(pbx, extid) then return 0 end
redis.call('HSET', key('pauses'), place, cjson.encode({ at = NOW, by = WHO, reason = reason }))
if extid ~= '' then leave_rings(pbx, extid) end
audit('pause', place, reason)
return 1
