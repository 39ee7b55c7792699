-- delivered: these results have reached the results backend.
-- KEYS[1] NS. ARGV: id, finished_at as delivered, id, finished_at, … Safe to repeat.
-- A job that ended again meanwhile (unknown, then evidence) has a newer time and stays in the outbox.
for i = 1, #ARGV, 2 do
  local score = redis.call('ZSCORE', key('outbox'), ARGV[i])
  if score and tonumber(score) <= tonumber(ARGV[i + 1]) then redis.call('ZREM', key('outbox'), ARGV[i]) end
end
return 1
