-- redial: an operator brings ended jobs back under their ids. KEYS[1] NS. ARGV[1]: JSON object of
--   mark           names this request among all; a job that it has brought back already is left as it is
--   why            the operator's words
--   even_if_rung   whether an unknown job may be dialed although its phone may have rung
--   expires_in_s   how long each job has from now on; absent: as below
--   jobs           list of {id, PBX it is on}; to move it, further the other PBX, and the number as that one wants it; for
--                  a refused job, {id, PBX it was for, '', '', {field, value, field, value, …}} with what it asked for
-- Returns two items a job: 'redialed' | 'again' | 'not_ended' | 'placed' | 'may_have_rung' | 'moved' (it is on another
-- PBX by now) | 'no_number' | 'gone' | 'damaged', and its state.
-- A job whose time has run out gets as much again as it had. Who acts, when and why stays in the record.
-- Twice with the same mark: 'again', and nothing changes.
only_with_room()
local request = cjson.decode(ARGV[1])

local function new_end(record)
  if request.expires_in_s then return NOW + request.expires_in_s end
  local ends = tonumber(record.expires_at or '')
  if not ends or ends > NOW then return ends end
  return NOW + ends - math.max(tonumber(record.enqueued_at), tonumber(record.not_before or 0))
end

local function obstacle(id, record, pbx, asked)
  if record.damage then
    abandon(id, record.damage)
    return 'damaged'
  end
  if not record.state then return 'gone' end
  if record.redial_mark == request.mark then return 'again' end
  if not FINAL[record.state] then return 'not_ended' end
  if record.state == 'placed' then return 'placed' end
  if record.state == 'unknown' and not request.even_if_rung then return 'may_have_rung' end
  if (record.pbx or '') ~= pbx then return 'moved' end
  if not asked and not (record.outto and record.pbx and record.extid) then return 'no_number' end
end

local function redial(id, pbx, other, outto, asked)
  local record = read(id, 'pbx', 'extid', 'outto', 'hold', 'rank', 'seq', 'enqueued_at', 'not_before', 'expires_at',
    'redial_mark')
  local word = obstacle(id, record, pbx, asked)
  if word then return word, record.state or '' end

  local was = record.errno and record.state .. ' ' .. record.errno or record.state
  if asked then
    redis.call('HSET', key('job', id), unpack(asked))
    redis.call('HDEL', key('job', id), 'asked')
    for i = 1, #asked, 2 do record[asked[i]] = asked[i + 1] end
  elseif other then
    let_go(id, record)
    record.pbx, record.hold = other, nil
    redis.call('HSET', key('job', id), 'pbx', other, 'outto', outto)
  end
  local ends = new_end(record)
  record.expires_at = ends and stamp(ends)
  if ends then redis.call('HSET', key('job', id), 'expires_at', record.expires_at) end
  redis.call('HDEL', key('job', id), 'resolved_as', 'resolved_by', 'resolved_at', 'resolved_why',
    'cancelled_by', 'cancelled_why')
  redis.call('HSET', key('job', id), 'redial_mark', request.mark, 'redialed_by', WHO, 'redialed_at', stamp(NOW),
    'redialed_why', request.why, line(record, 'redialed', 'it was ' .. was))
  redis.call('HINCRBY', key('job', id), 'redials', 1)
  bring_back(id, record, other and other ~= '' and 'from PBX ' .. pbx or 'redial')
  return 'redialed', 'waiting'
end

local answer, redialed = {}, {}
for _, job in ipairs(request.jobs) do
  local word, state = redial(unpack(job))
  if word == 'redialed' then redialed[#redialed + 1] = job[1] end
  answer[#answer + 1] = word
  answer[#answer + 1] = state
end
audit_jobs('redial', redialed, '', request.why)
return answer
