-- doubt: nobody can say from the attempt alone whether the phone rang; the PBX is to be looked at.
-- KEYS[1] NS. ARGV: id, nonce, kind (lost_reply | said_failed | worker_lost), errno, error, longest time of the
-- looking (s), shortest time between looks at one PBX (s), callid or '', '1' if another try costs no
-- attempt.
-- A callid is the PBX's word that it took the call: whoever looks at the job next ends it as placed.
-- The job stays claimed, and its slot is free. Returns {'doubted'} or {'stale', state or 'gone'}.
-- Twice: the second changes nothing, and so does a holder who comes after the sweeper had its claim in doubt, but for
-- one who knows that the PBX said Failed: that may be tried again.
local id, nonce, kind, callid = ARGV[1], ARGV[2], ARGV[3], ARGV[8] or ''
local record = read(id, 'nonce', 'pbx', 'extid', 'hold')
if record.damage then
  abandon(id, record.damage)
  return { 'stale', 'damaged' }
end
if record.state ~= 'claimed' or record.nonce ~= nonce then return { 'stale', record.state or 'gone' } end
redis.call('ZREM', key('claimed'), id)
if callid ~= '' then redis.call('HSET', key('job', id), 'callid', callid) end
if ARGV[9] == '1' then redis.call('HSET', key('job', id), 'is_free', '1') end
if not record.doubt then
  doubt(id, record, kind, ARGV[4], ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]))
elseif kind ~= record.doubt and kind == 'said_failed' then
  redis.call('HSET', key('job', id), 'doubt', kind, 'errno', ARGV[4], 'error', ARGV[5])
end
return { 'doubted' }
