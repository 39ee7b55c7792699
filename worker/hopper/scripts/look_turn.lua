-- look_turn: whose doubts are to be looked at now. KEYS[1] NS.
-- ARGV: lease_s (should the looker die, others look after so long), most jobs for one look, permits it costs.
-- Returns {'none', seconds until the next look, or -1}, or
--   {'look', pbx, '1' if the PBX must not be asked now, token or '', token generation,
--       seconds by which the clock in the PBX's ids is ahead of ours, now, job, job, …}
-- with seventeen items for each job: id, nonce, extid, outto, kind of doubt, on_unknown, claimed_at, doubted_at, engaged
-- ('1' if the extension was seen in use since), quiet_since (0: not quiet at the last look), attempts, trying_s, errno,
-- error, trace, callid, is_free ('1' if another try costs no attempt).
-- Those not looked at for longest come first. Twice: the second finds nothing to do before the lease is over.
local lease_s, most = tonumber(ARGV[1]), tonumber(ARGV[2])
if is_clock_in_doubt() then return { 'none', '0.5' } end
local first = redis.call('ZRANGE', key('looks'), 0, 0, 'WITHSCORES')
if not first[1] then return { 'none', '-1' } end
if tonumber(first[2]) > NOW then return { 'none', stamp(tonumber(first[2]) - NOW) } end
local pbx = first[1]

local ids = redis.call('ZRANGE', key('doubts', pbx), 0, most - 1)
if #ids == 0 then
  redis.call('ZREM', key('looks'), pbx)
  return { 'none', '0' }
end
local limits = pbx_limits(pbx)
-- The breaker keeps calls away, not looks: they ring nobody, are few, and find the PBX back. A refused log-in keeps
-- them away too, for without a token there is nothing to ask with.
local unasked = not limits
  or (limits.barred_until or 0) > NOW and redis.call('HGET', key('pbx', pbx), 'barred_by') == 'login'
local session = redis.call('HMGET', key('token', pbx), 'token', 'generation')
redis.call('ZREM', key('looks'), pbx)
redis.call('ZADD', key('looks'), NOW + lease_s, pbx)
if not unasked then
  heal_permit(pbx, limits)
  local interval = permits(limits)
  redis.call('HSET', key('pbx', pbx), 'looked_at', stamp(NOW),
    'tat', stamp(next_permit(limits) + tonumber(ARGV[3]) * interval))
end

local answer = { 'look', pbx, unasked and '1' or '', session[1] or '', tonumber(session[2] or 0),
  redis.call('HGET', key('pbx', pbx), 'ids_ahead') or '0', stamp(NOW) }
for _, id in ipairs(ids) do
  local record = read(id, 'nonce', 'extid', 'outto', 'on_unknown', 'claimed_at', 'doubted_at', 'engaged', 'quiet_since',
    'attempts', 'trying_since', 'errno', 'error', 'trace', 'callid', 'is_free')
  if record.state == 'claimed' and not redis.call('ZSCORE', key('claimed'), id) then
    if not record.doubt then record.damage = 'doubt is missing' end
    if not record.nonce then record.damage = 'nonce is missing' end
  end
  if record.damage then
    abandon(id, record.damage)
  elseif not record.state then
    forget(id)
  elseif record.state ~= 'claimed' or not record.doubt then
    redis.call('ZREM', key('doubts', pbx), id)
  else
    for _, value in ipairs({ id, record.nonce or '', record.extid, record.outto, record.doubt,
      record.on_unknown or 'hold', record.claimed_at or '0', record.doubted_at or '0', record.engaged or '',
      record.quiet_since or '0', tonumber(record.attempts or 0), trying_s(record), record.errno or '',
      record.error or '', record.trace or '', record.callid or '', record.is_free or '' }) do
      answer[#answer + 1] = value
    end
  end
end
return answer
