-- set_clock: a worker has compared Redis's clock with the time that passed for it. KEYS[1] NS.
-- ARGV: how many comparisons it knows of, seconds by which the clock has stepped since its last heartbeat ('': it cannot
-- tell, for this is its first), longest wait of a parked job (s), longest time from a release to the end of a doubt (s).
-- A step moves whatever a step of ours has written as a time ahead: permits, leases, turns, rests, retries. Times that
-- people and CRMs gave (not_before, expires_at) and times that have passed stay as they are.
-- Returns {comparisons known now, seconds by which times were moved by this step}. Twice, and by several workers: the
-- first one moves, the others learn that it has.
local guard = key('guard')
local known = redis.call('HMGET', guard, 'compared', 'seen')
local compared = tonumber(known[1] or 0) or 0
if compared ~= tonumber(ARGV[1]) then return { compared, '0' } end
redis.call('HDEL', guard, 'seen') -- a removal first: a full server must be healed too
-- A clock behind the last heartbeat has gone back by so much at least; one long after it may just have been alone.
local step_s = tonumber(ARGV[2]) or math.min(0, NOW - (tonumber(known[2] or '') or NOW))
redis.call('HSET', guard, 'seen', stamp(NOW), 'compared', compared + 1)
if step_s == 0 then return { compared + 1, '0' } end
redis.call('HSET', guard, 'stepped_at', stamp(NOW), 'stepped_s', stamp(step_s))

local pbxs = redis.call('SMEMBERS', key('known'))
local longest_s = tonumber(ARGV[4])
for _, pbx in ipairs(pbxs) do
  local limits = pbx_limits(pbx)
  if limits then longest_s = math.max(longest_s, tonumber(ARGV[4]) + limits.open_call_s + limits.extension_rest_s) end
end

-- Calls went on since the step, and their outcomes left times of the new clock. After a step longer than any lease those
-- are told from old ones; after a shorter one they are moved too, which makes a lease that much longer or shorter.
local function is_new(time, is_lease)
  if step_s > longest_s then return time > NOW - step_s + longest_s end
  return is_lease and step_s < -longest_s and time <= NOW + longest_s
end

local function moved(text, is_lease)
  local time = tonumber(text)
  return stamp(is_new(time, is_lease) and time or math.max(0, time + step_s))
end

local function move(list, is_lease)
  local all = redis.call('ZRANGE', list, 0, -1, 'WITHSCORES')
  for i = 1, #all, 2 do redis.call('ZADD', list, moved(all[i + 1], is_lease), all[i]) end
end

-- A lane's turn comes after its extension's lease. A job that came since the step took the old lease for a lapsed one.
local function move_turns(pbx, rank)
  move(key('ring', pbx, rank))
  for _, extid in ipairs(redis.call('ZRANGE', key('ring', pbx, rank), 0, -1)) do
    local lease = redis.call('ZSCORE', key('exts', pbx), extid)
    if lease then redis.call('ZADD', key('ring', pbx, rank), 'GT', lease, extid) end
  end
end

local function move_field(home, name, is_lease)
  local time = redis.pcall('HGET', home, name)
  if type(time) == 'string' and tonumber(time) then redis.call('HSET', home, name, moved(time, is_lease)) end
end

local function move_fields(home, ...)
  for _, name in ipairs({ ... }) do move_field(home, name) end
end

local under_way = {}
local function note(list)
  for _, id in ipairs(redis.call('ZRANGE', list, 0, -1)) do under_way[id] = true end
end

-- Set back, a clock reaches the time of a parked job only after the whole step. What has a time of its own waits for it.
local MOST_PARKED = 5000
local function move_parked(pbx)
  local until_then = NOW - step_s + tonumber(ARGV[3])
  local ids = redis.call('ZRANGE', key('later', pbx), '(' .. stamp(NOW), stamp(until_then), 'BYSCORE', 'LIMIT', 0,
    MOST_PARKED)
  for _, id in ipairs(ids) do
    local record = read(id, 'not_before', 'due')
    if record.due and tonumber(record.due) ~= tonumber(record.not_before or 0) then
      redis.call('ZADD', key('later', pbx), moved(record.due), id)
      redis.call('HSET', key('job', id), 'due', moved(record.due))
    end
  end
end

for _, name in ipairs({ 'released', 'looks', 'trials' }) do move(key(name)) end
move(key('claimed'), true)
note(key('released'))
note(key('claimed'))
for _, pbx in ipairs(pbxs) do
  note(key('lines', pbx))
  note(key('doubts', pbx))
  for _, name in ipairs({ 'released', 'doubts' }) do move(key(name, pbx)) end
  for _, name in ipairs({ 'lines', 'exts' }) do move(key(name, pbx), true) end
  for rank = 0, 2 do move_turns(pbx, rank) end
  move_fields(key('pbx', pbx), 'tat', 'barred_until', 'barred_since', 'probe_until', 'looked_at', 'login_until')
  move_fields(key('token', pbx), 'since', 'login_until')
  -- How far the PBX's clock is ahead of this one, which is behind by a step more.
  local ahead = tonumber(redis.call('HGET', key('pbx', pbx), 'ids_ahead') or '')
  if ahead then redis.call('HSET', key('pbx', pbx), 'ids_ahead', string.format('%.0f', ahead - step_s)) end
  if step_s < 0 then move_parked(pbx) end
end
for id in pairs(under_way) do
  move_field(key('job', id), 'hold', true)
  move_fields(key('job', id), 'claimed_at', 'doubted_at', 'quiet_since', 'trying_since')
end
-- A result is delivered again when it is old enough, so it must not end later than now.
for _, id in ipairs(redis.call('ZRANGE', key('outbox'), '(' .. stamp(NOW), '+inf', 'BYSCORE')) do
  redis.call('ZADD', key('outbox'), stamp(NOW), id)
end
for _, target in ipairs(redis.call('SMEMBERS', key('endpoints'))) do
  move(key('flying', target))
  if step_s < 0 then move(key('due', target)) end
  move_fields(key('target', target), 'failing_since', 'rest_until', 'asked_until', 'probe_at')
end
for _, round in ipairs({ 'pbxs', 'targets' }) do
  for _, name in ipairs(redis.call('ZRANGE', key(round), 0, -1)) do redis.call('ZADD', key(round), stamp(NOW), name) end
end
wake()
return { compared + 1, stamp(step_s) }
