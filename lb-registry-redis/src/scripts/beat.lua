-- A heartbeat of several instances of one process, and the reaping of whoever has expired.
-- ARGV[3]: time-to-live in ms, [4]: how many to reap at most, [5]: how long the override of an expired instance is
-- kept, in ms; then pairs of id and owner.
-- Returns one status per pair: 1 alive, 0 not there (restore it), 2 it was deregistered, 3 another owner's is there.
local ttl, most, keep = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
-- A heartbeat changes a number and needs no memory, so it must not be refused where there is none. Redis does not refuse
-- a script that has begun to write with something that it never refuses.
redis.call('ZREM', P, '')
local statuses = {}
for n = 6, #ARGV, 2 do
  local id, mine = ARGV[n], ARGV[n + 1]
  local there = redis.call('HGET', I, id)
  local status
  if not there then
    status = redis.call('ZSCORE', R, mine .. ' ' .. id) and 2 or 0
  elseif owner(there) ~= mine then
    status = 3
  else
    status = 1
    redis.call('ZADD', X, ms + ttl, id)
  end
  statuses[#statuses + 1] = status
end

-- If nobody was heard for long, then it was not they who failed: everybody gets a fresh time-to-live.
local heard, grace = string.match(redis.call('GET', B) or '', '^(%d+) (%d+)$')
heard, grace = tonumber(heard or '0'), tonumber(grace or '0')
if ms - heard > ttl * 2 / 3 then grace = ms + ttl end
redis.call('SET', B, number(ms) .. ' ' .. number(grace))
if ms < grace then return statuses end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', X, '-inf', ms - 1, 'LIMIT', 0, most)) do
  redis.call('ZREM', X, id)
  if redis.call('HDEL', I, id) == 1 then
    local last, next = bump()
    tell(last, next, 'expired', id, '', '')
  end
  if redis.call('HEXISTS', O, id) == 1 then redis.call('ZADD', P, ms + keep, id) end
end
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P, '-inf', ms, 'LIMIT', 0, most)) do
  redis.call('ZREM', P, id)
  redis.call('HDEL', O, id)
end
return statuses
