-- finish: what an attempt came to, when the job ends by it.
-- KEYS[1] NS. ARGV: id, nonce, state (placed | failed | unknown), retain_s, then field, value, …
-- Returns {'done', finished_at, attempts, enqueued_at, metadata or ''} or {'stale', state or 'gone'}.
-- Twice with the same nonce: the second time answers the same and changes nothing. A claim that the
-- sweeper had called unknown may still be finished by its holder: that is evidence, not a second try.
local id, nonce, state, retain_s = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local record = read(id, 'state', 'nonce', 'pbx', 'extid', 'hold', 'attempts', 'enqueued_at', 'finished_at', 'metadata')

local function done(finished_at)
  return { 'done', finished_at, tonumber(record.attempts), record.enqueued_at, record.metadata or '' }
end

if not record.state or record.nonce ~= nonce then return { 'stale', record.state or 'gone' } end
if record.state == state then return done(record.finished_at) end
if record.state ~= 'claimed' and record.state ~= 'unknown' then return { 'stale', record.state } end

if state == 'failed' then
  let_go(id, record)
elseif owns_extension(record) then
  local limits = pbx_limits(record.pbx) or { open_call_s = 60, extension_rest_s = 0 }
  local over_at = NOW + limits.open_call_s
  hold(id, record, over_at, over_at + limits.extension_rest_s)
  -- Also where nothing waits: that visit clears the line away.
  if redis.call('ZADD', key('pbxs'), 'LT', 'CH', math.max(over_at, NOW), record.pbx) == 1 then wake() end
end
redis.call('HDEL', key('pbx', record.pbx), 'failures')
if state == 'placed' then redis.call('HSET', key('job', id), 'placed_at', stamp(NOW)) end
redis.call('HDEL', key('job', id), 'errno', 'error')
return done(end_job(id, record, state, retain_s, unpack(ARGV, 5)))
