-- announce: a delivery for each target that is to hear of these ends. KEYS[1] NS. ARGV: JSON of
--   {ends: [[job, finished_at, result, [names of endpoints]], …], origins: {endpoint: [origin, …]}, sources: [name, …],
--     kept_s, most_dead}
-- An endpoint with origins hears of jobs of these alone (`api:*` is all that begin so, `none` those without); a source
-- hears of its own jobs. `told` in a job's record is `seq|ends`: how many ends were announced, and which was the last.
-- So twice changes nothing, which is why this may come before the results backend, which may be down; and seq rises
-- without a gap, for an end that is not the job's last any more is left out: the later one is in the outbox. Returns how
-- many deliveries were stored.
only_with_room()
local given = cjson.decode(ARGV[1])
local sources = {}
for _, name in ipairs(given.sources) do sources['hook:' .. name] = 'source:' .. name end

local function is_from(origin, wanted)
  if not wanted or #wanted == 0 then return true end
  for _, each in ipairs(wanted) do
    if each == origin then return true end
    if string.sub(each, -1) == '*' and string.sub(origin, 1, #each - 1) == string.sub(each, 1, -2) then return true end
  end
  return false
end

local function store(job, seq, target, result)
  local id = job .. '_' .. seq .. '_' .. target
  redis.call('SADD', key('endpoints'), target)
  local held = redis.pcall('HSET', key('delivery', id), 'result', result, 'announced_at', stamp(NOW))
  if type(held) == 'table' then return set_aside('delivery', id, 'its place is taken by something else') end
  if is_disabled(target) then return give_up(id, target, DISABLED, given.kept_s, given.most_dead) end
  redis.call('ZADD', key('due', target), stamp(NOW), id)
  visit_at(target, NOW)
end

local stored = 0
for _, ended in ipairs(given.ends) do
  local job, finished_at, result, names = ended[1], ended[2], ended[3], ended[4]
  local record = read(job, 'finished_at', 'origin', 'ends', 'told')
  local ends = this_end(record)
  local told, told_end = last_told(record)
  if FINAL[record.state] and tonumber(record.finished_at or 0) <= finished_at and told_end ~= ends then
    local seq = tonumber(told or 0) + 1
    local origin = record.origin or 'none'
    for _, name in ipairs(names) do
      if is_from(origin, given.origins[name]) then
        store(job, seq, name, result)
        stored = stored + 1
      end
    end
    if sources[origin] then
      store(job, seq, sources[origin], result)
      stored = stored + 1
    end
    redis.call('HSET', key('job', job), 'told', seq .. '|' .. ends)
  end
end
return stored
