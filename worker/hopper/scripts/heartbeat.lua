-- heartbeat: a worker says it lives. KEYS[1] NS. ARGV: name, slots (0: it is leaving), ttl_s.
-- Returns {slots of all workers alive, now, how often the clock was compared (see set_clock.lua), '1' if it is in doubt}.
-- Safe to repeat.
redis.call('HDEL', key('workers'), ARGV[1])
if ARGV[2] ~= '0' then
  redis.call('HSET', key('workers'), ARGV[1], ARGV[2] .. '|' .. stamp(NOW + tonumber(ARGV[3])))
end
local all, total = redis.call('HGETALL', key('workers')), 0
for i = 1, #all, 2 do
  local slots, alive_until = string.match(all[i + 1], '^(%d+)|([%d.]+)$')
  if tonumber(alive_until) > NOW then
    total = total + tonumber(slots)
  else
    redis.call('HDEL', key('workers'), all[i])
  end
end
local in_doubt = is_clock_in_doubt()
if not in_doubt then redis.call('HSET', key('guard'), 'seen', stamp(NOW)) end
return { total, stamp(NOW), tonumber(redis.call('HGET', key('guard'), 'compared') or 0) or 0, in_doubt and '1' or '' }
