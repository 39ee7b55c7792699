-- hand_back: a released job its slot cannot claim now goes back to its lane.
-- KEYS[1] NS. ARGV: id, delay_s, reason. Returns 1, or 0 if it was not released (any more). Safe to repeat.
local id = ARGV[1]
local record = read(id, 'pbx', 'extid', 'hold', 'rank', 'seq')
if record.state ~= 'released' then return 0 end
back_to_lane(id, record, NOW + tonumber(ARGV[2]), 0, ARGV[3])
return 1
