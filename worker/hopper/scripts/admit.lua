-- admit: may these requests be served? KEYS[1] NS. ARGV: id of an API key, SHA-256 of its secret as hex, id, …
-- An API key is a hash: digest (SHA-256 of the secret), name, scopes and pbxs (words with spaces between), requests and
-- window_s (so many in so many seconds), created_at, created_by, and revoked_at once it is.
-- Returns JSON, a list of one per request: {} for a key nobody knows or that is revoked, else {digest, name, scopes,
-- pbxs, requests, window_s, left (requests at once), full_in_s, retry_in_s (0: this one is within the limit)}.
-- Whether the secret is right is decided by the caller in constant time; one with a wrong secret costs no request.
-- Twice: costs two requests. A full server counts none, and serves.
local answers = {}

-- GCRA: a request costs `interval`; what is owed may reach `window_s`.
local function quota(id, requests, window_s)
  local interval, owed_until = window_s / requests, tonumber(redis.call('GET', key('quota', id)) or 0)
  if owed_until > NOW + window_s + 1 then owed_until = 0 end -- the clock was set back
  local owed = math.max(owed_until, NOW) + interval
  local over = owed - NOW - window_s
  if over > 1e-6 then
    return { left = 0, full_in_s = owed - interval - NOW, retry_in_s = over }
  end
  redis.pcall('SET', key('quota', id), stamp(owed), 'PX', math.ceil((owed - NOW) * 1000) + 1000)
  return { left = math.floor((window_s - (owed - NOW)) / interval + 1e-6), full_in_s = owed - NOW, retry_in_s = 0 }
end

for i = 1, #ARGV, 2 do
  local id, digest = ARGV[i], ARGV[i + 1]
  local held = redis.call('HMGET', key('apikey', id), 'digest', 'name', 'scopes', 'pbxs', 'requests', 'window_s',
    'revoked_at')
  local answer = {}
  if held[1] and not held[7] then
    local requests, window_s = tonumber(held[5]), tonumber(held[6])
    answer = held[1] == digest and quota(id, requests, window_s) or { left = 0, full_in_s = 0, retry_in_s = 0 }
    answer.digest, answer.name, answer.scopes, answer.pbxs = held[1], held[2], held[3], held[4]
    answer.requests, answer.window_s = requests, window_s
  end
  answers[#answers + 1] = answer
end
return cjson.encode(answers)
