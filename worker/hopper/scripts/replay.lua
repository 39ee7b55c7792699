-- replay: dead letters are tried again, from the first attempt on. KEYS[1] NS. ARGV: reason, id, …
-- Returns a word for each: 'replayed' | 'not_dead' (it waits, is under way or has arrived) | 'gone' (its time is over) |
-- 'disabled' (its endpoint is to be enabled first). Twice: the second time 'not_dead'.
local answer, replayed = {}, {}
local function replay(id)
  local _, _, target = parts_of(id)
  if not target then return 'gone' end
  if not redis.call('ZSCORE', key('dead', target), id) then
    local waits = redis.call('ZSCORE', key('due', target), id) or redis.call('ZSCORE', key('flying', target), id)
    return waits and 'not_dead' or 'gone'
  end
  if is_disabled(target) then return 'disabled' end
  if not sound_delivery(id, target) then return 'gone' end
  redis.call('ZREM', key('dead', target), id)
  redis.call('PERSIST', key('delivery', id))
  redis.call('HDEL', key('delivery', id), 'attempts', 'given_up_at', 'probe')
  redis.call('HSET', key('delivery', id), 'announced_at', stamp(NOW))
  redis.call('ZADD', key('due', target), stamp(NOW), id)
  visit_at(target, NOW)
  replayed[target] = (replayed[target] or 0) + 1
  return 'replayed'
end
for i = 2, #ARGV do answer[i - 1] = replay(ARGV[i]) end
for target, count in pairs(replayed) do audit('replay', target, ARGV[1], 'deliveries', count) end
return answer
