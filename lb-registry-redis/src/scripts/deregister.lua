-- ARGV[3]: id, [4]: '' or the owner that must have it, [5]: how long the removal is remembered, in ms.
-- Returns 1 if it was there.
local id, expected, memory = ARGV[3], ARGV[4], tonumber(ARGV[5])
local there = redis.call('HGET', I, id)
if not there then return 0 end
local its = owner(there)
if expected ~= '' and its ~= expected then return 0 end
redis.call('HDEL', I, id)
redis.call('ZREM', X, id)
redis.call('HDEL', O, id)
redis.call('ZREM', P, id)
local last, next = bump()
redis.call('ZADD', R, next, its .. ' ' .. id)
redis.call('ZREMRANGEBYSCORE', R, '-inf', number(us - memory * 1000))
redis.call('ZREMRANGEBYRANK', R, 0, -10001)
redis.call('PEXPIRE', R, number(memory))
tell(last, next, 'removed', id, '', '')
return 1
