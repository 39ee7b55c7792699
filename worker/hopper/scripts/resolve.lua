-- resolve: an operator says what became of an unknown job. KEYS[1] NS.
-- ARGV: id, verdict (placed | failed | redial), callid or '', why, retain_s.
-- Returns {'resolved' | 'again', state}, {'expired', expires_at}, or {'not_unknown' | 'gone' | 'damaged', state}.
-- Who acts, when and why stays in the record. Twice: 'again', and nothing changes.
local id, verdict, callid = ARGV[1], ARGV[2], ARGV[3]
local record = read(id, 'pbx', 'extid', 'hold', 'rank', 'seq', 'expires_at', 'resolved_as', 'callid')
if record.damage then
  abandon(id, record.damage)
  return { 'damaged', '' }
end
if not record.state then return { 'gone', '' } end
if record.state ~= 'unknown' then
  local same = record.resolved_as == verdict and (verdict ~= 'placed' or record.callid == callid)
  return { same and 'again' or 'not_unknown', record.state }
end
if verdict == 'redial' and record.expires_at and tonumber(record.expires_at) <= NOW then
  return { 'expired', record.expires_at }
end

redis.call('HDEL', key('job', id), 'errno', 'error')
redis.call('HSET', key('job', id), 'resolved_as', verdict, 'resolved_by', WHO, 'resolved_at', stamp(NOW),
  'resolved_why', ARGV[4], line(record, 'resolved', verdict))
audit('resolve', id, ARGV[4], 'verdict', verdict)
if verdict == 'placed' then
  end_job(id, record, 'placed', ARGV[5], 'resolved', 'callid', callid, 'placed_at', stamp(NOW))
  return { 'resolved', 'placed' }
end
if verdict == 'failed' then
  if owns_extension(record) then let_go(id, record) end
  end_job(id, record, 'failed', ARGV[5], 'resolved', 'errno', 'resolved', 'error', 'an operator says it did not ring')
  return { 'resolved', 'failed' }
end
bring_back(id, record, 'redial')
return { 'resolved', 'waiting' }
