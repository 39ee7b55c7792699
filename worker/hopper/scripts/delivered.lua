-- delivered: these results have reached the results backend.
-- KEYS[1] NS. ARGV: id, finished_at as delivered, id, finished_at, … Safe to repeat.
-- Returns 1 for each that was taken off the outbox by this, else 0.
-- A job that ended again meanwhile (unknown, then evidence) has a newer time and stays in the outbox.
local taken = {}
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', key('outbox'), ARGV[i])
  local is_it = score and tonumber(score) <= tonumber(ARGV[i + 1])
  taken[#taken + 1] = is_it and redis.call('ZREM', key('outbox'), ARGV[i]) or 0
end
return taken
