-- looked: what a look has told, and when to look again. KEYS[1] NS.
-- ARGV: pbx, seconds until the next look, '1' if the PBX answered, then for each job looked at that is still in doubt:
-- id, '1' if its extension is in use, quiet_since as before ('0': not quiet until now), '1' if it is quiet now.
-- An answer shows that the PBX is there, not that it dials: an open breaker is half open from now on, and the next
-- call is its probe. Returns '1' if that is so by this look. If the looker dies before, the same look is made again;
-- twice changes nothing but the time of the next look.
local pbx = ARGV[1]
redis.call('ZREM', key('looks'), pbx)
local lifted = ''
if ARGV[3] == '1' then
  local bar = redis.call('HMGET', key('pbx', pbx), 'barred_until', 'barred_by')
  if bar[1] and tonumber(bar[1]) > NOW and bar[2] == 'down' then
    redis.call('HSET', key('pbx', pbx), 'barred_until', stamp(NOW))
    look_again(pbx)
    lifted = '1'
  end
end
for i = 4, #ARGV, 4 do
  local id, engaged, quiet_since, quiet = ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]
  local record = read(id)
  if record.state == 'claimed' and record.doubt then
    redis.call('ZADD', key('doubts', pbx), 'XX', NOW, id)
    if engaged == '1' then redis.call('HSET', key('job', id), 'engaged', '1') end
    if quiet == '1' then
      if quiet_since == '0' then redis.call('HSET', key('job', id), 'quiet_since', stamp(NOW)) end
    else
      redis.call('HDEL', key('job', id), 'quiet_since')
    end
  end
end
if redis.call('EXISTS', key('doubts', pbx)) == 1 then
  redis.call('ZADD', key('looks'), NOW + tonumber(ARGV[2]), pbx)
end
return lifted
