-- The explorer's driver: runs steps from given states, and returns what each has changed.
-- ARGV[1] JSON: [[items, calls], ...]. An item is [command, key, arguments, TTL or nothing] and makes one key of the
-- state; a call is [step, KEYS, ARGV]. Returns for each state and call {'1' or '' if it raised, reply or error, key,
-- content, key, content, ...} with each key that the step has written. STEPS holds each step as a function of KEYS,
-- ARGV and redis, with its text as it is; only TIME is answered here, always with the same moment, and what is
-- written for people alone (PUBLISH, XADD) is left out.
local READS = { HGET = 1, HMGET = 1, HGETALL = 1, HEXISTS = 1, ZSCORE = 1, ZRANGE = 1, ZCOUNT = 1, ZCARD = 1, ZRANK = 1,
  EXISTS = 1, GET = 1, LLEN = 1, SISMEMBER = 1, SMEMBERS = 1, TTL = 1, TYPE = 1, PUBLISH = 1, TIME = 1,
  XADD = 1 }
local HASHES, SETS = { job = 1, pbx = 1, token = 1, guard = 1, pauses = 1 }, { known = 1, paused = 1 }
local LISTS, STRINGS = { wake = 1, aside = 1, queue = 1 }, { seq = 1, sweeping = 1, starved = 1, aside_count = 1 }

local touched
local function watched(original)
  return function(command, name, ...)
    if command == 'TIME' then return { MOMENT, '0' } end
    if command == 'PUBLISH' or command == 'XADD' then return 0 end
    if not READS[command] then touched[name] = true end
    return original(command, name, ...)
  end
end
local stage = { call = watched(redis.call), pcall = watched(redis.pcall), sha1hex = redis.sha1hex }

local function content(name)
  local kind = string.match(name, '^w:([a-z_]+)')
  if HASHES[kind] then
    local held = redis.call('HGETALL', name)
    if kind == 'job' and redis.call('TTL', name) >= 0 then
      held[#held + 1] = 'has_ttl'
      held[#held + 1] = '1'
    end
    return held
  end
  if SETS[kind] then return redis.call('SMEMBERS', name) end
  if LISTS[kind] then return redis.call('LRANGE', name, 0, -1) end
  if STRINGS[kind] then return { redis.call('GET', name) } end
  return redis.call('ZRANGE', name, 0, -1, 'WITHSCORES')
end

local function make(item)
  redis.call(item[1], item[2], unpack(item[3]))
  if item[4] then redis.call('EXPIRE', item[2], item[4]) end
end

local answers = {}
for number, state in ipairs(cjson.decode(ARGV[1])) do
  local items, results = {}, {}
  for _, item in ipairs(state[1]) do
    items[item[2]] = item
    make(item)
  end
  for n, call in ipairs(state[2]) do
    touched = {}
    local worked, reply = pcall(STEPS[call[1]], call[2], call[3], stage)
    if not worked and type(reply) == 'table' then reply = reply.err end
    local result = { worked and '1' or '', reply or false }
    for name in pairs(touched) do
      result[#result + 1] = name
      result[#result + 1] = content(name)
      redis.call('DEL', name)
      if items[name] then make(items[name]) end
    end
    results[n] = result
  end
  for name in pairs(items) do redis.call('DEL', name) end
  answers[number] = results
end
return answers
