-- claim: the last step before the POST; checks and takes everything together.
-- KEYS[1] NS. ARGV: id, nonce of this claim, seconds until the claim counts as dead, longest wait the
-- caller's slot may sleep (s), retain_s, incarnation of the worker process (see bury.lua).
-- Returns one of
--   {'go', pbx, extid, outto, autoanswer, attempts, age_s, token, token generation, trace, trying_s, tries_in_vain,
--       '1' if it is the probe of its PBX, seconds until its request may be sent}
--       age_s counts from when the job could first go: enqueued_at or not_before; trying_s from `trying_since`, the
--       first attempt that counted; trace is '' for a job without one
--   {'login', pbx}      nothing taken; the PBX has no token and nobody is logging in
--   {'wait', seconds}   nothing taken; sleep in the slot and claim again
--   {'back', seconds, reason, pbx}   back in its lane; the pacer brings it again
--   {'ended', state, finished_at}   it expired just now
--   {'not_yours', state or 'gone' or 'damaged'}  another message of this job was faster, or it is over
-- Twice with the same nonce: 'go' again, with nothing taken twice.
local id, nonce = ARGV[1], ARGV[2]
local dead_after_s, slot_wait_s = tonumber(ARGV[3]), tonumber(ARGV[4])
local record = read(id, 'nonce', 'pbx', 'extid', 'expires_at', 'hold', 'attempts', 'outto', 'autoanswer',
  'enqueued_at', 'not_before', 'rank', 'seq', 'trace', 'trying_since', 'tries_in_vain')
if record.damage then
  abandon(id, record.damage)
  return { 'not_yours', 'damaged' }
end
if not record.state then forget(id) end

-- One in doubt is no longer its holder's to ring, however late the answer to its claim came.
local claimed_before = record.state == 'claimed' and record.nonce == nonce and not record.doubt
if not claimed_before and record.state ~= 'released' then return { 'not_yours', record.state or 'gone' } end

local session = redis.call('HMGET', key('token', record.pbx), 'token', 'generation', 'login_until')
local function go(attempts, is_probe, send_in_s)
  local since = math.max(tonumber(record.enqueued_at), tonumber(record.not_before or 0))
  return { 'go', record.pbx, record.extid, record.outto, record.autoanswer or 'no', attempts,
    stamp(math.max(0, NOW - since)), session[1] or '', tonumber(session[2] or 0), record.trace or '',
    trying_s(record), tonumber(record.tries_in_vain or 0), is_probe and '1' or '', stamp(send_in_s) }
end

if claimed_before then
  -- Its time to be sent lies behind it by now, or a few milliseconds ahead.
  return go(tonumber(record.attempts), redis.call('HGET', key('pbx', record.pbx), 'probe') == id, 0)
end
if is_clock_in_doubt() then return { 'wait', '0.2' } end
if record.expires_at and tonumber(record.expires_at) <= NOW then
  let_go(id, record)
  return { 'ended', 'expired', end_job(id, record, 'expired', ARGV[5]) }
end

local function back(due, reason)
  back_to_lane(id, record, due, 0, reason)
  return { 'back', stamp(math.max(0, due - NOW)), reason, record.pbx }
end

if tonumber(record.v or 1) > VERSION then return back(NOW + 1, 'later version') end
local limits = pbx_limits(record.pbx)
if not limits or not is_known(record.pbx) then return back(NOW + 5, 'pbx not known') end
if is_paused(record.pbx) or is_extension_paused(record.pbx, record.extid) then return back(0, 'paused') end
if held_back() then return back(0, 'held') end
local barred_until = barred(limits, id)
if (barred_until or 0) > NOW then return back(0, 'breaker') end

heal_permit(record.pbx, limits)
local wait = permit_wait(limits, 0)
local lease = redis.call('ZSCORE', key('exts', record.pbx), record.extid)
if lease and tonumber(lease) > NOW and not owns_extension(record) then
  wait = math.max(wait, tonumber(lease) - NOW)
end
local lines = key('lines', record.pbx)
local others = redis.call('ZCOUNT', lines, NOW, '+inf')
if tonumber(redis.call('ZSCORE', lines, id) or 0) >= NOW then others = others - 1 end
if others >= limits.max_open_calls then
  local first = redis.call('ZRANGE', lines, NOW, '+inf', 'BYSCORE', 'LIMIT', 0, 1, 'WITHSCORES')
  wait = math.max(wait, tonumber(first[2]) - NOW, 0.01)
end
if wait > slot_wait_s then return back(0, 'pacing') end
if not session[1] then
  -- One slot logs in; the others are better used than by waiting for it.
  if tonumber(session[3] or 0) > NOW then return back(NOW + 0.1, 'log-in') end
  return { 'login', record.pbx }
end
if wait > 0 then return { 'wait', stamp(wait) } end

only_with_room()
-- Should this process die now, the phone may be ringing: line and extension must be held until claim and call are
-- surely over. The release reserved them for long enough, unless this claim comes very late or limits changed.
local over_at = NOW + dead_after_s + limits.open_call_s
if not owns_extension(record) or tonumber(redis.call('ZSCORE', lines, id) or 0) < over_at then
  hold(id, record, over_at, over_at + limits.extension_rest_s)
  place_lane(record.pbx, record.extid)
end
local send_in_s = send_in(limits)
local interval = permits(limits)
redis.call('HSET', key('pbx', record.pbx), 'tat', stamp(next_permit(limits) + interval))
if barred_until then begin_probe(record.pbx, id, dead_after_s) end
leave_flight(id, record)
redis.call('ZADD', key('claimed'), NOW + dead_after_s, id)
local attempts = tonumber(record.attempts or 0) + 1
redis.call('HSET', key('job', id), 'state', 'claimed', 'nonce', nonce, 'claimed_at', stamp(NOW), 'attempts', attempts,
  'worker', ARGV[6], line(record, 'claimed'))

local starved = redis.call('GET', key('starved'))
if starved and redis.call('ZCARD', key('released')) <= tonumber(starved) / 2 then
  redis.call('DEL', key('starved'))
  wake()
end
return go(attempts, barred_until, send_in_s)
