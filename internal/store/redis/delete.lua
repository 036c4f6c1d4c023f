-- ARGV: key, the version that must be there or ''. Returns 'done', 'none' if there is no item, or 'other' if another version is there.
local key = ARGV[1]
local version, left = read(key)
if not left then return 'none' end
if ARGV[2] ~= '' and ARGV[2] ~= version then return 'other' end
redis.call('HDEL', items, key)
redis.call('ZREM', index, key)
redis.call('ZREM', ends, key)
changed(key, following())
purge(16)
return 'done'
