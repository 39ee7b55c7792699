-- Whether calls may begin at all.

-- Every lease, permit and rest is a time on this clock, and a clock may be set by an hour or a day while calls are under
-- way. Workers compare it with the time that passes for them, at every heartbeat (see heartbeat.lua and set_clock.lua).
-- Until they have, no step releases, claims or sweeps at a time before the last heartbeat, or long after it.
local STEP_S, LONGEST_SILENCE_S = 1, 15
local function is_clock_in_doubt()
  local seen = tonumber(redis.call('HGET', key('guard'), 'seen') or '') or NOW
  return NOW < seen - STEP_S or NOW > seen + LONGEST_SILENCE_S
end

-- Why Redis takes nothing in, as the first word of its error: OOM (it is full), READONLY (a replica), MISCONF (its disk
-- fails), …; '' if it takes jobs. Asks what `only_with_room` asks, and changes nothing.
local function refusal()
  local answer = redis.pcall('SETRANGE', key('seq'), 0, '')
  return type(answer) == 'table' and string.match(answer.err or '', '^%-?(%u+)') or ''
end

-- Why a worker holds all calls back (see heartbeat.lua), or nil.
local function held_back()
  local held = redis.call('HMGET', key('guard'), 'held_until', 'held_why')
  return (tonumber(held[1] or '') or 0) > NOW and held[2] or nil
end
