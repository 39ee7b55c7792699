-- confirm: before the phone rings, is this claim still the caller's? KEYS[1] NS. ARGV: id, nonce.
-- Returns 1 if it is, else 0. Safe to repeat.
-- The write changes nothing, but goes to the replicas behind the claim: a WAIT after it on the same connection
-- counts those that have both. WAIT after nothing but reads would count any (Valkey 9), also on a connection made
-- anew since the claim, or to a server that took over without having heard of it.
local record = read(ARGV[1], 'nonce')
if record.state ~= 'claimed' or record.doubt or record.nonce ~= ARGV[2] then return 0 end
redis.call('HSET', key('job', ARGV[1]), 'nonce', ARGV[2])
return 1
