-- Lanes, their turns in the rings of a PBX, and the PBXs' turns in the round.

-- A lane's members are scored by rank first and arrival second.
local RANK_STEP = 1e13

-- A step that frees something calls this; one waiting token is enough for any number of reasons.
local function wake()
  if redis.call('LLEN', key('wake')) == 0 then redis.call('LPUSH', key('wake'), '1') end
end

local function is_paused(pbx)
  return redis.call('SISMEMBER', key('paused'), '*') == 1 or redis.call('SISMEMBER', key('paused'), pbx) == 1
end

-- Under which name a pause is kept; see `pauses` in keys.lua.
local function place_of_pause(pbx, extid) return extid == '' and pbx or pbx .. '/' .. extid end

local function is_extension_paused(pbx, extid)
  return redis.call('HEXISTS', key('pauses'), place_of_pause(pbx, extid)) == 1
end

-- The lane has no turn. Its jobs stay in it, and place_lane brings it back.
local function leave_rings(pbx, extid)
  for ring = 0, 2 do redis.call('ZREM', key('ring', pbx, ring), extid) end
end

-- Puts the lane where its first job says it belongs. Safe to call at any time. A lane whose extension is
-- free keeps its turn; one whose extension just became free, or that was just served, goes to the end.
-- Whoever takes a job out of a lane calls this with `shorter` set, for it may have been the last.
local function place_lane(pbx, extid, shorter, served)
  local head = redis.call('ZRANGE', key('lane', pbx, extid), 0, 0, 'WITHSCORES')
  if not head[1] and not shorter then return end
  local rank = head[1] and math.floor(tonumber(head[2]) / RANK_STEP) or -1
  local lease = tonumber(redis.call('ZSCORE', key('exts', pbx), extid) or 0)
  local at = math.max(lease, NOW)
  for ring = 0, 2 do
    local turn = tonumber(redis.call('ZSCORE', key('ring', pbx, ring), extid) or NOW)
    if lease <= NOW and turn < NOW and not served then at = math.max(turn, lease) end
    if ring ~= rank then redis.call('ZREM', key('ring', pbx, ring), extid) end
  end
  if rank < 0 then return end
  redis.call('ZADD', key('ring', pbx, rank), at, extid)
  if redis.call('ZADD', key('pbxs'), 'LT', 'CH', math.max(at, NOW), pbx) == 1 then wake() end
end

local function has_jobs(pbx)
  return redis.call('EXISTS', key('ring', pbx, 0), key('ring', pbx, 1), key('ring', pbx, 2), key('later', pbx)) > 0
end

-- Something about a PBX changed that may let a waiting job go: the pacer looks again.
local function look_again(pbx, at)
  if redis.call('ZADD', key('pbxs'), 'XX', 'LT', 'CH', at or NOW, pbx) == 1 then wake() end
end

-- When a job could first go: its age is counted from then, however often it went and came back.
local function first_go(id, record)
  local enqueued_at, not_before = record.enqueued_at, record.not_before
  if not enqueued_at then
    enqueued_at, not_before = unpack(redis.call('HMGET', key('job', id), 'enqueued_at', 'not_before'))
  end
  return math.max(tonumber(enqueued_at or 0) or 0, tonumber(not_before or 0) or 0)
end

local function enter_lane(id, record)
  redis.call('ZADD', key('waits', record.pbx, record.rank), stamp(first_go(id, record)), id)
  local score = tonumber(record.rank) * RANK_STEP + tonumber(record.seq)
  local lane = key('lane', record.pbx, record.extid)
  redis.call('ZADD', lane, score, id)
  -- Behind others it changes nothing about when the lane may go, and most jobs of an import come behind others.
  if redis.call('ZRANK', lane, id) == 0 then place_lane(record.pbx, record.extid) end
end

local function enter_later(id, record, due)
  redis.call('ZADD', key('later', record.pbx), due, id)
  redis.call('ZADD', key('pbxs'), 'LT', due, record.pbx)
end

local function leave_waits(id, pbx)
  for rank = 0, 2 do redis.call('ZREM', key('waits', pbx, rank), id) end
end

local function leave_lane(id, record)
  leave_waits(id, record.pbx)
  redis.call('ZREM', key('later', record.pbx), id)
  if redis.call('ZREM', key('lane', record.pbx, record.extid), id) == 1 then
    place_lane(record.pbx, record.extid, true)
  end
end
