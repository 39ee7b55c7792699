-- finish: what an attempt came to, when the job ends by it.
-- KEYS[1] NS. ARGV: id, nonce, state (placed | failed | unknown), retain_s, '1' if nothing runs on the extension,
-- '1' if the PBX answered, then field, value, …
-- Returns {'done', finished_at, attempts, enqueued_at, metadata or '', '1' if the breaker closed by it, callid or '',
-- outboundid or '', placed_at or ''} or {'stale', state or 'gone'}.
-- Twice with the same nonce: the second time answers the same and changes nothing. A claim that others had in doubt,
-- called unknown or found running may still be finished by its holder: that is evidence, not a second try.
local id, nonce, state, retain_s, nothing_runs = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5] == '1'
local record = read(id, 'nonce', 'pbx', 'extid', 'hold', 'attempts', 'enqueued_at', 'finished_at', 'callid',
  'outboundid', 'claimed_at', 'placed_at')
local facts = { unpack(ARGV, 7) }
local given = {}
for i = 1, #facts, 2 do given[facts[i]] = facts[i + 1] end

if record.damage then
  abandon(id, record.damage)
  -- A call that was placed was placed, and the record is the only place left to say so.
  if state == 'placed' and redis.call('TYPE', key('job', id)).ok == 'hash' then
    redis.call('HSET', key('job', id), 'state', 'placed', unpack(facts))
  end
  return { 'stale', 'damaged' }
end

local function done(finished_at, closed)
  return { 'done', finished_at, tonumber(record.attempts or 0), record.enqueued_at, readable_metadata(id),
    closed or '', given.callid or record.callid or '', given.outboundid or record.outboundid or '',
    record.placed_at or '' }
end

if not record.state or record.nonce ~= nonce then return { 'stale', record.state or 'gone' } end
-- The looking found the call by its outbound leg, and now its holder brings the callid: worth telling again.
local completes = record.state == 'placed' and state == 'placed' and given.callid and not record.callid
if record.state == state and not completes then return done(record.finished_at or stamp(NOW)) end
if record.state ~= 'claimed' and record.state ~= 'unknown' and not completes then return { 'stale', record.state } end

redis.call('ZREM', key('claimed'), id)
local placed_at = {}
if state == 'placed' and not completes then
  record.placed_at = stamp(NOW)
  placed_at = { 'placed_at', record.placed_at }
end
if state == 'failed' or nothing_runs then
  let_go(id, record)
elseif owns_extension(record) then
  hold_for_a_call(id, record, unpack(placed_at))
elseif placed_at[1] then
  redis.call('HSET', key('job', id), unpack(placed_at))
end
-- The ids of a PBX begin with its clock's seconds: the looking compares those of outbound calls with claims.
local epoch = string.match(given.callid or '', '^(%d+)%.%d+$')
if epoch and record.claimed_at then
  redis.call('HSET', key('pbx', record.pbx), 'ids_ahead', string.format('%.0f', epoch - record.claimed_at))
end
local closed = ARGV[6] == '1' and answered(record.pbx) or ''
redis.call('HDEL', key('job', id), 'errno', 'error')
return done(end_job(id, record, state, retain_s, given.errno, unpack(facts)), closed)
