-- cancel: a job that has not been claimed ends as cancelled.
-- KEYS[1] NS. ARGV: id, retain_s. Returns {'cancelled' | 'too_late' | 'gone' | 'damaged', state}.
-- Twice: the second time answers 'cancelled' too. Its Celery message, if any, finds nothing to claim.
local id = ARGV[1]
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
end_job(id, record, 'cancelled', ARGV[2])
return { 'cancelled', 'cancelled' }
