-- set_aside: notes that something could not be used, for the doctor to show. KEYS[1] NS.
-- ARGV: what (message, job or result), job id or '', reason (a sentence without content).
-- Twice: two notes and a count one too high, which misleads nobody.
set_aside(ARGV[1], ARGV[2], ARGV[3])
return 1
