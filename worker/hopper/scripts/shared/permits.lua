-- Calls per second of one PBX.

-- GCRA with two twists, both from the promise "never more than the limit in any sliding second", at the PBX:
-- permits come `slack` further apart than asked, and one may be claimed up to `slack` early. A claim that early waits
-- until its permit is due before its first byte leaves (see `send_in`), so a claim some milliseconds late costs nothing,
-- and n + 1 requests span n * interval >= 1 s + slack, which is what their ways to the PBX may differ by.
local SLACK_S = 0.015
local function permits(limits)
  local rate = tonumber(limits.calls_per_second)
  local interval = (1 + SLACK_S + 0.0005) / rate
  return interval, (tonumber(limits.burst) - 1) * interval + SLACK_S
end

-- A permit further ahead than one burst and the looks of one turn can only come from a lower limit of yesterday, or
-- from a clock set back; it would be waited for in vain. One interval of the present limit is waited for instead.
local function heal_permit(pbx, limits)
  local interval, tolerance = permits(limits)
  local furthest = NOW + tolerance + (1 + limits.look_permits) * interval
  if tonumber(limits.tat or 0) <= furthest + 0.001 then return end
  limits.tat = stamp(NOW + tolerance + interval)
  redis.call('HSET', key('pbx', pbx), 'tat', limits.tat)
end

-- When the next permit is due, on the grid that earlier ones set, and one interval ahead at most.
local function next_permit(limits)
  local interval, tolerance = permits(limits)
  return math.min(math.max(tonumber(limits.tat or 0), NOW), NOW + tolerance + interval)
end

-- Seconds until this PBX has a permit for somebody behind `ahead` others; 0 or less means now.
local function permit_wait(limits, ahead)
  local interval, tolerance = permits(limits)
  return next_permit(limits) + ahead * interval - tolerance - NOW
end

-- Seconds from now until a call that takes the next permit may be sent; `slack` at most.
local function send_in(limits)
  local interval = permits(limits)
  return math.max(0, next_permit(limits) - (tonumber(limits.burst) - 1) * interval - NOW)
end
