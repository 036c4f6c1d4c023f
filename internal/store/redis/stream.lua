-- Appends an entry for each of ARGV[2], ARGV[3], ... to the stream KEYS[1], and keeps about the last ARGV[1] entries.
for i = 2, #ARGV do
  redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[1], '*', 'record', ARGV[i])
end
return #ARGV - 1
