-- put: new jobs into their lanes. KEYS[1] NS; ARGV[1] JSON list of jobs:
--   {id, fingerprint or "", {field, value, field, value, …}, options or nothing}
-- The fields hold at least pbx, extid, rank; not_before and expires_at are unix seconds. Options, all optional:
--   once {name, mark, kept_s}: the request that brought the job, and what it said; it may come again
--   expires_in_s: instead of expires_at, counted from now
--   refused {errno, error, retain_s}: a rule forbids the call, so the job ends at once; then no field is needed
-- Returns a flat list, three items per job: 'new' | 'existing' | 'replayed' | 'conflict' | 'reused' | 'damaged' |
-- 'expired' (its time is over before it may begin; nothing was stored), the job's state and its id, which is another
-- than the given one if the request came before.
-- Twice with the same jobs: the second time finds them all 'existing' or 'replayed'.
local jobs = cjson.decode(ARGV[1])
local answer = {}
local any_new = false
local indexed = indexed_names()
local before -- place of the first new job in the order of arrival, less its number in this batch

-- The job that a request brought when it came before, or nil; and whether it said something else then.
local function brought_before(once)
  if not once then return nil end
  local mark, id = string.match(redis.call('GET', key('once', once[1])) or '', '^(%x+) (.+)$')
  return id, mark ~= once[2]
end

local function remember(once, id)
  if once then redis.call('SET', key('once', once[1]), once[2] .. ' ' .. id, 'EX', once[3]) end
end

local function arrival(number)
  if not before then before = redis.call('INCRBY', key('seq'), #jobs - number + 1) - #jobs end
  return before + number
end

local function store(number, id, fingerprint, fields, options)
  local record = { seq = arrival(number), enqueued_at = stamp(NOW) }
  for i = 1, #fields, 2 do record[fields[i]] = fields[i + 1] end
  local function add(name, value)
    fields[#fields + 1] = name
    fields[#fields + 1] = value
  end
  add('seq', record.seq)
  add('state', 'waiting')
  add('enqueued_at', record.enqueued_at)
  if fingerprint ~= '' then add('fingerprint', fingerprint) end
  if options.expires_in_s and not record.expires_at then
    record.expires_at = stamp(NOW + options.expires_in_s)
    add('expires_at', record.expires_at)
  end
  redis.call('HSET', key('job', id), unpack(fields))
  if redis.call('ZADD', key('arrivals'), record.seq, id) == 0 then
    -- The same key had this id before, and its record is gone: it must not count as ended now that it lives again.
    for _, list in ipairs({ 'ended', 'outbox' }) do redis.call('ZREM', key(list), id) end
  end
  if record.metadata and next(indexed) then index_job(indexed, record.seq, record.metadata) end
  if options.refused then
    local errno, error, retain_s = unpack(options.refused)
    end_job(id, record, 'refused', retain_s, errno, 'errno', errno, 'error', error)
    return 'refused'
  end
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
  return 'waiting'
end

-- Whether a job's time is over when it may first go.
local function has_no_time(fields, options)
  local begins, ends = NOW, options.expires_in_s and NOW + options.expires_in_s
  for i = 1, #fields, 2 do
    if fields[i] == 'expires_at' then ends = tonumber(fields[i + 1]) end
    if fields[i] == 'not_before' then begins = math.max(NOW, tonumber(fields[i + 1])) end
  end
  return ends and ends <= begins
end

local function put(number, id, fingerprint, fields, options)
  local known, is_other = brought_before(options.once)
  if known and is_other then return 'reused', '', known end
  id = known or id
  local held = redis.pcall('HMGET', key('job', id), 'state', 'fingerprint', 'enqueued_at')
  local damage = (held.err or not STATES[held[1]] and (held[1] or held[3])) and read(id).damage
  if damage then
    abandon(id, damage)
    return 'damaged', '', id
  end
  if known and not held[1] then return 'damaged', '', id end -- somebody deleted its record: it is not dialed anew
  if known then return 'replayed', held[1], id end
  if held[1] and not (fingerprint == '' or not held[2] or held[2] == fingerprint) then
    return 'conflict', held[1], id
  end
  if not held[1] and has_no_time(fields, options) then return 'expired', '', id end
  local word = held[1] and 'existing' or 'new'
  local state = held[1] or store(number, id, fingerprint, fields, options)
  remember(options.once, id)
  return word, state, id
end

for number, job in ipairs(jobs) do
  for _, item in ipairs({ put(number, job[1], job[2], job[3], job[4] or {}) }) do answer[#answer + 1] = item end
end
if any_new then wake() end
return answer
