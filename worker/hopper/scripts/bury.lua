-- bury: a worker process is known to be dead, so nobody will say what its claims came to.
-- KEYS[1] NS. ARGV: incarnation of the dead process, errno, error, longest time of the looking (s), shortest time
-- between looks (s). Returns how many claims it left. Its supervisor's new process calls this; where that is dead
-- too, the sweeper does the same later. Safe to repeat.
local buried = 0
for _, id in ipairs(redis.call('ZRANGE', key('claimed'), 0, -1)) do
  local record = read(id, 'pbx', 'extid', 'hold', 'worker')
  if record.state == 'claimed' and not record.doubt and record.worker == ARGV[1] then
    doubt(id, record, 'worker_lost', ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]))
    buried = buried + 1
  end
end
return buried
