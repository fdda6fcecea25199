-- What every script begins with. KEYS: see ServiceKeys::for_scripts. ARGV[1]: channel, ARGV[2]: a random epoch.
local I, X, O, V, E, C, R, P, B = unpack(KEYS)
local clock = redis.call('TIME')
local us = clock[1] * 1000000 + clock[2]
local ms = math.floor(us / 1000)

local function number(n) return string.format('%.0f', n) end

-- The next version: the time in microseconds, and always more than the last one. So versions grow even across a loss
-- of the data. Returns the last and the new one.
local function bump()
  local last = tonumber(redis.call('GET', V) or '0')
  local next = us
  if next <= last then next = last + 1 end
  redis.call('SET', V, number(next))
  redis.call('SETNX', E, ARGV[2])
  return number(last), number(next)
end

-- Tells who listens: `last next kind id-length override-length ` and then id, override and value without separators.
local function tell(last, next, kind, id, over, value)
  redis.call('PUBLISH', ARGV[1],
    last .. ' ' .. next .. ' ' .. kind .. ' ' .. #id .. ' ' .. #over .. ' ' .. id .. over .. value)
end

-- A stored instance is `revision owner.version value`. Its owner, 16 digits, says who may change it.
local function owner(stored) return string.match(stored, '^%d+ (%x+)%.%d+ ') or '-' end

-- A stored configuration is `revision value`.
local function revision(stored) return string.match(stored, '^(%d+) ') or '0' end
