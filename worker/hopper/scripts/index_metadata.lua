-- index_metadata: the names of metadata by which jobs are to be found fast, as the settings list them.
-- KEYS[1] NS; ARGV: the names. Jobs handed in from now on are in the index of a new name, those before are not; the
-- index of a name that is not listed any more goes. Returns the names that are new. Twice: the second time none is.
local wanted, added = {}, {}
for _, name in ipairs(ARGV) do wanted[name] = true end
local known = indexed_names()
local last = tonumber(redis.call('GET', key('seq')) or 0)
for name, from in pairs(known) do
  if not wanted[name] then
    for block = block_of(from), block_of(last) do redis.call('DEL', block_key(name, block)) end
    redis.call('HDEL', key('indexed'), name)
  end
end
for _, name in ipairs(ARGV) do
  if not known[name] then
    redis.call('HSET', key('indexed'), name, string.format('%.0f', last + 1))
    added[#added + 1] = name
  end
end
return added
