-- find: jobs that pass a filter, in the reverse order of their arrival. KEYS[1] NS. Changes nothing.
-- ARGV[1]: JSON object of
--   below           the arrival to begin below; '' for the newest
--   wanted          most jobs to return
--   most            most jobs to look at
--   ids             instead of all jobs: those to look at, in their order
--   states, pbxs, origins, extids, errnos   lists; a job passes if its value is in each list that is given
--   metadata        names and values that a job must bring, all of them
--   since, before, ended_since, ended_before   unix seconds: when a job was handed in, and when it ended
-- Everything but wanted and most may be absent. Returns {the arrival to begin below next time, or '' if there is no
-- more, id, id, …}; fewer than wanted, even none, where few of those looked at pass the filters.
local filter = cjson.decode(ARGV[1])
local below, most = filter.below or '', filter.most
local PAGE = 200
local BLOCKS_AT_MOST = 64 -- of the index, 16 KB each

local function set_of(words)
  local set = {}
  for _, word in ipairs(words) do set[word] = true end
  return set
end

local lists = {}
for list, field in pairs({ states = 'state', pbxs = 'pbx', origins = 'origin', extids = 'extid', errnos = 'errno' }) do
  if filter[list] and filter[list][1] then lists[field] = set_of(filter[list]) end
end
local fields = { 'state', 'enqueued_at' }
for field in pairs(lists) do fields[#fields + 1] = field end
if filter.ended_since or filter.ended_before then fields[#fields + 1] = 'finished_at' end
if filter.metadata then fields[#fields + 1] = 'metadata' end

local function is_within(moment, since, before)
  if not (since or before) then return true end
  local at = tonumber(moment or '')
  return at and (not since or at >= since) and (not before or at < before)
end

local function brings(metadata)
  if not filter.metadata then return true end
  local readable, entries = pcall(cjson.decode, metadata or '{}')
  for name, value in pairs(filter.metadata) do
    if not readable or type(entries) ~= 'table' or entries[name] ~= value then return false end
  end
  return true
end

local function matches(record)
  for field, set in pairs(lists) do
    if not set[record[field] or ''] then return false end
  end
  return is_within(record.enqueued_at, filter.since, filter.before)
    and is_within(record.finished_at, filter.ended_since, filter.ended_before)
    and brings(record.metadata)
end

local found, looked_at = {}, 0

-- Takes the job if it matches; returns false where no earlier one can match either, for arrivals have an order in time.
-- Few jobs match, as a rule, so whether a record is sound is asked last.
local function look_at(id)
  looked_at = looked_at + 1
  local values = redis.pcall('HMGET', key('job', id), unpack(fields))
  if values.err then return true end
  local record = {}
  for i, field in ipairs(fields) do record[field] = values[i] or nil end
  if record.state and matches(record) and read(id, 'pbx', 'extid', 'enqueued_at').state then
    found[#found + 1] = id
  end
  return not (filter.since and (tonumber(record.enqueued_at or '') or NOW) < filter.since)
end

local function is_enough() return #found >= filter.wanted or looked_at >= most end

-- The name by which the index knows jobs that may pass, and the first arrival of which it knows.
local function indexed_name()
  local names = filter.metadata and indexed_names() or {}
  for name in pairs(filter.metadata or {}) do
    if names[name] then return name, names[name] end
  end
end

-- Looks at the jobs that the index holds; returns whether it came to the end of them.
local function look_by_index(name, from)
  local digest = digest_of(filter.metadata[name])
  local top = below == '' and tonumber(redis.call('GET', key('seq')) or 0) + 1 or tonumber(below)
  local blocks = 0
  for block = block_of(top - 1), block_of(from), -1 do
    for _, seq in ipairs(arrivals_in(name, block, digest)) do
      if seq < top and seq >= from then
        if is_enough() then return false end
        below = string.format('%.0f', seq)
        local id = redis.call('ZRANGE', key('arrivals'), seq, seq, 'BYSCORE')[1]
        if id and not look_at(id) then
          below = '0'
          return true
        end
      end
    end
    below = string.format('%.0f', math.max(block * JOBS_PER_BLOCK, from))
    blocks = blocks + 1
    if blocks >= BLOCKS_AT_MOST then return tonumber(below) <= from end
  end
  below = string.format('%.0f', math.min(top, from))
  return true
end

if filter.ids then
  for _, id in ipairs(filter.ids) do look_at(id) end
  return { '', unpack(found) }
end

local name, from = indexed_name()
if name and not look_by_index(name, from) then return { below, unpack(found) } end

while not is_enough() do
  local top = below == '' and '+inf' or '(' .. below
  local ids = redis.call('ZRANGE', key('arrivals'), top, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, PAGE, 'WITHSCORES')
  if not ids[1] then return { '', unpack(found) } end
  for i = 1, #ids, 2 do
    if is_enough() then break end
    below = string.format('%.0f', ids[i + 1])
    if not look_at(ids[i]) then return { '', unpack(found) } end
  end
end
return { below, unpack(found) }
