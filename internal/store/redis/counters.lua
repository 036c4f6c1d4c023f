-- Takes from counters, all of them or none, with the arithmetic of package limit: only whole numbers below 2^53, of which doubles lose nothing.
-- KEYS are the counters. ARGV is what to do (take, peek, return, reset), the clock in microseconds ("" for the server's), for how many microseconds what is returned was held, and then six for each
-- counter: algorithm (-1: allows nothing), size, nanoseconds of a token, period in microseconds, count, 1 for a dry run.
-- The answer is the index from 0 of the first that refuses, or -1, and four for each counter: 1 if allowed, what remains, microseconds until reset and until a retry.
local bucket, fixed, sliding = 0, 1, 2
local forever, steps, slack = 9007199254740991, 1048576, 10000000
local spare = 60000 -- ms for which a counter outlives its last meaning, should the clock be set back

local function idiv(a, b) return (a - math.fmod(a, b)) / b end
local function ceil(a, b)
  local rest = math.fmod(a, b)
  if rest > 0 then return (a - rest) / b + 1 end
  return a / b
end

local action, held = ARGV[1], tonumber(ARGV[3])
local now = tonumber(ARGV[2])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end

if action == 'reset' then
  for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end
  return {}
end

local function fill(backlog)
  if backlog <= 0 then return {till = 0, used = 0, before = 0} end
  local till = ceil(backlog, 1000)
  return {till = now + till, used = till * 1000 - backlog, before = 0}
end

local function backlog(s)
  if s.till == 0 then return 0 end
  return (s.till - now) * 1000 - s.used
end

local function close(r)
  if r.period == 0 then return forever end
  return now + r.period
end

local function load(key, r)
  local text = redis.call('GET', key)
  local s = {till = 0, used = 0, before = 0}
  if not text then return s, 0 end
  local algorithm, till, used, before = string.match(text, '^(%d+):(%d+):(%d+):(%d+)$')
  if not algorithm then error('not a counter: ' .. key) end
  local stored = tonumber(till)
  if now >= stored or tonumber(algorithm) ~= r.algorithm then return s, stored end
  s = {till = stored, used = tonumber(used), before = tonumber(before)}
  if r.algorithm == bucket then
    if s.till - now > idiv(r.full, 1000) + slack then s = fill(r.full) end
  elseif r.algorithm == fixed then
    if r.period == 0 then s.till = forever elseif s.till - now > r.period + slack then s.till = close(r) end
  else
    if s.till - now > 2 * r.period + slack then s.till = now + 2 * r.period end
    if now >= s.till - r.period then
      s.before, s.used, s.till = s.used, 0, s.till + r.period
    end
    if s.before == 0 and s.used == 0 then s.till = 0 end
  end
  return s, stored
end

local function parts(r)
  local unit = ceil(r.period, steps)
  return unit, ceil(r.period, unit)
end

local function carried(s, r)
  if s.before == 0 then return 0 end
  local unit, all = parts(r)
  return ceil(s.before * math.min(ceil(s.till - r.period - now, unit), all), all)
end

local function taken(s, r)
  if r.count > r.size then return nil end
  if r.algorithm == bucket then
    local more = r.count * r.interval
    if backlog(s) > r.full - more then return nil end
    return fill(backlog(s) + more)
  end
  local used, till = s.used, s.till
  if r.algorithm == fixed then
    if used > r.size - r.count then return nil end
    if till == 0 then till = close(r) end
  else
    if used + carried(s, r) > r.size - r.count then return nil end
    if till == 0 then till = now + 2 * r.period end
  end
  return {till = till, used = used + r.count, before = s.before}
end

local function returned(s, r)
  if s.till == 0 or r.count > r.size then return s end
  if r.algorithm == bucket then
    local back = r.count * r.interval - math.min(held, 4503599627370) * 1000
    if back <= 0 then return s end
    return fill(backlog(s) - back)
  elseif r.algorithm == fixed then
    if r.period ~= 0 and now - held < s.till - r.period then return s end
  elseif now - held < s.till - 2 * r.period then
    return s
  end
  local used = math.max(s.used - r.count, 0)
  if used == 0 and s.before == 0 then return {till = 0, used = 0, before = 0} end
  return {till = s.till, used = used, before = s.before}
end

local function store(key, r, s)
  if s.till == 0 then
    redis.call('DEL', key)
    return
  end
  local text = string.format('%d:%.0f:%.0f:%.0f', r.algorithm, s.till, s.used, s.before)
  if s.till == forever then
    redis.call('SET', key, text)
  else
    redis.call('SET', key, text, 'PX', string.format('%.0f', ceil(s.till - now, 1000) + spare))
  end
end

local function left(s, r)
  if r.algorithm == bucket then
    local waiting = backlog(s)
    return math.max(r.size - ceil(waiting, r.interval), 0), ceil(waiting, 1000)
  elseif r.algorithm == fixed then
    local reset = s.till - now
    if s.used == 0 then reset = 0 elseif s.till == forever then reset = -1 end
    return math.max(r.size - s.used, 0), reset
  end
  local reset = 0
  if s.used > 0 then reset = s.till - now elseif s.before > 0 then reset = s.till - r.period - now end
  return math.max(r.size - s.used - carried(s, r), 0), reset
end

local function wait(s, r)
  if r.count > r.size then return -1 end
  local free = r.size - r.count
  if r.algorithm == bucket then
    return ceil(math.max(backlog(s) - free * r.interval, 0), 1000)
  elseif r.algorithm == fixed then
    if s.used <= free then return 0 end
    if s.till == forever then return -1 end
    return s.till - now
  end
  if s.used + carried(s, r) <= free then return 0 end
  local unit, all = parts(r)
  if free >= s.used then
    return s.till - r.period - idiv((free - s.used) * all, s.before) * unit - now
  end
  return s.till - idiv(free * all, s.used) * unit - now
end

local rules, states, stored, after = {}, {}, {}, {}
local refused = -1
for i = 1, #KEYS do
  local at = 3 + (i - 1) * 6
  local r = {
    algorithm = tonumber(ARGV[at + 1]), size = tonumber(ARGV[at + 2]), interval = tonumber(ARGV[at + 3]),
    period = tonumber(ARGV[at + 4]), count = tonumber(ARGV[at + 5]),
  }
  r.full = r.size * r.interval
  rules[i] = r
  if r.algorithm >= 0 then
    states[i], stored[i] = load(KEYS[i], r)
    after[i] = taken(states[i], r)
  end
  if not after[i] and refused < 0 and ARGV[at + 6] ~= '1' then refused = i - 1 end
end

local answer = {refused}
for i = 1, #KEYS do
  local r, s = rules[i], states[i]
  local allowed, remaining, reset, retry = 0, 0, 0, -1
  if s then
    if action == 'take' and refused < 0 and after[i] then
      s, allowed, retry = after[i], 1, 0
      store(KEYS[i], r, s)
    else
      if action == 'return' then
        s = returned(s, r)
        store(KEYS[i], r, s)
      elseif action == 'take' and s.till < stored[i] then
        store(KEYS[i], r, s)
      end
      retry = wait(s, r)
      if retry == 0 then allowed = 1 end
    end
    remaining, reset = left(s, r)
  end
  local at = 1 + (i - 1) * 4
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = allowed, remaining, reset, retry
end
return answer
