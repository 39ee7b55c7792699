-- cancel: jobs that have not been claimed end as cancelled.
-- KEYS[1] NS. ARGV: retain_s, reason, what the audit calls the jobs ('': their ids), id, …
-- Returns for each {'cancelled' | 'too_late' | 'gone' | 'damaged', state}.
-- Twice: the second time answers 'cancelled' too, and changes nothing. A job's Celery message, if there is one, finds
-- nothing to claim.
local retain_s, reason, subject = ARGV[1], ARGV[2], ARGV[3]
local answers, cancelled = {}, {}

local function cancel(id)
  local record = read(id, 'pbx', 'extid', 'hold')
  if record.damage then
    abandon(id, record.damage)
    return { 'damaged', '' }
  end
  if not record.state then
    forget(id)
    return { 'gone', '' }
  end
  if record.state == 'cancelled' then return { 'cancelled', 'cancelled' } end
  if record.state ~= 'waiting' and record.state ~= 'released' then return { 'too_late', record.state } end
  if record.state == 'released' then let_go(id, record) end
  -- The line of the timeline has room for the beginning of both.
  end_job(id, record, 'cancelled', retain_s, reason, 'cancelled_by', WHO, 'cancelled_why', reason)
  cancelled[#cancelled + 1] = id
  return { 'cancelled', 'cancelled' }
end

for i = 4, #ARGV do answers[i - 3] = cancel(ARGV[i]) end
audit_jobs('cancel', cancelled, subject, reason)
return answers
