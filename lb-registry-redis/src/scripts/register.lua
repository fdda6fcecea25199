-- ARGV[3]: id, [4]: the rest of the JSON value, [5]: time-to-live in ms (0: until deregistered), [6]: state,
-- [7]: '' to write whatever is there; else the revision that must be there (to replace it),
-- [8]: '' to give it a new revision; else the one that it has had (to restore what was lost).
-- Returns {status, revision}: 1 written, 0 nothing is there, 2 it was deregistered, 3 another one is there.
local id, body, ttl, state, expected, restored = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local there = redis.call('HGET', I, id)
if expected ~= '' or restored ~= '' then
  local mine = expected ~= '' and expected or restored
  if there then
    if revision(there) ~= mine then return {3, '0'} end
  elseif redis.call('ZSCORE', R, mine .. ' ' .. id) then
    return {2, '0'}
  elseif restored == '' then
    return {0, '0'}
  end
end
local last, next = bump()
local rev = restored ~= '' and restored or next
local value = '{"rev":' .. rev .. ',"state":"' .. state .. '",' .. body
redis.call('HSET', I, id, value)
if ttl > 0 then redis.call('ZADD', X, ms + ttl, id) else redis.call('ZREM', X, id) end
redis.call('ZREM', P, id)
tell(last, next, 'put', id, redis.call('HGET', O, id) or '', value)
return {1, rev}
