-- ARGV: key, value, ttl in milliseconds, the version that must be there or ''. Returns the new version, or '' if another one is there.
-- If memory is used up, Redis refuses the first of these commands that needs some, when nothing but ended items was changed; it lets a script that has written finish. So either HSET fails, or nothing does.
local key, ttl = ARGV[1], tonumber(ARGV[3])
local version = read(key)
if version == 'over' then version = '0' end
if ARGV[4] ~= '' and ARGV[4] ~= version then return '' end
local over = 0
if ttl > 0 then over = now + ttl end
local given = following()
redis.call('HSET', items, key, given .. ' ' .. whole(over) .. '\n' .. ARGV[2])
redis.call('ZADD', index, 0, key)
if ttl > 0 then redis.call('ZADD', ends, whole(over), key) else redis.call('ZREM', ends, key) end
changed(key, given)
purge(16)
return given
