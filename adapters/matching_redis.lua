-- People who wait to be matched, one atomic step a call.
--
-- KEYS[1]  the prefix of all keys (one hash tag, so they share a cluster slot)
-- ARGV     operation, time in ms ('' for this server's own clock), arguments …
--
-- prefix ..
--   since   zset  user -> when they came
--   alive   zset  user -> when they are taken for gone unless heard of
--   ends    hash  user -> when they have waited long enough
--   cards   hash  user -> the waiter as JSON
--   totals  hash  pairs, waited (ms, of everyone in a pair)
--   match:* hash  card (the match of a user as JSON), ends

local call = redis.call
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function key(name) return KEYS[1] .. name end
local function int(number) return string.format('%.0f', number) end

local function remove(user)
  call('ZREM', key('since'), user)
  call('ZREM', key('alive'), user)
  call('HDEL', key('ends'), user)
  call('HDEL', key('cards'), user)
end

local function sweep()
  for _, user in ipairs(call('ZRANGEBYSCORE', key('alive'), '-inf', int(now))) do remove(user) end
end

local function renew(user, lease)
  local ends = tonumber(call('HGET', key('ends'), user))
  call('ZADD', key('alive'), int(math.min(now + lease, ends)), user)
  return now - tonumber(call('ZSCORE', key('since'), user))
end

local function match_of(user)
  local match = call('HMGET', key('match:' .. user), 'card', 'ends')
  return match[1] and tonumber(match[2]) > now and match[1]
end

local function keep_match(user, ends)
  call('HSET', key('match:' .. user), 'ends', int(ends))
  call('PEXPIRE', key('match:' .. user), int(ends - now))
end

local ops = {}

function ops.wait(user, card, lease, most)
  sweep()
  local match = match_of(user)
  if match then return match end
  -- Two who come in the same millisecond still come one after the other, not by their names.
  local last = tonumber(call('ZREVRANGE', key('since'), 0, 0, 'WITHSCORES')[2]) or 0
  if call('ZADD', key('since'), 'NX', int(math.max(now, last + 1)), user) == 1 then
    call('HSET', key('ends'), user, int(now + most))
  end
  call('HSET', key('cards'), user, card)
  return renew(user, tonumber(lease))
end

function ops.stay(user, lease)
  sweep()
  local match = match_of(user)
  if match then return match end
  if not call('ZSCORE', key('since'), user) then return false end
  return renew(user, tonumber(lease))
end

function ops.waiter(user) return call('HGET', key('cards'), user) end

function ops.waiting(limit)
  sweep()
  local found = {}
  for _, user in ipairs(call('ZRANGE', key('since'), 0, limit - 1)) do
    found[#found + 1] = call('HGET', key('cards'), user)
  end
  return found
end

function ops.pair(host, guest, match_of_host, match_of_guest, keep)
  sweep()
  local since_host, since_guest = call('ZSCORE', key('since'), host), call('ZSCORE', key('since'), guest)
  if not since_host or not since_guest then return 0 end
  for user, card in pairs({ [host] = match_of_host, [guest] = match_of_guest }) do
    call('HSET', key('match:' .. user), 'card', card)
    keep_match(user, now + keep)
  end
  call('HINCRBY', key('totals'), 'pairs', 1)
  call('HINCRBY', key('totals'), 'waited', int(2 * now - since_host - since_guest))
  remove(host)
  remove(guest)
  return 1
end

function ops.took(user, keep)
  local ends = tonumber(call('HGET', key('match:' .. user), 'ends'))
  if ends and ends > now + keep then keep_match(user, now + keep) end
  return 0
end

function ops.leave(user)
  remove(user)
  call('DEL', key('match:' .. user))
  return 0
end

function ops.statistics()
  sweep()
  local totals = call('HMGET', key('totals'), 'pairs', 'waited')
  return { call('ZCARD', key('since')), tonumber(totals[1] or 0), tonumber(totals[2] or 0) }
end

return ops[ARGV[1]](unpack(ARGV, 3))
