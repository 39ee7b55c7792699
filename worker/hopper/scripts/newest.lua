-- newest: jobs in the reverse order of their arrival. KEYS[1] NS. Changes nothing.
-- ARGV: the arrival to begin below ('' for the newest), most jobs wanted, most jobs looked at, and the filters, each ''
-- for any: states, PBXs and origins (each ',a,b,'), extid, enqueued since, enqueued before (unix seconds).
-- Returns {the arrival to begin below next time or '' if there is no more, id, id, …}; fewer than wanted, even none,
-- where few of those looked at pass the filters.
local below, wanted, most = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local states, pbxs, origins, extid = ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local since, before = tonumber(ARGV[8]), tonumber(ARGV[9])
local PAGE = 200

local function is_in(list, word) return list == '' or string.find(list, ',' .. word .. ',', 1, true) ~= nil end

local function passes(record)
  if not record.state or record.damage then return false end
  local at = tonumber(record.enqueued_at or 0)
  return is_in(states, record.state) and is_in(pbxs, record.pbx or '') and is_in(origins, record.origin or '')
    and (extid == '' or record.extid == extid) and (not since or at >= since) and (not before or at < before)
end

local found, looked_at = {}, 0
while #found < wanted and looked_at < most do
  local top = below == '' and '+inf' or '(' .. below
  local ids = redis.call('ZRANGE', key('arrivals'), top, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, PAGE, 'WITHSCORES')
  if not ids[1] then
    below = ''
    break
  end
  for i = 1, #ids, 2 do
    if #found >= wanted then break end
    below = string.format('%.0f', ids[i + 1])
    looked_at = looked_at + 1
    local record = read(ids[i], 'pbx', 'extid', 'enqueued_at', 'origin')
    -- Arrivals have an order in time: what is older than wanted is the end of it.
    if since and tonumber(record.enqueued_at or NOW) < since then return { '', unpack(found) } end
    if passes(record) then found[#found + 1] = ids[i] end
  end
end
return { below, unpack(found) }
