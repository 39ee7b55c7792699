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

local placed_at = state == 'placed' and { 'placed_at', stamp(NOW) } or {}
if state == 'failed' then
  let_go(id, record)
elseif owns_extension(record) then
  hold_for_a_call(id, record, unpack(placed_at))
elseif state == 'placed' then
  redis.call('HSET', key('job', id), unpack(placed_at))
end
redis.call('HDEL', key('pbx', record.pbx), 'failures')
redis.call('HDEL', key('job', id), 'errno', 'error')
return done(end_job(id, record, state, retain_s, unpack(ARGV, 5)))
