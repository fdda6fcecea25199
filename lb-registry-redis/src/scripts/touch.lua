-- KEYS[1]: the index of services. ARGV: names. Notes that they are about to be written to.
local clock = redis.call('TIME')
local now = string.format('%.0f', clock[1] * 1000000 + clock[2])
for _, name in ipairs(ARGV) do redis.call('ZADD', KEYS[1], now, name) end
return 1
