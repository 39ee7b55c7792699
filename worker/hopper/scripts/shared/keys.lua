-- What every step shares, in nine parts that are put in front of each script in the order of `connection.SHARED`;
-- they run nothing by themselves. This one: key names, the clock, and who acts.
--
-- KEYS[1] is the namespace NS; ARGV[1] is who acts, taken off before a step reads its own ARGV.
-- Key map (times are unix seconds on this server's clock):
--   NS:job:ID          hash    the record; the truth about one job
--   NS:lane:PBX:EXT    zset    ID -> rank * 1e13 + seq: jobs of one extension that may go now
--   NS:ring:PBX:RANK   zset    EXT -> time it may ring next: lanes whose first job has this rank
--   NS:waits:PBX:RANK  zset    ID -> time it could first go: the jobs in lanes, for counting and the oldest one's age
--   NS:later:PBX       zset    ID -> due time: jobs whose time has not come (not_before, parked)
--   NS:pbxs            zset    PBX -> time the pacer looks at it next: the round between PBXs
--   NS:released[:PBX]  zset    ID -> time released: handed to Celery, not yet claimed
--   NS:claimed         zset    ID -> time the claim counts as dead
--   NS:doubts:PBX      zset    ID -> time of the last look: claimed, and nobody knows whether it rang
--   NS:looks           zset    PBX -> time of the next look at what it shows of its doubts
--   NS:lines:PBX       zset    ID -> end of lease: one open call
--   NS:exts:PBX        zset    EXT -> end of lease: extension in a call or resting
--   NS:expiry          zset    ID -> expires_at of jobs that have one and are not final
--   NS:pbx:PBX         hash    limits, `tat` (GCRA), the breaker (see `breaker` below); and for those who may not
--                              read the token: `logged_in`, if there is one, and `login_until` (see login_turn.lua)
--   NS:known           set     names of the PBXs that workers have in their settings
--   NS:token:PBX       hash    the shared login (see login_turn.lua); read and written by those who dial alone
--   NS:paused          set     PBX names, and * for the kill switch
--   NS:pauses          hash    PBX, * or PBX/EXT -> {at, by, reason} as JSON: who paused it. An extension is paused by
--                              being here; a PBX by the set above, where an older version paused it without an author
--   NS:audit           stream  what operators did (see shared/audit.lua): at, by, act, subject, reason, and more
--   NS:arrivals        zset    ID -> its `seq`: all jobs there are a record of, for listing
--   NS:indexed         hash    NAME of metadata -> the arrival from which every job is in its index
--   NS:index:NAME:N    string  the index of one name, block N (see index.lua); there is nothing where no job brings it
--   NS:index_tidied    string  number of the block that a sweep looked at last
--   NS:ended           zset    ID -> time it ended, for listing
--   NS:outbox          zset    ID -> time it ended: results not yet delivered
--   NS:wake            list    at most one item: a sleeping pacer should look again
--   NS:starved         string  the pacer stopped for want of room at this many released jobs
--   NS:once:NAME       string  "mark ID": the job that a request with this idempotency key brought, and what it said
--   NS:apikey:ID       hash    one API key (see admit.lua)
--   NS:apikeys         set     IDs of API keys
--   NS:quota:ID        string  when the requests of an API key will have been paid for (GCRA)
--   NS:seq             string  counter: order of arrival within a lane
--   NS:guard           hash    seen (time of the last heartbeat), compared (how often the clock was), and of its last
--                              step: stepped_at, stepped_s; origin (when these data began); held_until, held_why (no call
--                              begins); reloads (how often one was asked for)
--   NS:settings        hash    NAME -> mark of a worker's settings of PBXs
--   NS:reports         hash    NAME of a process -> "alive until|which settings it has, as JSON"
--   NS:workers         hash    NAME -> "slots|alive until"
--   NS:aside           list    newest first: notes of what could not be used, as JSON (see set_aside.lua)
--   NS:aside_count     string  how many notes there were, those no longer kept included
--
-- Results on their way to endpoints (a target is the name of an endpoint, or source:NAME). An ID is JOB_SEQ_TARGET, so
-- the same end of a job, told again, is the same delivery:
--   NS:delivery:ID     hash    result (JSON), announced_at, attempts, nonce (of the attempt under way), error and
--                              tried_at (of the last one), given_up_at, probe (while it goes before its time: that)
--   NS:due:TARGET      zset    ID -> time of its next attempt
--   NS:flying:TARGET   zset    ID -> end of lease: handed to Celery, or under way
--   NS:dead:TARGET     zset    ID -> time it was given up: the dead letters
--   NS:trials          zset    ID -> end of lease: those in flight to targets that fail
--   NS:target:TARGET   hash    how it fares: failing_since, failures (in a row), rest_until, asked_until (the
--                              same, as the target itself asked), probe_at (when one goes
--                              before its time), last_error, last_error_at, last_success, to_bring (waiting ones to bring forward), disabled_at, disabled_why,
--                              dropped (dead letters there was no room for)
--   NS:targets         zset    TARGET -> time the courier looks at it next: the round between targets
--   NS:endpoints       set     names of all targets that ever had a delivery
--   NS:couriers        hash    NAME -> "slots|alive until"
--   NS:courier_wake    list    at most one item: a sleeping courier should look again
--   NS:courier_starved string  the courier stopped for want of room at this many messages
--
-- A full server: a script whose first write is one that Redis refuses for want of memory (HSET, ZADD, SET, …) fails
-- before any change; one whose first write is allowed (ZREM, HDEL, …) may do everything. Steps that lead to a call
-- begin with `only_with_room`, steps that tell what has happened begin with a removal.
local NS = KEYS[1]
local WHO = table.remove(ARGV, 1)

local clock = redis.call('TIME')
local NOW = tonumber(clock[1]) + tonumber(clock[2]) / 1e6

local function key(kind, first, second)
  if second then return NS .. ':' .. kind .. ':' .. first .. ':' .. second end
  if first then return NS .. ':' .. kind .. ':' .. first end
  return NS .. ':' .. kind
end

-- Times go into hashes with microseconds; Lua's own tostring would keep only 14 digits.
local function stamp(seconds) return string.format('%.6f', seconds) end

-- Changes nothing; fails when the server is full.
local function only_with_room() redis.call('SETRANGE', key('seq'), 0, '') end
