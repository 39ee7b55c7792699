-- Calls per second of one PBX.

-- GCRA with two twists, both from the promise "never more than the limit in any sliding second":
-- permits come `slack` further apart than asked, and one may be taken up to `slack` early, so a
-- claim some milliseconds late costs nothing. n + 1 claims then span n * interval - slack >= 1 s.
local SLACK_S = 0.015
local function permits(limits)
  local rate = tonumber(limits.calls_per_second)
  local interval = (1 + SLACK_S + 0.0005) / rate
  return interval, (tonumber(limits.burst) - 1) * interval + SLACK_S
end

-- When the next permit is due, on the grid that earlier ones set. Further ahead than one burst it can stand
-- only by a lower limit of yesterday, or a clock set back.
local function next_permit(limits)
  local interval, tolerance = permits(limits)
  return math.min(math.max(tonumber(limits.tat or 0), NOW), NOW + tolerance + interval)
end

-- Seconds until this PBX has a permit for somebody behind `ahead` others; 0 or less means now.
local function permit_wait(limits, ahead)
  local interval, tolerance = permits(limits)
  return next_permit(limits) + ahead * interval - tolerance - NOW
end
