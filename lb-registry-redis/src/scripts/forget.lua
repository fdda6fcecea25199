-- KEYS[1]: the index of services. ARGV: pairs of a name and the score at which it was seen to be empty. Takes out
-- those that nobody has touched since.
local gone = 0
for n = 1, #ARGV, 2 do
  if redis.call('ZSCORE', KEYS[1], ARGV[n]) == ARGV[n + 1] then
    gone = gone + redis.call('ZREM', KEYS[1], ARGV[n])
  end
end
return gone
