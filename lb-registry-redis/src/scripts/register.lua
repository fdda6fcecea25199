-- ARGV[3]: id, [4]: `owner.version value`, [5]: time-to-live in ms (0: until deregistered), [6]: the owner,
-- [7]: `any` to write whatever is there, `own` to replace what the owner has there, `restore` to do so or to put back
-- what was lost.
-- Returns {status, revision}: 1 written, 0 nothing is there, 2 it was deregistered, 3 another owner's is there.
local id, record, ttl, mine, mode = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7]
local there = redis.call('HGET', I, id)
if mode ~= 'any' then
  if there then
    if owner(there) ~= mine then return {3, '0'} end
  elseif redis.call('ZSCORE', R, mine .. ' ' .. id) then
    return {2, '0'}
  elseif mode == 'own' then
    return {0, '0'}
  end
end
local function live()
  if ttl > 0 then redis.call('ZADD', X, ms + ttl, id) else redis.call('ZREM', X, id) end
end
if mode == 'restore' and there and string.sub(there, string.find(there, ' ', 1, true) + 1) == record then
  live()
  return {1, revision(there)}
end
-- First what a server without memory refuses, so that it is all or nothing.
local last, next = bump()
local stored = next .. ' ' .. record
redis.call('HSET', I, id, stored)
live()
redis.call('ZREM', P, id)
tell(last, next, 'put', id, redis.call('HGET', O, id) or '', stored)
return {1, next}
