-- Takes out what has been expired for long where nobody beats any more. ARGV[3]: for how long, in ms, [4]: how many at
-- most. Returns how many.
local dead = redis.call('ZRANGEBYSCORE', X, '-inf', ms - tonumber(ARGV[3]), 'LIMIT', 0, tonumber(ARGV[4]))
for _, id in ipairs(dead) do
  redis.call('ZREM', X, id)
  redis.call('HDEL', O, id)
  redis.call('ZREM', P, id)
  if redis.call('HDEL', I, id) == 1 then
    local last, next = bump()
    tell(last, next, 'expired', id, '', '')
  end
end
return #dead
