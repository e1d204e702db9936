-- Enrolls a callsign under an approve code: 1 if it did, 0 if somebody has the callsign, -1 if the code is taken.
-- KEYS: the callsign without regard to case, the code. ARGV: the callsign, the code, the pool, the time.
if redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
if redis.call('EXISTS', KEYS[2]) == 1 then return -1 end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('HSET', KEYS[2], 'callsign', ARGV[1], 'pool', ARGV[3], 'state', 0, 'created', ARGV[4], 'updated', ARGV[4])
return 1
