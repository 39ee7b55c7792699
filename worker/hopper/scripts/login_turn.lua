-- login_turn: who may log in to a PBX. KEYS[1] NS.
-- ARGV: PBX, generation of the token the caller cannot use (or -1 to take any), nonce, lease_s,
-- shortest time between logins (s), mark of the caller's credentials or ''.
-- NS:token:PBX holds: token, generation (+1 for each login), credentials, changed_at (when they changed),
-- since (last login),
-- login_nonce and login_until (the turn).
-- Returns {'token', token, generation} | {'login', generation} | {'wait', seconds} | {'barred', seconds, reason}.
-- Twice with the same nonce: the turn is still the caller's. If its holder dies, the turn ends by itself.
local pbx, refused, nonce = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local lease_s, spacing_s = tonumber(ARGV[4]), tonumber(ARGV[5])
local home = key('token', pbx)
local CONVERGED_S = 10 -- by then every process has the credentials that a reload brought
local values = redis.call('HMGET', home, 'token', 'generation', 'since', 'login_nonce', 'login_until', 'credentials',
  'changed_at')
local token, generation = values[1], tonumber(values[2] or 0)
if token and generation ~= refused then return { 'token', token, generation } end

local bar = redis.call('HMGET', key('pbx', pbx), 'barred_until', 'barred_reason')
if bar[1] and tonumber(bar[1]) > NOW then
  return { 'barred', stamp(tonumber(bar[1]) - NOW), bar[2] or '' }
end
if values[4] and values[4] ~= nonce and tonumber(values[5]) > NOW then
  return { 'wait', stamp(math.min(0.05, tonumber(values[5]) - NOW)) }
end
-- The old password, tried once more after the new one came, would close the PBX to all.
if ARGV[6] ~= '' and values[6] and values[6] ~= ARGV[6] and tonumber(values[7] or 0) + CONVERGED_S > NOW then
  return { 'wait', '0.5' }
end
-- A token refused right after it was given: something else fights us for the session. Do not join in.
local ready_at = tonumber(values[3] or 0) + spacing_s
if ready_at > NOW then return { 'wait', stamp(ready_at - NOW) } end
redis.call('HDEL', home, 'token')
redis.call('HSET', home, 'login_nonce', nonce, 'login_until', stamp(NOW + lease_s))
redis.call('HDEL', key('pbx', pbx), 'logged_in')
redis.call('HSET', key('pbx', pbx), 'login_until', stamp(NOW + lease_s))
return { 'login', generation }
