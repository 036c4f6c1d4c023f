-- ARGV: the range of keys as ZRANGEBYLEX takes it, how many items and how many bytes at most. Returns the key up to which was looked, '' if to the end, and for each item key, version, milliseconds left and value.
purge(64)
local most, bytes = tonumber(ARGV[3]), tonumber(ARGV[4])
local keys = redis.call('ZRANGEBYLEX', index, ARGV[1], ARGV[2], 'LIMIT', 0, most)
local out = {''}
if #keys == most then out[1] = keys[most] end
for i, key in ipairs(keys) do
  local version, left, value = read(key)
  if value then
    out[#out + 1] = key
    out[#out + 1] = version
    out[#out + 1] = left
    out[#out + 1] = value
    bytes = bytes - #value
    if bytes <= 0 and i < #keys then
      out[1] = key
      break
    end
  end
end
return out
