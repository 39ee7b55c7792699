-- put: new jobs into their lanes. KEYS[1] NS; ARGV[1] JSON list of jobs:
--   {id, fingerprint or "", {field, value, field, value, …}}
-- The fields hold at least pbx, extid, rank; not_before and expires_at are unix seconds.
-- Returns a flat list, two items per job: 'new' | 'existing' | 'conflict' | 'damaged', and the job's state.
-- Twice with the same jobs: the second time finds them all 'existing'.
local jobs = cjson.decode(ARGV[1])
local answer = {}
local any_new = false
local before -- place of the first new job in the order of arrival, less its number in this batch
for number, job in ipairs(jobs) do
  local id, fingerprint, fields = job[1], job[2], job[3]
  local held = redis.pcall('HMGET', key('job', id), 'state', 'fingerprint', 'enqueued_at')
  local damage = (held.err or not STATES[held[1]] and (held[1] or held[3])) and read(id).damage
  if damage then
    abandon(id, damage)
    answer[#answer + 1] = 'damaged'
    answer[#answer + 1] = ''
  elseif held[1] then
    local same = fingerprint == '' or not held[2] or held[2] == fingerprint
    answer[#answer + 1] = same and 'existing' or 'conflict'
    answer[#answer + 1] = held[1]
  else
    if not before then before = redis.call('INCRBY', key('seq'), #jobs - number + 1) - #jobs end
    local record = { seq = before + number }
    for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
    fields[#fields + 1] = 'seq'
    fields[#fields + 1] = record.seq
    fields[#fields + 1] = 'state'
    fields[#fields + 1] = 'waiting'
    fields[#fields + 1] = 'enqueued_at'
    fields[#fields + 1] = stamp(NOW)
    if fingerprint ~= '' then
      fields[#fields + 1] = 'fingerprint'
      fields[#fields + 1] = fingerprint
    end
    redis.call('HSET', key('job', id), unpack(fields))
    if record.expires_at then redis.call('ZADD', key('expiry'), record.expires_at, id) end
    local due = tonumber(record.not_before or 0)
    if due > NOW then
      enter_later(id, record, due)
    else
      enter_lane(id, record)
      -- An urgent job puts its PBX at the head of the round, once.
      if record.rank == '0' then redis.call('ZADD', key('pbxs'), 'LT', NOW - 3600, record.pbx) end
    end
    any_new = true
    answer[#answer + 1] = 'new'
    answer[#answer + 1] = 'waiting'
  end
end
if any_new then wake() end
return answer
