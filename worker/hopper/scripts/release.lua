-- release: the pacer's step. Hands due jobs to Celery, fairly, and no more than can soon be claimed.
-- KEYS[1] NS, KEYS[2] Celery's queue (a list). ARGV: most jobs now, most released at any time,
-- lookahead_s, release_ttl_s, dead_after_s, retain_s, message with @ID@ and @TAG@ in place of job id and
-- delivery tag.
-- State and message change in this one step: there is no moment at which a job is released but its
-- message unsent. Returns {jobs released, seconds until there is something to do, or -1 for "when woken"}.
-- Twice: releases what may go by then, which is what the pacer wants.
local most, most_released = tonumber(ARGV[1]), tonumber(ARGV[2])
local lookahead_s, release_ttl_s, dead_after_s = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local retain_s, template = ARGV[6], ARGV[7]
local PROMOTE, VISITS = 50, 400
local has_pauses = redis.call('EXISTS', key('pauses')) == 1

if held_back() or is_clock_in_doubt() then return { 0, '0.5' } end
if redis.call('SISMEMBER', key('paused'), '*') == 1 then return { 0, '-1' } end

local function message_for(id)
  local message = string.gsub(template, '@TAG@', id .. '.' .. stamp(NOW))
  return (string.gsub(message, '@ID@', id))
end

local function promote(pbx)
  for _, id in ipairs(redis.call('ZRANGE', key('later', pbx), '-inf', NOW, 'BYSCORE', 'LIMIT', 0, PROMOTE)) do
    redis.call('ZREM', key('later', pbx), id)
    local record = read(id, 'pbx', 'extid', 'rank', 'seq')
    if record.damage then abandon(id, record.damage) end
    if not record.damage and not record.state then forget(id, true) end
    if record.state == 'waiting' then enter_lane(id, record) end
  end
end

-- The lane whose turn it is, or nil and the earliest time there is one.
local function next_lane(pbx)
  local soonest
  for rank = 0, 2 do
    local first = redis.call('ZRANGE', key('ring', pbx, rank), 0, 0, 'WITHSCORES')
    if first[1] then
      local at = tonumber(first[2])
      if at <= NOW then return first[1] end
      soonest = soonest and math.min(soonest, at) or at
    end
  end
  return nil, soonest
end

local function release_job(pbx, extid, limits)
  if has_pauses and is_extension_paused(pbx, extid) then -- resume.lua brings its lane back
    leave_rings(pbx, extid)
    return 0
  end
  local id = redis.call('ZPOPMIN', key('lane', pbx, extid))[1]
  local record = read(id, 'pbx', 'extid', 'rank', 'expires_at')
  if record.state == 'waiting' and (record.pbx ~= pbx or record.extid ~= extid) then
    -- A job put anew after its record was deleted is in its own lane too.
    local is_at_home = redis.call('ZSCORE', key('lane', record.pbx, record.extid), id)
      or redis.call('ZSCORE', key('later', record.pbx), id)
    record = { state = 'elsewhere', damage = not is_at_home and 'its lane is not that of its pbx and extid' }
  end
  if record.damage then
    abandon(id, record.damage)
  elseif not record.state then
    forget(id, true)
  end
  if record.state ~= 'waiting' then
    place_lane(pbx, extid, true, true)
    return 0
  end
  if record.expires_at and tonumber(record.expires_at) <= NOW then
    end_job(id, record, 'expired', retain_s)
    place_lane(pbx, extid, true, true)
    return 0
  end
  redis.call('ZREM', key('waits', pbx, record.rank), id)
  redis.call('ZADD', key('released'), NOW, id)
  redis.call('ZADD', key('released', pbx), NOW, id)
  reserve(id, record, limits, 0, release_ttl_s, dead_after_s, 'state', 'released', line(record, 'released'))
  place_lane(pbx, extid, true)
  redis.call('LPUSH', KEYS[2], message_for(id))
  return 1
end

-- One turn of one PBX. Returns jobs released and when to look at it again (nil: when something is put).
local function visit(pbx)
  local limits = pbx_limits(pbx)
  -- No worker knows this PBX yet, or any more.
  if not limits or not is_known(pbx) then return 0, NOW + 5 end
  if is_paused(pbx) then return 0, nil end -- resume.lua brings it back
  local barred_until = barred(limits)
  if barred_until and barred_until > NOW then return 0, barred_until end
  -- One probe at a time: it may still be on its way to its claim, unless its message was lost.
  if barred_until and redis.call('ZCOUNT', key('released', pbx), NOW - 2, '+inf') > 0 then return 0, NOW + 0.5 end
  -- While somebody logs in, claims would only send jobs back; login_done.lua wakes us.
  local session = redis.call('HMGET', key('token', pbx), 'token', 'login_until')
  if not session[1] and tonumber(session[2] or 0) > NOW then return 0, tonumber(session[2]) end
  promote(pbx)
  redis.call('ZREMRANGEBYSCORE', key('lines', pbx), '-inf', NOW)
  -- The sweeper takes back what was released so long ago; what it cannot find by its record stays here no longer.
  redis.call('ZREMRANGEBYSCORE', key('released', pbx), '-inf', NOW - 2 * release_ttl_s)
  if redis.call('ZCARD', key('lines', pbx)) >= limits.max_open_calls then
    return 0, tonumber(redis.call('ZRANGE', key('lines', pbx), 0, 0, 'WITHSCORES')[2])
  end
  heal_permit(pbx, limits)
  local wait = permit_wait(limits, redis.call('ZCARD', key('released', pbx)))
  if wait > lookahead_s then return 0, NOW + wait - lookahead_s end
  local extid, soonest = next_lane(pbx)
  if extid then return release_job(pbx, extid, limits), NOW end
  local parked = redis.call('ZRANGE', key('later', pbx), 0, 0, 'WITHSCORES')[2]
  if parked then soonest = math.min(soonest or math.huge, tonumber(parked)) end
  return 0, soonest
end

only_with_room()
local room = math.min(most, most_released - redis.call('ZCARD', key('released')))
local released, visits = 0, 0
while released < room and visits < VISITS do
  local first = redis.call('ZRANGE', key('pbxs'), 0, 0, 'WITHSCORES')
  -- A PBX just served comes back a microsecond behind the last, so each has its turn in this round.
  if not first[1] or tonumber(first[2]) > NOW + visits * 1e-6 then break end
  visits = visits + 1
  local count, again_at = visit(first[1])
  released = released + count
  if again_at then
    redis.call('ZADD', key('pbxs'), math.max(again_at, NOW + visits * 1e-6), first[1])
  else
    redis.call('ZREM', key('pbxs'), first[1])
  end
end

if released >= room and room < most then
  redis.call('SET', key('starved'), most_released, 'EX', 5) -- claim.lua wakes us at half of it
  return { released, '-1' }
end
local first = redis.call('ZRANGE', key('pbxs'), 0, 0, 'WITHSCORES')
return { released, first[1] and stamp(math.max(0, tonumber(first[2]) - NOW)) or '-1' }
