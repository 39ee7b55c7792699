-- why: everything that may hold one job back, as of this moment. Changes nothing. KEYS[1] NS. ARGV: id.
-- Returns JSON, {} if there is no such job, {state: damaged, damage} if its record is spoiled. Times are unix seconds,
-- 0 if there is none; ids and words are '' if there is none:
--   of the job: now, state, pbx, extid, due, expires_at, attempts, errno, error (of the last attempt), doubt,
--     doubted_at, claimed_at, released_at (in the future while its worker's slot sleeps)
--   of its place: position (0: next in its lane, -1: in none), lane_length, ahead (the job before it), lanes_ahead (of
--     the first job of a lane: lanes whose turn comes before)
--   of its extension: lease_until, leased_to (the job whose call it is in; '' while it rests), leased_state (of that
--     job, or doubted)
--   of pauses: paused (its PBX), all_paused, extension_paused, pauses (name -> who paused it; see keys.lua)
--   of its PBX: known (a worker has registered it), breaker (closed | open | half-open), barred_until,
--     barred_since, barred_reason, barred_by (see `barred`), logged_in, logging_in, lines (other jobs'),
--     most_lines, lines_placed (of the lines, those of placed calls: nothing gives them back early), line_free_at (if
--     all are taken: when a lease ends), released (jobs), permit_in_s (the next one not meant for a job before this
--     one), open_call_s, extension_rest_s
--   of the workers: held_why (why they begin no call), refusal (why Redis takes nothing in), workers, slots (of those alive), starved (they have as many released jobs as they can take)
local id = ARGV[1]
local record = read(id, 'pbx', 'extid', 'due', 'not_before', 'expires_at', 'rank', 'hold', 'doubted_at', 'claimed_at',
  'attempts', 'errno', 'error')
if record.damage then return cjson.encode({ state = 'damaged', damage = record.damage }) end
if not record.state then return '{}' end
local pbx, extid = record.pbx, record.extid
local function number(value) return tonumber(value or 0) or 0 end

local facts = { now = NOW, state = record.state, pbx = pbx, extid = extid, expires_at = number(record.expires_at),
  due = number(record.due or record.not_before), doubt = record.doubt or '', doubted_at = number(record.doubted_at),
  claimed_at = number(record.claimed_at), attempts = number(record.attempts), errno = record.errno or '',
  error = record.error or '', released_at = number(redis.call('ZSCORE', key('released'), id)),
  paused = redis.call('SISMEMBER', key('paused'), pbx) == 1,
  all_paused = redis.call('SISMEMBER', key('paused'), '*') == 1,
  extension_paused = is_extension_paused(pbx, extid), pauses = {},
  released = redis.call('ZCARD', key('released', pbx)), starved = redis.call('EXISTS', key('starved')) == 1 }

for _, place in ipairs({ '*', pbx, place_of_pause(pbx, extid) }) do
  facts.pauses[place] = redis.call('HGET', key('pauses'), place) or nil
end

local lane = key('lane', pbx, extid)
facts.position, facts.ahead, facts.lanes_ahead = redis.call('ZRANK', lane, id) or -1, '', 0
facts.lane_length = redis.call('ZCARD', lane)
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

facts.lease_until = number(redis.call('ZSCORE', key('exts', pbx), extid))
facts.leased_to, facts.leased_state = '', ''
facts.lines, facts.lines_placed, facts.line_free_at = 0, 0, 0
local holders, ends = redis.call('ZRANGE', key('lines', pbx), NOW, '+inf', 'BYSCORE', 'WITHSCORES'), {}
for i = 1, #holders, 2 do
  local holder = read(holders[i], 'extid', 'hold')
  if holder.extid == extid and number(holder.hold) == facts.lease_until then
    facts.leased_to, facts.leased_state = holders[i], holder.doubt and 'doubted' or holder.state or ''
  end
  if holders[i] ~= id then
    ends[#ends + 1] = tonumber(holders[i + 1])
    facts.lines = facts.lines + 1
    if holder.state == 'placed' then facts.lines_placed = facts.lines_placed + 1 end
  end
end

local limits = pbx_limits(pbx)
facts.known = limits ~= nil and is_known(pbx)
if limits then
  local barred_until = barred(limits, id)
  local told = redis.call('HMGET', key('pbx', pbx), 'barred_reason', 'barred_by', 'barred_since')
  facts.breaker = not barred_until and 'closed' or limits.barred_until > NOW and 'open' or 'half-open'
  facts.barred_until = barred_until or 0
  facts.barred_reason, facts.barred_by, facts.barred_since = told[1] or '', told[2] or '', number(told[3])
  facts.most_lines, facts.open_call_s = limits.max_open_calls, limits.open_call_s
  facts.extension_rest_s = limits.extension_rest_s
  -- The limit may have been lowered under calls that go on: then more than one lease has to end.
  if #ends >= limits.max_open_calls then facts.line_free_at = ends[#ends - limits.max_open_calls + 1] end
  local before = record.state == 'waiting' and facts.released + math.max(0, facts.position) + facts.lanes_ahead or 0
  facts.permit_in_s = math.max(0, permit_wait(limits, before))
end

local session = redis.call('HMGET', key('pbx', pbx), 'logged_in', 'login_until')
facts.logged_in = session[1] and true or false
facts.logging_in = number(session[2]) > NOW

facts.held_why, facts.refusal = held_back() or '', refusal()
facts.workers, facts.slots = 0, 0
for _, value in ipairs(redis.call('HVALS', key('workers'))) do
  local slots, alive_until = string.match(value, '^(%d+)|([%d.]+)$')
  if slots and tonumber(alive_until) > NOW then
    facts.workers, facts.slots = facts.workers + 1, facts.slots + tonumber(slots)
  end
end
return cjson.encode(facts)
