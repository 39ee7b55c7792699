-- login_done: how a login went. KEYS[1] NS. ARGV: PBX, nonce, token or '', block_s, reason.
-- With a token: it is everybody's from now on. Without: if block_s > 0 the PBX is barred that long, so
-- that nobody logs in again before. Returns {generation}, or {-1} if the turn was no longer the caller's
-- (a token is then thrown away; the PBX forgets it by itself). Safe to repeat.
local pbx, nonce, token, block_s = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local home = key('token', pbx)
local values = redis.call('HMGET', home, 'login_nonce', 'token', 'generation')
if token ~= '' and values[2] == token then return { tonumber(values[3]) } end
-- Too late: somebody else had the turn since, or the credentials changed; their word counts.
if values[1] ~= nonce then return { -1 } end
redis.call('HDEL', home, 'login_nonce', 'login_until')
redis.call('HDEL', key('pbx', pbx), 'login_until')
if token == '' then
  redis.call('HDEL', home, 'token')
  redis.call('HDEL', key('pbx', pbx), 'logged_in')
  if block_s > 0 then
    redis.call('HSET', key('pbx', pbx), 'barred_until', stamp(NOW + block_s), 'barred_reason', ARGV[5],
      'barred_by', 'login')
    redis.call('HSETNX', key('pbx', pbx), 'barred_since', stamp(NOW))
  end
  look_again(pbx)
  return { tonumber(values[3] or 0) }
end
redis.call('HSET', home, 'token', token, 'since', stamp(NOW))
redis.call('HSET', key('pbx', pbx), 'logged_in', 1)
close_breaker(pbx)
look_again(pbx)
return { redis.call('HINCRBY', home, 'generation', 1) }
