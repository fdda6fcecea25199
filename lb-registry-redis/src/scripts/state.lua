-- ARGV[3]: id, [4]: the revision that must be there, [5]: the state to set. Returns 1 if it was there.
local id, expected, state = ARGV[3], ARGV[4], ARGV[5]
local there = redis.call('HGET', I, id)
if not there or revision(there) ~= expected then return 0 end
local old, rest = string.match(there, '^{"rev":%d+,"state":"(%a+)",(.*)$')
if not old then return 0 end
if old == state then return 1 end
local last, next = bump()
local value = '{"rev":' .. expected .. ',"state":"' .. state .. '",' .. rest
redis.call('HSET', I, id, value)
tell(last, next, 'put', id, redis.call('HGET', O, id) or '', value)
return 1
