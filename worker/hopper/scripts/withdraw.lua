-- withdraw: a PBX has left the settings of a worker. KEYS[1] NS. ARGV: PBX.
-- Its limits stay, for its calls under way need them; no job of it is released or claimed until a worker registers it.
-- Returns {1 if it was registered}. Safe to repeat.
return { redis.call('SREM', key('known'), ARGV[1]) }
