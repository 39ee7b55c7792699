-- why: everything that may hold one job back, as of this moment. Changes nothing. KEYS[1] NS. ARGV: id.
-- Returns JSON, {} if there is no such job; times are unix seconds, numbers unless they are zero or unknown:
--   now, state, pbx, extid, due, expires_at, paused, all_paused, known, breaker (closed | open | half-open),
--   barred_until, barred_reason, position (0: next in its lane), ahead (the job before it), lease_until (of the
--   extension), leased_to (a job), lines, most_lines, line_free_at, permit_in_s, lanes_ahead, released, logged_in,
--   logging_in, doubt, doubted_at, claimed_at, open_call_s, extension_rest_s
local id = ARGV[1]
local record = read(id, 'pbx', 'extid', 'due', 'not_before', 'expires_at', 'rank', 'hold', 'doubted_at', 'claimed_at')
if record.damage then return cjson.encode({ state = 'damaged', damage = record.damage }) end
if not record.state then return '{}' end
local pbx, extid = record.pbx, record.extid
local function number(value) return tonumber(value or 0) or 0 end

local facts = { now = NOW, state = record.state, pbx = pbx, extid = extid, expires_at = number(record.expires_at),
  due = number(record.due or record.not_before), doubt = record.doubt or '', doubted_at = number(record.doubted_at),
  claimed_at = number(record.claimed_at),
  paused = redis.call('SISMEMBER', key('paused'), pbx) == 1,
  all_paused = redis.call('SISMEMBER', key('paused'), '*') == 1,
  released = redis.call('ZCARD', key('released', pbx)) }

local limits = pbx_limits(pbx)
facts.known = limits ~= nil
if limits then
  local barred_until = barred(limits)
  facts.breaker = not barred_until and 'closed' or limits.barred_until > NOW and 'open' or 'half-open'
  facts.barred_until = barred_until or 0
  facts.barred_reason = redis.call('HGET', key('pbx', pbx), 'barred_reason') or ''
  facts.most_lines, facts.open_call_s = limits.max_open_calls, limits.open_call_s
  facts.extension_rest_s = limits.extension_rest_s
  facts.permit_in_s = math.max(0, permit_wait(limits, facts.released))
end

local session = redis.call('HMGET', key('token', pbx), 'token', 'login_until')
facts.logged_in = session[1] and true or false
facts.logging_in = number(session[2] or nil) > NOW

local holders = redis.call('ZRANGE', key('lines', pbx), NOW, '+inf', 'BYSCORE', 'WITHSCORES')
facts.lines, facts.line_free_at = #holders / 2, number(holders[2])
facts.lease_until = number(redis.call('ZSCORE', key('exts', pbx), extid) or nil)
facts.leased_to = ''
for i = 1, #holders, 2 do
  local other = read(holders[i], 'extid', 'hold')
  if other.extid == extid and number(other.hold) == facts.lease_until then facts.leased_to = holders[i] end
end

local lane = key('lane', pbx, extid)
facts.position, facts.ahead, facts.lanes_ahead = redis.call('ZRANK', lane, id) or -1, '', 0
if facts.position > 0 then
  facts.ahead = redis.call('ZRANGE', lane, facts.position - 1, facts.position - 1)[1]
elseif facts.position == 0 then
  for ring = 0, number(record.rank) - 1 do
    facts.lanes_ahead = facts.lanes_ahead + redis.call('ZCOUNT', key('ring', pbx, ring), '-inf', NOW)
  end
  local turn = redis.call('ZSCORE', key('ring', pbx, record.rank), extid)
  if turn then
    facts.lanes_ahead = facts.lanes_ahead
      + redis.call('ZCOUNT', key('ring', pbx, record.rank), '-inf', '(' .. turn)
  end
end
return cjson.encode(facts)
