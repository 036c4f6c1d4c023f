-- ARGV: the version up to which changes are known, what keys start with, how many changes and how many bytes at most. Returns the version up to which was looked, 'more', 'all' or 'gap', and for each change key, version,
-- milliseconds left and value; the version is '0' if the item is gone. After a gap nothing is told: the caller does not know what it missed.
purge(64)
local since, prefix, most, bytes = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local last = tonumber(redis.call('HGET', meta, 'version') or 0)
local floor = tonumber(redis.call('HGET', meta, 'floor') or 0)
-- A server that lost its last changes in a failover, or all, is behind.
if since > last or since < floor then return {whole(last), 'gap'} end
if since == last then return {whole(last), 'all'} end
local keys = redis.call('ZRANGEBYSCORE', log, '(' .. whole(since), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
local out = {whole(last), 'all'}
if #keys == 2 * most then
  out[1], out[2] = whole(tonumber(keys[#keys])), 'more'
end
for i = 1, #keys, 2 do
  local key = keys[i]
  if string.sub(key, 1, #prefix) == prefix then
    local version, left, value = read(key)
    if version ~= 'over' then
      out[#out + 1] = key
      out[#out + 1] = version
      out[#out + 1] = left or '0'
      out[#out + 1] = value or ''
      bytes = bytes - #(value or '')
      if bytes <= 0 and i + 1 < #keys then
        out[1], out[2] = whole(tonumber(keys[i + 1])), 'more'
        break
      end
    end
  end
end
return out
