-- KEYS[1]: until when it rests, in ms of the server's clock. ARGV[1]: channel, [2]: for how long, in ms.
local clock = redis.call('TIME')
local ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local remaining = math.max(tonumber(ARGV[2]), tonumber(redis.call('GET', KEYS[1]) or '0') - ms)
redis.call('SET', KEYS[1], string.format('%.0f', ms + remaining), 'PX', string.format('%.0f', math.max(1, remaining)))
redis.call('PUBLISH', ARGV[1], string.format('%.0f', remaining))
return 1
