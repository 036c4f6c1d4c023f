-- What all scripts of the store begin with. A space is five keys in one hash slot:
--   items  hash: key -> "VERSION END\nVALUE", END in milliseconds of Unix time, 0 for none
--   index  sorted set, all scores 0: the keys in byte order
--   ends   sorted set: the keys that have an end, by it
--   log    sorted set: the keys that were changed last, by the version of the change, be they still there or not
--   meta   hash: version, the newest one; floor, up to which changes were taken out of the log
local items, index, ends, log, meta = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

-- whole writes a number without an exponent. Numbers here are below 2^53, so they are exact.
local function whole(n) return string.format('%.0f', n) end

-- purge removes some of the items that have ended.
local function purge(most)
  for _, key in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', whole(now), 'LIMIT', 0, most)) do
    redis.call('HDEL', items, key)
    redis.call('ZREM', index, key)
    redis.call('ZREM', ends, key)
    redis.call('ZREM', log, key)
  end
end

-- read returns the version, the milliseconds that are left (0 for no end) and the value of an item; its version is '0' if it is not there, and 'over' if it has ended.
local function read(key)
  local raw = redis.call('HGET', items, key)
  if not raw then return '0' end
  local version, over, start = string.match(raw, '^(%d+) (%d+)\n()')
  local left = tonumber(over)
  if left ~= 0 then
    left = left - now
    if left <= 0 then return 'over' end
  end
  return version, whole(left), string.sub(raw, start)
end

-- following returns the version of the next change. It follows the clock, so that a server that lost its last changes in a failover does not give their versions again.
local function following()
  local last = tonumber(redis.call('HGET', meta, 'version') or 0)
  return whole(math.max(last + 1, clock[1] * 1000000 + clock[2]))
end

-- changed writes a change into the log, which is kept short.
local function changed(key, version)
  redis.call('HSET', meta, 'version', version)
  redis.call('ZADD', log, version, key)
  local extra = redis.call('ZCARD', log) - 4096
  if extra > 0 then
    local newest = redis.call('ZRANGE', log, extra - 1, extra - 1, 'WITHSCORES')
    redis.call('HSET', meta, 'floor', whole(tonumber(newest[2])))
    redis.call('ZREMRANGEBYRANK', log, 0, extra - 1)
  end
end
