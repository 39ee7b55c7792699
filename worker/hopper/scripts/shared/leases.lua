-- Line and extension, leased to one job.

-- Line and extension are leased together. The record remembers the extension's lease as `hold` (in the same HSET
-- as whatever else changes), so that nobody shortens a lease that is another job's.
local function hold(id, record, line_until, ext_until, ...)
  local mark = stamp(ext_until)
  redis.call('ZADD', key('lines', record.pbx), line_until, id)
  redis.call('ZADD', key('exts', record.pbx), mark, record.extid)
  redis.call('HSET', key('job', id), 'hold', mark, ...)
  record.hold = mark
end

-- After a call that was placed, or may have been: from now on, line and extension are held as long as a call lasts.
local function hold_for_a_call(id, record, ...)
  local limits = pbx_limits(record.pbx) or { open_call_s = 60, extension_rest_s = 0 }
  local over_at = NOW + limits.open_call_s
  hold(id, record, over_at, over_at + limits.extension_rest_s, ...)
  place_lane(record.pbx, record.extid)
  -- Also where nothing waits: that visit clears the line away.
  if redis.call('ZADD', key('pbxs'), 'LT', 'CH', math.max(over_at, NOW), record.pbx) == 1 then wake() end
end

-- The leases of a released job outlast the longest way from here: released for its whole time, claimed at its
-- last moment, the claim dead, and the phone ringing all the same. So a claim need not touch them.
local function reserve(id, record, limits, begins_in_s, release_ttl_s, dead_after_s, ...)
  local over_at = NOW + begins_in_s + release_ttl_s + dead_after_s + limits.open_call_s
  hold(id, record, over_at, over_at + limits.extension_rest_s, ...)
end

local function owns_extension(record)
  local lease = redis.call('ZSCORE', key('exts', record.pbx), record.extid)
  return lease and record.hold and tonumber(lease) == tonumber(record.hold)
end

-- Gives line and extension back; `rest_s` keeps the extension a little longer (it said busy).
local function let_go(id, record, rest_s)
  redis.call('ZREM', key('lines', record.pbx), id)
  if owns_extension(record) then
    if rest_s and rest_s > 0 then
      redis.call('ZADD', key('exts', record.pbx), stamp(NOW + rest_s), record.extid)
    else
      redis.call('ZREM', key('exts', record.pbx), record.extid)
    end
    place_lane(record.pbx, record.extid)
  end
  redis.call('HDEL', key('job', id), 'hold')
  look_again(record.pbx) -- a freed line may let another lane go
  wake()
end
