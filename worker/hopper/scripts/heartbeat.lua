-- heartbeat: a worker lives. KEYS[1] NS.
-- ARGV: name, slots (0: it is leaving), ttl_s, why no call may begin on this server or '', mark of its settings of PBXs.
-- Returns {slots of all workers alive, now, how often the clock was compared (see set_clock.lua), '1' if it is in doubt,
-- origin (another one: these are not the data of before), name of a living worker with other settings or '', '1' if
-- there are entries of other workers, alive or not}.
-- A reason holds all calls back until a worker finds it gone, or until no worker has found it for a while. Safe to repeat.
local name, held_why, mark = ARGV[1], ARGV[4], ARGV[5]
local guard, workers, settings = key('guard'), key('workers'), key('settings')
redis.call('HDEL', workers, name)
redis.call('HDEL', settings, name)
if ARGV[2] ~= '0' then
  redis.call('HSET', workers, name, ARGV[2] .. '|' .. stamp(NOW + tonumber(ARGV[3])))
  redis.call('HSET', settings, name, mark)
end
local all, total, other, has_others = redis.call('HGETALL', workers), 0, '', ''
for i = 1, #all, 2 do
  if all[i] ~= name then has_others = '1' end
  local slots, alive_until = string.match(all[i + 1], '^(%d+)|([%d.]+)$')
  if tonumber(alive_until) > NOW then
    total = total + tonumber(slots)
    if (redis.call('HGET', settings, all[i]) or mark) ~= mark then other = all[i] end
  else
    redis.call('HDEL', workers, all[i])
    redis.call('HDEL', settings, all[i])
  end
end

if held_why == '' then
  redis.call('HDEL', guard, 'held_until', 'held_why')
else
  redis.call('HSET', guard, 'held_until', stamp(NOW + tonumber(ARGV[3])), 'held_why', held_why)
end
local in_doubt = is_clock_in_doubt()
if not in_doubt then redis.call('HSET', guard, 'seen', stamp(NOW)) end
redis.call('HSETNX', guard, 'origin', stamp(NOW))
local state = redis.call('HMGET', guard, 'compared', 'origin')
return { total, stamp(NOW), tonumber(state[1] or 0) or 0, in_doubt and '1' or '', state[2], other, has_others }
