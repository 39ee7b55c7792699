-- report_settings: one process reports which settings it has. KEYS[1] NS.
-- ARGV: name of the process, how long the report counts (s), the report (JSON, without secrets) or '' when it leaves.
-- Returns {how often a reload was asked for}. Reports of processes that are gone are removed when another process comes;
-- the hash ends by itself once no process reports. Safe to repeat.
local name, ttl_s, report = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local reports = key('reports')
local is_new = redis.call('HDEL', reports, name) == 0
if report ~= '' then
  redis.call('HSET', reports, name, stamp(NOW + ttl_s) .. '|' .. report)
  local all = is_new and redis.call('HGETALL', reports) or {}
  for i = 1, #all, 2 do
    if tonumber(string.match(all[i + 1], '^[%d.]+')) < NOW then redis.call('HDEL', reports, all[i]) end
  end
  redis.call('EXPIRE', reports, math.ceil(3 * ttl_s))
end
return { tonumber(redis.call('HGET', key('guard'), 'reloads') or 0) }
