-- ARGV[3]: id, [4]: what to lay over it, as JSON ('': nothing). Returns 0 if the instance is not there.
local id, over = ARGV[3], ARGV[4]
if redis.call('HEXISTS', I, id) == 0 then return 0 end
if (redis.call('HGET', O, id) or '') == over then return 1 end
if over == '' then redis.call('HDEL', O, id) else redis.call('HSET', O, id, over) end
local last, next = bump()
tell(last, next, 'over', id, over, '')
return 1
