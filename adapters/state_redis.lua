-- A room's shared state, one atomic step a call.
--
-- KEYS[1]  the prefix of all the room's keys (with a hash tag, so they share a cluster slot)
-- ARGV     operation, time in ms ('' for this server's own clock), a fresh epoch, arguments …
--
-- prefix ..
--   room       hash    json, capacity, locked, ended, revision: the room as the functions last showed it
--   meta       hash    epoch, head (last offset), seat and generation counters
--   members    hash    user -> "seat|generation|session|instance|card"; a card is JSON without seat
--   tickets    hash    user -> when the ticket of the session that sits was given, in s
--   leases     zset    user -> when the seat is lost unless renewed
--   taken      set     seat numbers in use
--   lost       hash    user -> "session|card" of those who went without leaving: they may still resume,
--                      or hear why not (a card's `gone`)
--   lost-at    zset    user -> when; for someone removed while away, when they would have gone by themselves
--   log        stream  offset-0 -> t (ms), b (body)
--   chat       list    "offset|t|body" of the last chat events
--   instances  zset    relay instance -> when its lease on the room ends
--   bans       hash    user -> "until|reason"; until 0 means for ever
--   id:*       string  "offset|t" of an event by sender and message id

local LOG_EVENTS, HISTORY, KEEP_MS, LOST_MS, COOL_OFF_MS = @LOG_EVENTS@, @HISTORY@, @KEEP_MS@, @LOST_MS@, @COOL_OFF_MS@
local call = redis.call
local now = tonumber(ARGV[2])
if not now then
  local time = call('TIME')
  now = time[1] * 1000 + math.floor(time[2] / 1000)
end
local function key(name) return KEYS[1] .. name end
local function int(number) return string.format('%.0f', number) end
local added = {}

-- A key that a step makes and nobody touches afterwards would stay for ever.
local function expire(name) call('PEXPIRE', key(name), KEEP_MS) end

local function touch()
  for _, name in ipairs({ 'room', 'meta', 'members', 'tickets', 'leases', 'taken', 'lost', 'lost-at', 'log', 'chat', 'instances', 'bans' }) do
    expire(name)
  end
end

local function epoch()
  if call('HSETNX', key('meta'), 'epoch', ARGV[3]) == 1 then
    expire('meta')
    call('DEL', key('log'), key('chat')) -- what an older log left behind is no part of this one
  end
  return call('HGET', key('meta'), 'epoch')
end

local function head() return tonumber(call('HGET', key('meta'), 'head') or 0) end

local function log(body, is_chat)
  local offset = call('HINCRBY', key('meta'), 'head', 1)
  call('XADD', key('log'), 'MAXLEN', '=', LOG_EVENTS, int(offset) .. '-0', 't', int(now), 'b', body)
  if is_chat then
    if call('RPUSH', key('chat'), int(offset) .. '|' .. int(now) .. '|' .. body) == 1 then expire('chat') end
    call('LTRIM', key('chat'), -HISTORY, -1)
  end
  added[#added + 1] = { offset, now, body }
  return offset
end

-- Whether the log ends before what somebody was told of it, as a server that lost its last writes
-- has it. Then it goes on under another name, or offsets that were used would be used again.
local function rewound(known_epoch, known)
  if call('HGET', key('meta'), 'epoch') ~= known_epoch or tonumber(known) <= head() then return false end
  call('HSET', key('meta'), 'epoch', ARGV[3])
  return true
end

local function record(user)
  local value = call('HGET', key('members'), user)
  if not value then return nil end
  local seat, generation, session, instance, card = string.match(value, '^(%d+)|(%d+)|([^|]*)|([^|]*)|(.*)$')
  return { seat = seat, generation = generation, session = session, instance = instance, card = card }
end

local function keep(user, r)
  call('HSET', key('members'), user,
    r.seat .. '|' .. r.generation .. '|' .. r.session .. '|' .. r.instance .. '|' .. r.card)
end

local function forget_lost(user)
  call('HDEL', key('lost'), user)
  call('ZREM', key('lost-at'), user)
end

local function stand(user, r, reason)
  local card = cjson.decode(r.card)
  local until_ms = tonumber(call('ZSCORE', key('leases'), user) or 0)
  call('HDEL', key('members'), user)
  call('HDEL', key('tickets'), user)
  call('ZREM', key('leases'), user)
  call('SREM', key('taken'), r.seat)
  -- Who is away hears of it only on coming back with an old token.
  if reason == 'idle' or (reason == 'kicked' and card.away) then card.gone = reason end
  if reason == 'lost' or card.gone then
    call('HSET', key('lost'), user, r.session .. '|' .. cjson.encode(card))
    call('ZADD', key('lost-at'), int(math.max(now, until_ms)), user)
    expire('lost')
    expire('lost-at')
  else
    forget_lost(user)
  end
  log('{"type":"left","seat":' .. r.seat .. ',"userId":' .. cjson.encode(user) .. ',"reason":"' .. reason .. '"}')
end

local function sweep()
  for _, user in ipairs(call('ZRANGEBYSCORE', key('leases'), '-inf', int(now))) do
    local r = record(user)
    if r then stand(user, r, cjson.decode(r.card).away and 'idle' or 'lost') else call('ZREM', key('leases'), user) end
  end
  for _, user in ipairs(call('ZRANGEBYSCORE', key('lost-at'), '-inf', int(now - LOST_MS))) do
    forget_lost(user)
  end
end

local function ban_of(user)
  local value = call('HGET', key('bans'), user)
  if not value then return nil end
  local until_ms, reason = string.match(value, '^(%d+)|(.*)$')
  if until_ms ~= '0' and tonumber(until_ms) <= now then
    call('HDEL', key('bans'), user)
    return nil
  end
  return reason
end

-- Whether that is news: of two requests the one that read the room first may come last.
local function show(json, capacity, locked, ended, revision)
  local shown = call('HMGET', key('room'), 'ended', 'revision')
  if shown[1] == '1' or (ended ~= '1' and tonumber(revision) < tonumber(shown[2] or 0)) then return false end
  call('HSET', key('room'), 'json', json, 'capacity', capacity, 'locked', locked, 'ended', ended, 'revision', revision)
  expire('room')
  return true
end

local function refused(code) return { 'refused', code } end

local function same(a, b)
  if type(a) == 'table' and type(b) == 'table' then return a.source == b.source and a.id == b.id end
  return a == b
end

-- Change these fields of a member's card to what `wanted` has, and log the ones that differ.
local function update(user, r, wanted, fields)
  local card, told, changed = cjson.decode(r.card), {}, false
  for _, field in ipairs(fields) do
    if not same(card[field], wanted[field]) then
      card[field], told[field], changed = wanted[field], wanted[field], true
    end
  end
  if not changed then return false end
  r.card = cjson.encode(card)
  keep(user, r)
  log('{"type":"member","seat":' .. r.seat .. ',"userId":' .. cjson.encode(user) .. ','
    .. string.sub(cjson.encode(told), 2))
  return true
end

local ops = {}

function ops.show(...)
  show(...)
  return { 'ok' }
end

function ops.change(body, ...)
  local news = show(...)
  sweep()
  if not news or call('ZCARD', key('leases')) == 0 then return { 'ok' } end
  local at = epoch()
  log(body)
  return { 'ok', at, added }
end

function ops.close(body, json, capacity, _, _, revision)
  show(json, capacity, '0', '1', revision)
  local at = epoch()
  log(body)
  call('DEL', key('members'), key('tickets'), key('leases'), key('taken'), key('lost'), key('lost-at'))
  touch()
  return { 'ok', at, added }
end

function ops.count() return call('ZCOUNT', key('leases'), '(' .. int(now), '+inf') end

function ops.members()
  local found = {}
  for _, user in ipairs(call('ZRANGEBYSCORE', key('leases'), '(' .. int(now), '+inf')) do
    local r = record(user)
    if r then found[#found + 1] = '{"seat":' .. r.seat .. ',' .. string.sub(r.card, 2) end
  end
  return found
end

function ops.sit(user, session, instance, card, admitted, resume, lease, ticket_s, history)
  local room = call('HMGET', key('room'), 'json', 'capacity', 'locked', 'ended')
  if not room[1] then return refused('session-unknown') end
  if room[4] == '1' then return refused('room-ended') end
  local ban = ban_of(user)
  if ban then return refused(ban) end
  sweep()
  local at = epoch()
  local generation = int(call('HINCRBY', key('meta'), 'generation', 1))
  local replaced = ''
  local r = record(user)
  if r then
    if resume == '1' and r.session ~= session then return refused('replaced') end
    if r.session ~= session then
      -- A hello that its browser gave up, at a relay that was frozen, must not undo the one after it.
      if tonumber(call('HGET', key('tickets'), user) or 0) > tonumber(ticket_s) then return refused('replaced') end
      replaced = r.session
    end
    update(user, r, cjson.decode(card),
      resume == '1' and { 'relay', 'away' } or { 'name', 'role', 'avatar', 'relay', 'away' })
  else
    if resume == '1' then
      local was, left_card = string.match(call('HGET', key('lost'), user) or '', '^([^|]*)|(.*)$')
      if was ~= session then return refused('session-unknown') end
      local back = cjson.decode(left_card)
      if back.gone then return refused(back.gone) end
      back.relay = cjson.decode(card).relay
      card = cjson.encode(back)
    end
    if room[3] == '1' and admitted ~= '1' then return refused('room-locked') end
    if call('ZCARD', key('leases')) >= tonumber(room[2]) then return refused('room-full') end
    -- Counting up and around puts 65,536 joins between two owners of a number.
    local seat
    repeat
      seat = int(call('HINCRBY', key('meta'), 'seat', 1) % 65536)
    until call('SADD', key('taken'), seat) == 1
    r = { seat = seat, card = card }
    log('{"type":"joined","seat":' .. seat .. ',' .. string.sub(card, 2))
  end
  r.generation, r.session, r.instance = generation, session, instance
  keep(user, r)
  call('HSET', key('tickets'), user, ticket_s)
  forget_lost(user)
  call('ZADD', key('leases'), int(now + lease), user)
  call('ZADD', key('instances'), int(now + lease), instance)
  touch()
  local chats = history == '1' and call('LRANGE', key('chat'), 0, -1) or {}
  return { 'ok', at, head(), r.seat, generation, room[1], ops.members(), chats,
    added, replaced, r.card }
end

function ops.lose(user, generation, hold)
  local r = record(user)
  if r and r.generation == generation then call('ZADD', key('leases'), int(now + hold), user) end
  return { 'ok' }
end

function ops.doze(user, generation, away)
  local r = record(user)
  if not r or r.generation ~= generation then return refused('session-unknown') end
  local at = epoch()
  -- A new generation: what the connection that goes still does, such as a late renewal, is void.
  r.generation, r.instance = int(call('HINCRBY', key('meta'), 'generation', 1)), ''
  keep(user, r)
  call('ZADD', key('leases'), int(now + away), user)
  touch()
  if not update(user, r, { away = true }, { 'away' }) then return { 'ok' } end
  return { 'ok', at, added }
end

function ops.leave(user, generation, reason)
  if reason == 'kicked' then
    -- Long enough for every ticket already given out to die; a ban that stands stays.
    if not ban_of(user) then call('HSET', key('bans'), user, int(now + COOL_OFF_MS) .. '|kicked') end
    expire('bans')
  end
  if reason ~= 'lost' then forget_lost(user) end
  local r = record(user)
  if not r or (generation ~= '' and r.generation ~= generation) then return { 'ok' } end
  local at = epoch()
  stand(user, r, reason)
  return { 'ok', at, added }
end

function ops.amend(user, changes)
  local r, wanted, fields = record(user), cjson.decode(changes), {}
  if not r then
    -- Or else whoever is lost while being muted would come back with a voice.
    local session, lost_card = string.match(call('HGET', key('lost'), user) or '', '^([^|]*)|(.*)$')
    if session then
      local card = cjson.decode(lost_card)
      for field, value in pairs(wanted) do card[field] = value end
      call('HSET', key('lost'), user, session .. '|' .. cjson.encode(card))
    end
    return { 'ok' }
  end
  for field in pairs(wanted) do fields[#fields + 1] = field end
  local at = epoch()
  if not update(user, r, wanted, fields) then return { 'ok' } end
  return { 'ok', at, added }
end

function ops.renew(known_epoch, known, instance, lease, hosting, ...)
  rewound(known_epoch, known)
  local seats = { ... }
  local gone = {}
  for i = 1, #seats, 2 do
    local r = record(seats[i])
    if r and r.generation == seats[i + 1] then
      call('ZADD', key('leases'), int(now + lease), seats[i])
    else
      gone[#gone + 1] = seats[i]
    end
  end
  if hosting == '1' then
    call('ZADD', key('instances'), int(now + lease), instance)
  else
    call('ZREM', key('instances'), instance)
  end
  call('ZREMRANGEBYSCORE', key('instances'), '-inf', int(now))
  local at = epoch()
  sweep()
  touch()
  local others = call('ZCARD', key('instances'))
  if hosting == '1' then others = others - 1 end
  local first = call('ZRANGE', key('leases'), 0, 0, 'WITHSCORES')
  return { 'ok', at, head(), gone, added, others, first[2] and tonumber(first[2]) - now or -1 }
end

function ops.hosts() return call('ZRANGEBYSCORE', key('instances'), '(' .. int(now), '+inf') end

function ops.append(known_epoch, known, user, id, keep_ms, body, is_chat)
  if rewound(known_epoch, known) then return refused('session-unknown') end
  if call('HEXISTS', key('members'), user) == 0 then return refused('session-unknown') end
  local seen = key('id:' .. user .. ':' .. id)
  local at = epoch()
  local offset, time = string.match(call('GET', seen) or '', '^(%d+)|(%d+)$')
  if offset then return { 'ok', at, tonumber(offset), tonumber(time), 0 } end
  offset = log(body, is_chat == '1')
  call('SET', seen, int(offset) .. '|' .. int(now), 'PX', keep_ms)
  return { 'ok', at, offset, now, 1 }
end

function ops.read(of_epoch, after, limit)
  after = tonumber(after)
  if call('HGET', key('meta'), 'epoch') ~= of_epoch or after > head() then return { 'gone' } end
  if after == head() then return { 'ok', {} } end
  local first = call('XRANGE', key('log'), '-', '+', 'COUNT', 1)[1]
  if not first or tonumber(string.match(first[1], '^%d+')) > after + 1 then return { 'gone' } end
  local found = {}
  for _, entry in ipairs(call('XRANGE', key('log'), int(after + 1) .. '-0', '+', 'COUNT', limit)) do
    found[#found + 1] = { tonumber(string.match(entry[1], '^%d+')), tonumber(entry[2][2]), entry[2][4] }
  end
  return { 'ok', found }
end

function ops.head()
  local at = call('HGET', key('meta'), 'epoch')
  if not at then return { 'gone' } end
  return { 'ok', at, head() }
end

function ops.ban(user, until_ms)
  call('HSET', key('bans'), user, until_ms .. '|banned')
  expire('bans')
  return { 'ok' }
end

function ops.unban(user)
  call('HDEL', key('bans'), user)
  return { 'ok' }
end

function ops.barred(user) return ban_of(user) or '' end

function ops.spend(burst, per_s)
  burst, per_s = tonumber(burst), tonumber(per_s)
  local tokens, at = unpack(call('HMGET', KEYS[1], 'tokens', 'at'))
  tokens = math.min(burst, (tonumber(tokens) or burst) + math.max(0, now - (tonumber(at) or now)) * per_s / 1000)
  local wait = 0
  if tokens >= 1 then tokens = tokens - 1 else wait = math.ceil((1 - tokens) * 1000 / per_s) end
  call('HSET', KEYS[1], 'tokens', tostring(tokens), 'at', int(now))
  call('PEXPIRE', KEYS[1], math.ceil(burst * 1000 / per_s) + 1000)
  return wait
end

return ops[ARGV[1]](unpack(ARGV, 4))
