-- ask_reload: every process of the installation is to read its settings again. KEYS[1] NS. ARGV[1]: why, or ''.
-- Returns {how often that was asked, this time included}. Processes learn of it by report_settings.lua, within about a
-- second. Twice, or a death right after it: the processes read their settings once more, which changes
-- nothing, and the audit has a second entry.
redis.call('HDEL', key('guard'), 'reload') -- no such field; a first write that a full server allows
audit('reload', '*', ARGV[1])
return { redis.call('HINCRBY', key('guard'), 'reloads', 1) }
