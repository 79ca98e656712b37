-- Counts how often the data was loaded: what persists counts on, what does not begins at 1.
redis.call("HSET", "capitals", "France", "Paris", "Japan", "Tokyo", "Kenya", "Nairobi")
return redis.call("INCR", "loads")
