-- ARGV[3]: id, [4]: the owner that must have it, or '' for whoever has it, [5]: how long the removal is remembered, in
-- ms, [6]: how long an override outlives it, in ms (0: it goes, too).
-- Returns 1 if it was there, 0 if not, 3 if another owner's is there.
local id, expected, memory, keep = ARGV[3], ARGV[4], tonumber(ARGV[5]), tonumber(ARGV[6])
local there = redis.call('HGET', I, id)
if not there then return 0 end
local its = owner(there)
if expected ~= '' and its ~= expected then return 3 end
redis.call('HDEL', I, id)
redis.call('ZREM', X, id)
if keep == 0 then
  redis.call('HDEL', O, id)
  redis.call('ZREM', P, id)
elseif redis.call('HEXISTS', O, id) == 1 then
  redis.call('ZADD', P, ms + keep, id)
end
local last, next = bump()
redis.call('ZADD', R, next, its .. ' ' .. id)
redis.call('ZREMRANGEBYSCORE', R, '-inf', number(us - memory * 1000))
redis.call('ZREMRANGEBYRANK', R, 0, -10001)
redis.call('PEXPIRE', R, number(memory))
tell(last, next, keep == 0 and 'removed' or 'left', id, '', '')
return 1
