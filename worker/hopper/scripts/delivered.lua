-- delivered: the results backend has taken these results, and their deliveries are stored.
-- KEYS[1] NS. ARGV: JSON of {jobs_in, results_in: databases, results_in being null if the results are not on this
-- server; ends: [[id, state, finished_at as delivered, its key in the results backend or '', finished_at as the value
-- of that key has it, whether its end was announced], ...]}. Safe to repeat.
-- Returns for each end: 1 if this step took it off the outbox; 0 if it is not there, or if the job ended again
-- (unknown, then evidence); -1 if it stays because this server lacks the result or its announcement.
-- It may lack them after a fail-over: both were written a moment ago, by other connections or before this one was made
-- anew, perhaps to a primary that is gone, and its last writes with it. Here they are looked up on the server that
-- holds the outbox, so whichever server is promoted later, it has the result, or the entry that brings it again.
local given = cjson.decode(ARGV[1])

-- One whose record cannot be read has nothing to announce.
local function is_announced(id)
  local record = read(id, 'ends', 'told')
  if not FINAL[record.state] then return true end
  local _, told_end = last_told(record)
  return told_end == this_end(record)
end

-- Celery never overwrites a success. One that is not the job's own comes from a primary that was replaced.
local function is_stored(state, key_of_result, finished_at)
  local stored = redis.pcall('GET', key_of_result)
  if type(stored) ~= 'string' then return false end
  if string.find(stored, finished_at, 1, true) then return true end
  local readable, meta = pcall(cjson.decode, stored)
  return state ~= 'placed' and readable and type(meta) == 'table' and meta.status == 'SUCCESS'
end

local answers = {}
for n, ended in ipairs(given.ends) do
  local id, finished_at, was_announced = ended[1], ended[3], ended[6]
  local score = redis.call('ZSCORE', key('outbox'), id)
  answers[n] = score and tonumber(score) <= finished_at and 1 or 0
  if answers[n] == 1 and was_announced and not is_announced(id) then answers[n] = -1 end
end

if given.results_in ~= cjson.null then
  redis.call('SELECT', given.results_in)
  for n, ended in ipairs(given.ends) do
    local state, key_of_result, text = ended[2], ended[4], ended[5]
    local is_wanted = answers[n] == 1 and key_of_result ~= ''
    if is_wanted and not is_stored(state, key_of_result, text) then answers[n] = -1 end
  end
  redis.call('SELECT', given.jobs_in)
end

for n, ended in ipairs(given.ends) do
  -- One that is given twice is taken off once.
  if answers[n] == 1 then answers[n] = redis.call('ZREM', key('outbox'), ended[1]) end
end
return answers
