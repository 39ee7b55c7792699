-- The record of what operators do; stands before the steps that they cause only.

-- One act: who did what to which subject, and why. A step calls this once, where it changes something, so that a repeated
-- step adds no second entry. Pairs of field and value may follow, such as 'jobs', 3. Neither telephone numbers nor
-- secrets belong here: callers mask the reason. An act counts more than its record: the kill switch works on a full
-- server, and where the rights of an older release do not know the stream yet.
local MOST_AUDIT_ENTRIES = 10000
local function audit(act, subject, reason, ...)
  redis.pcall('XADD', key('audit'), 'MAXLEN', '~', MOST_AUDIT_ENTRIES, '*', 'at', stamp(NOW), 'by', WHO, 'act', act,
    'subject', subject, 'reason', reason or '', ...)
end

-- The same for jobs that one step changed; nothing where it changed none. `subject` names them all, or is ''.
local function audit_jobs(act, ids, subject, reason)
  if #ids == 0 then return end
  if subject == '' then subject = #ids == 1 and ids[1] or ids[1] .. ' and ' .. #ids - 1 .. ' more' end
  audit(act, subject, reason, 'jobs', #ids)
end
