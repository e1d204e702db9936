-- Registers a person for an event: 1 if they have a place now, 0 if they had one, -1 if there is none left.
-- KEYS: the event, its registrations. ARGV: the person, the time.
local places = redis.call('HMGET', KEYS[1], 'taken', 'capacity')
if tonumber(places[1]) >= tonumber(places[2]) then return -1 end
if redis.call('HSETNX', KEYS[2], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('HINCRBY', KEYS[1], 'taken', 1)
return 1
