-- once: remember a request that brings many jobs. KEYS[1] NS. ARGV: name, mark, kept_s.
-- Returns 'first', 'again' if it came before, or 'other' if another one came under its name. Twice: 'again'.
local held = redis.call('GET', key('once', ARGV[1]))
if held then return string.match(held, '^%x+') == ARGV[2] and 'again' or 'other' end
redis.call('SET', key('once', ARGV[1]), ARGV[2] .. ' many', 'EX', ARGV[3])
return 'first'
