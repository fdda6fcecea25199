-- ARGV[3]: '' or the revision that must be in force (0: none), [4]: the configuration as JSON ('': remove it).
-- Returns {status, revision}: 1 written, 0 there was none to remove, 4 another revision is in force (that one).
local expected, config = ARGV[3], ARGV[4]
local there = redis.call('GET', C)
local rev = there and revision(there) or '0'
if expected ~= '' and expected ~= rev then return {4, rev} end
if config == '' then
  if not there then return {0, '0'} end
  redis.call('DEL', C)
  local last, next = bump()
  tell(last, next, 'unconf', '', '', '')
  return {1, next}
end
local last, next = bump()
local stored = next .. ' ' .. config
redis.call('SET', C, stored)
tell(last, next, 'conf', '', '', stored)
return {1, next}
