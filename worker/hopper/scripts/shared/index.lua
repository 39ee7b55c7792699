-- The index of metadata: which jobs bring a certain value under a name that the settings list.
--
-- Four bytes of a value's SHA-1 stand for it, at the place of the job's arrival: string NS:index:NAME:BLOCK holds
-- JOBS_PER_BLOCK places. Two values may share their four bytes, so a job that is found is asked for its value.
-- A place of zeros belongs to a job that brings no such name, or whose record is gone.
local JOBS_PER_BLOCK, BYTES_PER_JOB = 4096, 4

local function block_of(seq) return math.floor(seq / JOBS_PER_BLOCK) end
local function block_key(name, block) return key('index', name, string.format('%.0f', block)) end

local function digest_of(value)
  local hex = string.sub(redis.sha1hex(value), 1, 2 * BYTES_PER_JOB)
  local bytes = string.gsub(hex, '%x%x', function(byte) return string.char(tonumber(byte, 16)) end)
  return bytes == '\0\0\0\0' and '\0\0\0\1' or bytes
end

-- Names of the index with the arrival from which every job is in it; earlier jobs have to be read one by one.
local function indexed_names()
  local flat, names = redis.call('HGETALL', key('indexed')), {}
  for i = 1, #flat, 2 do names[flat[i]] = tonumber(flat[i + 1]) end
  return names
end

local function index_job(names, seq, metadata)
  local readable, entries = pcall(cjson.decode, metadata)
  for name in pairs(readable and names or {}) do
    if type(entries[name]) == 'string' then
      local place = (seq % JOBS_PER_BLOCK) * BYTES_PER_JOB
      redis.call('SETRANGE', block_key(name, block_of(seq)), place, digest_of(entries[name]))
    end
  end
end

-- Arrivals in one block that may bring the value, the last first.
local function arrivals_in(name, block, digest)
  local text = redis.call('GET', block_key(name, block)) or ''
  local found, from = {}, 1
  while true do
    local at = string.find(text, digest, from, true)
    if not at then return found end
    if (at - 1) % BYTES_PER_JOB == 0 then
      table.insert(found, 1, block * JOBS_PER_BLOCK + (at - 1) / BYTES_PER_JOB)
    end
    from = at + 1
  end
end

-- Looks at the next block, and drops it if none of its jobs has a record any more; called once in each sweep.
local function tidy_index()
  local names = indexed_names()
  if not next(names) then return end
  local first, last = math.huge, block_of(tonumber(redis.call('GET', key('seq')) or 0))
  for _, from in pairs(names) do first = math.min(first, block_of(from)) end
  local block = math.max(first, tonumber(redis.call('GET', key('index_tidied')) or 0) + 1)
  if block > last then block = first end
  local lowest = block * JOBS_PER_BLOCK
  if block < last and redis.call('ZCOUNT', key('arrivals'), lowest, lowest + JOBS_PER_BLOCK - 1) == 0 then
    for name in pairs(names) do redis.call('DEL', block_key(name, block)) end
  end
  redis.call('SET', key('index_tidied'), block)
end
