-- A piece of a quota. KEYS[1]: the level (hash), [2]: who shares it (sorted set), [3]: until when it rests.
-- ARGV[1]: this process, [2]: how long it counts as a sharer, in ms; then for requests and for tokens: per minute
-- ('': no limit), capacity, wanted, least useful, unused.
-- Returns {requests, tokens, µs until it is worth asking again, sharers, level in millionths, rest in ms}.
local Q, S, REST = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local us = clock[1] * 1000000 + clock[2]
local ms = math.floor(us / 1000)

redis.call('ZADD', S, ms + tonumber(ARGV[2]), ARGV[1])
redis.call('ZREMRANGEBYSCORE', S, '-inf', ms)
redis.call('PEXPIRE', S, ARGV[2])
local sharers = redis.call('ZCARD', S)

local at, requests, tokens = unpack(redis.call('HMGET', Q, 'at', 'r', 't'))
local elapsed = at and math.max(0, us - tonumber(at)) or 0

-- Brings one dimension up to date and takes from it. Returns what is granted, the new level, the wait and the fill.
local function take(level, n)
  local rate, capacity = tonumber(ARGV[n]), tonumber(ARGV[n + 1])
  local wanted, least, unused = tonumber(ARGV[n + 2]), tonumber(ARGV[n + 3]), tonumber(ARGV[n + 4])
  if not rate then return wanted, '', 0, 1 end
  local per_us = rate / 60000000
  level = level and level ~= '' and tonumber(level) or capacity
  level = math.min(capacity, level + per_us * elapsed + unused)
  local granted = 0
  if wanted > 0 then
    -- No more than a fair part of what is there, and no less than what is of use.
    local fair = math.max(1, least, math.ceil(level / sharers))
    granted = math.min(wanted, fair, math.floor(level))
    if granted < least then granted = (level >= capacity) and least or 0 end
    if granted < 0 then granted = 0 end
    level = level - granted
  end
  local wait = 0
  if granted < wanted and rate > 0 then
    local useful = math.min(math.max(1, least, math.min(wanted - granted, rate / 60 * 0.02)), capacity)
    wait = math.max(0, math.ceil((useful - level) / per_us))
  elseif granted < wanted then
    wait = 60000000
  end
  return granted, string.format('%.6f', level), wait, math.max(0, level / capacity)
end

local r, r_level, r_wait, r_fill = take(requests, 3)
local t, t_level, t_wait, t_fill = take(tokens, 8)
redis.call('HSET', Q, 'at', string.format('%.0f', us), 'r', r_level, 't', t_level)
redis.call('PEXPIRE', Q, 600000)
local rest = math.max(0, tonumber(redis.call('GET', REST) or '0') - ms)
return { r, t, math.max(r_wait, t_wait), sharers, math.floor(math.min(r_fill, t_fill) * 1000000), rest }
