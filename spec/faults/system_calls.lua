-- SPDX-License-Identifier: Apache-2.0
-- What is run while system calls of it fail, which calls those are, and what is to come of it.

-- What each script begins with. It prints a line for each step, and where the steps begin does
-- what the trace shows.
local PRELUDE = [=[
  local artel = require "artel"
  local ASLEEP = [[ local function isAsleep(pid)
    local file <close> = io.open("/proc/" .. pid .. "/stat")
    return file:read "a":find "%) S"
  end ]]
  load(ASLEEP .. "_ENV.isAsleep = isAsleep")()
  -- Who asks with its process id is answered once it sleeps.
  local ECHO = ("(function() %s return { onRequest = function(_, r)"
    .. " while math.type(r) == 'integer' and r > 100 and not isAsleep(r) do end return r end,"
    .. " onMessage = function(_, m, channel) channel:sendMessage(m) end } end)()"):format(ASLEEP)
  local file <close> = io.open "/proc/self/stat"
  local OWN_ID = file:read "n"
  local function text(value)
    if type(value) == "table" and value.kind then
      return ("%s %s %s"):format(value.kind, value.errno or "-", value.message)
    elseif type(value) == "table" and getmetatable(value) == nil then
      return table.concat(value, " ")
    elseif type(value) == "userdata" then -- without how it is: it may have ended by now
      return (tostring(value):gsub("artel worker %d+", "worker"):gsub(", [^,]*$", ""))
    end
    return tostring(value)
  end
  local function step(name, fn, ...)
    local ok, value, err = pcall(fn, ...)
    print(name .. ": " .. (ok and "" or "raised ") .. text(value == nil and err or value))
    if ok then return value end
  end
  -- Tries again, once, when it has failed.
  local function twice(name, fn, ...)
    return step(name, fn, ...) or step(name .. " again", fn, ...)
  end
  io.stdout:setvbuf "line"
  io.open "/nonexistent/begins here" ]=]

local DEDICATED = PRELUDE .. [[
  local factory = artel.WorkerFactory.new { transport = "TRANSPORT" }
  local worker = twice("create", factory.createWorkerWithExpression, factory, ECHO)
  if not worker then return end
  step("request", function()
    local id, err = worker:request(OWN_ID)
    return id == OWN_ID or err
  end)
  step("send", worker.sendMessage, worker, ("x"):rep(1000))
  step("receive", function() return #assert(worker:receiveMessage()) end)
  step("kill", worker.kill, worker, "TERM")
  step("close", worker.close, worker) ]]

local RAW = PRELUDE .. [[
  local worker = twice("create", artel.createWorkerWithExpression,
    "{ run = function(_, channel) for m in channel:messages() do channel:sendMessage(m) end end }")
  if step("ready", worker.waitUntilReady, worker) == true then
    while not isAsleep(worker:getProcessId()) do end
  end
  step("send", worker.sendMessage, worker, ("x"):rep(1 << 20))
  step("receive", function() return #assert(worker:receiveMessage()) end)
  step("close", worker.close, worker) ]]

local POOL = PRELUDE .. [[
  local pool
  step("pool", function() pool = artel.createWorkerPoolWithExpression(ECHO, 2) return #pool end)
  if not pool then return end
  if not step("map", pool.map, pool, { 1, 2, 3, 4, 5 }) then
    step("map again", pool.map, pool, { 1, 2, 3, 4, 5 })
  end
  step("request", function()
    local id, err = pool:request(OWN_ID)
    return id == OWN_ID or err
  end)
  step("close", pool.close, pool) ]]

local LOOP = PRELUDE .. [[
  local worker = assert(artel.createWorkerWithExpression(ECHO))
  local function request()
    return artel.async(function() return worker:request(OWN_ID) == OWN_ID end):await()
  end
  twice("request", request)
  step("close", worker.close, worker) ]]

local SHARED = PRELUDE .. [[
  local factory = artel.WorkerFactory.new { adminCookie = "a cookie", outputPath = "log" }
  local address = "unix://w.sock"
  local worker = twice("connect", factory.connectToSharedWorkerWithExpression, factory, address,
    ECHO)
  if worker then
    step("request", worker.request, worker, 1)
    step("status", function() return assert(worker:query()) and "a status" end)
    step("close", worker.close, worker)
  end
  step("process", function()
    local pid, err = factory:getSharedWorkerProcessId(address)
    return pid and "a number" or err
  end)
  twice("stop", factory.stopSharedWorker, factory, address) ]]

local FILES = PRELUDE .. [[
  local factory = artel.WorkerFactory.new { killSwitchPath = "switch.json" }
  twice("disable", factory.disableSharedWorker, factory, "tcp://127.0.0.1:1")
  step("list", factory.getDisabledSharedWorkers, factory)
  twice("enable", factory.reEnableSharedWorker, factory, "tcp://127.0.0.1:1")
  local profile = artel.BootstrapProfile.new()
  twice("compile", function()
    local path, err = profile:compileScriptWithExpression(ECHO)
    return path and "a path" or err
  end)
  profile:addPrecompiledScriptWithExpression(ECHO, "boot.lua")
  local worker = twice("create", function()
    return artel.WorkerFactory.new(profile):createWorkerWithExpression(ECHO)
  end)
  if not worker then return end
  step("request", worker.request, worker, 1)
  step("close", worker.close, worker) ]]

local IDENTITY = PRELUDE .. [[
  local factory = artel.WorkerFactory.new { preferredIdentity = "nobody", outputPath = "/dev/null",
    resourceLimits = { openFiles = 100 } }
  local worker = assert(factory:createWorkerWithExpression(ECHO))
  step("request", worker.request, worker, 1)
  step("close", worker.close, worker) ]]

local function over(transport, script) return (script:gsub("TRANSPORT", transport)) end

local SCRIPTS = {
  ["a worker"] = over("auto", DEDICATED),
  ["a worker in shared memory"] = over("shared-memory", DEDICATED),
  ["a worker over a socket"] = over("socket", DEDICATED),
  ["a raw worker"] = RAW,
  ["a pool"] = POOL,
  ["a worker, in artel.async"] = LOOP,
  ["a shared worker"] = SHARED,
  ["files"] = FILES,
  ["a worker with an identity"] = IDENTITY,
}

--- One call of the undisturbed program, told by what its trace shows (a Lua pattern, in lower
--- case); the errors that it is to fail with; and what those steps print that fare otherwise then
--- (a pattern, %s is the error).
---@param options? table always: the call fails each time; nth: not the first that fits;
--- optional: not every C library makes it; says: what standard error contains; file: what may
--- be left
local function row(call, errors, changes, options)
  options = options or {}
  return { call = call, errors = errors, changes = changes or {}, always = options.always,
    nth = options.nth or 1, optional = options.optional, says = options.says,
    file = options.file }
end

--- What happens when no worker comes to listen.
local function neverStarted(connect)
  return { connect = connect, ["connect again"] = connect, process = "connect ENOENT",
    stop = "false", ["stop again"] = "false" }
end

local ALWAYS = { always = true }
-- In the place of an error: the call does nothing, and answers that it is done.
local NOTHING_DONE = "0"
local OVER_SOCKET = { create = "socket$" }
local EXITED = "closed %- .*exited with code 1"

local GROUPS = {
  { script = "a worker", traced = "master",
    row("^socketpair%(", "EMFILE ENFILE ENOMEM", { create = "spawn %s cannot make a channel: " }),
    row("^memfd_create", "ENOSYS EPERM EMFILE ENOMEM", OVER_SOCKET),
    row("^memfd_create", "ENOSYS EPERM", OVER_SOCKET, ALWAYS),
    row("^ftruncate", "ENOSPC EINTR", OVER_SOCKET),
    row("f_add_seals", "EINVAL", OVER_SOCKET),
    row("^mmap%(.*map_shared", "ENOMEM EPERM", OVER_SOCKET),
    row("^setsockopt%(.*so_rcvtimeo", "ENOMEM", OVER_SOCKET),
    row("f_dupfd_cloexec, 5", "EMFILE",
      { create = "spawn EMFILE cannot start the host .*ulimit %-n" }),
    row("vfork", "EAGAIN", { create = "spawn EAGAIN cannot start the host .*ulimit %-u" }),
    row("vfork", "ENOMEM", { create = "spawn ENOMEM cannot start the host " }),
    row("^clone3", "ENOSYS", nil, { optional = true }),
    row("^setpgid", "EPERM", { create = "spawn EPERM cannot start the host ",
      ["create again"] = "spawn EPERM cannot start the host " }, ALWAYS),
    row("^close_range", "ENOSYS EPERM", nil, { always = true, optional = true }),
    row("^pidfd_open", "ENOSYS EPERM EMFILE ENOMEM", nil, ALWAYS),
    row("^pidfd_send_signal", "ENOSYS EPERM", nil, ALWAYS),
    row("^faccessat2", "ENOSYS EPERM", nil, { always = true, optional = true }),
    row("^sched_getaffinity", "EPERM ENOSYS"),
    row("^getrusage", "EPERM"),
    row("^waitid", "EINTR"),
    row("^poll%(", "EINTR EAGAIN ENOMEM") },
  { script = "a worker in shared memory", traced = "master",
    row("^memfd_create", "ENOSYS ENOMEM",
      { create = "spawn %s cannot make the memory that a worker shares: " }) },
  { script = "a worker over a socket", traced = "master",
    row("^sendto%(.*atl1", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^sendto%(.*xxxxx", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^sendto%(.*xxxxx", "EIO", { send = "closed ", receive = "raised closed ",
      kill = "closed ESRCH ", close = "0" }),
    row("^recvfrom%(", "EINTR EAGAIN") },
  { script = "a worker over a socket", traced = "host",
    row("^sendto%(.*atl1", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^recvfrom%(", "EINTR"),
    row("^recvfrom%(", "ENOMEM",
      { request = EXITED, send = "", receive = "raised " .. EXITED,
        kill = "closed ESRCH ", close = "1" },
      { says = "the profile cannot be received: Cannot allocate memory" }) },
  { script = "a raw worker", traced = "host",
    row("^mmap%(.*map_shared", "ENOMEM EPERM",
      { ready = EXITED, send = EXITED, receive = "raised " .. EXITED, close = "1" },
      { says = "cannot open the channel to its master: " }),
    row("^prctl%(pr_set_pdeathsig", "EPERM EINVAL ENOSYS"),
    row("^sched_getaffinity", "EPERM ENOSYS"),
    row("^readlink", "EACCES", nil, { optional = true }),
    row("^sendto%(", "EINTR ENOBUFS ENOMEM"),
    row("^recvfrom%(", "EINTR") },
  { script = "a pool", traced = "master",
    row("vfork", "EAGAIN ENOMEM"),
    row("^socketpair%(", "EMFILE"),
    row("^memfd_create", "ENOSYS EPERM", { map = "bootstrap %s a worker could not start: "
      .. "cannot make the memory that a worker shares: ", ["map again"] = "bootstrap %s ",
      request = "bootstrap %s " }, ALWAYS),
    row("^openat%(.*/proc/vmstat", "EMFILE EACCES"),
    row("^read%(.*nr_free_pages", "EIO EINTR"),
    row("^pidfd_open", "ENOSYS EPERM", nil, ALWAYS),
    row("^poll%(", "EINTR ENOMEM") },
  { script = "a pool", traced = "host",
    row("^mmap%(.*1536, .*map_shared", "ENOMEM", { map = "bootstrap ENOMEM .*the claim words: ",
      ["map again"] = "bootstrap ENOMEM ", request = "bootstrap ENOMEM " }) },
  { script = "a worker, in artel.async", traced = "master",
    row("^pipe2%(", "EMFILE ENFILE",
      { request = "raised .*no descriptors to load " }),
    row("^epoll_ctl%(.*u64=1}", "ENOSPC ENOMEM",
      { request = "raised .*cannot watch a descriptor: " }),
    row("^epoll_p?wait%(", "EINTR") },
  { script = "a shared worker", traced = "master",
    row("^socket%(", "EMFILE ENOBUFS", { connect = "connect %s cannot connect to " }),
    row("^connect%(", "EINTR ECONNREFUSED"),
    row("^connect%(", "EAGAIN", { connect = "timeout ETIMEDOUT cannot connect to " }),
    row("^connect%(", "EACCES ENOMEM", { connect = "connect %s cannot connect to " }),
    row("^socketpair%(", "EMFILE",
      { connect = "spawn EMFILE cannot start the host .*ulimit %-n" }),
    row("vfork", "EAGAIN", { connect = "spawn EAGAIN cannot start the host .*ulimit %-u" }),
    row("^setsid", "EPERM", neverStarted "spawn EPERM cannot start the host ", ALWAYS),
    row("^pidfd_open", "ENOSYS EPERM EMFILE", nil, ALWAYS),
    row("^waitid", "EINTR"),
    row("^poll%(", "EINTR ENOMEM EAGAIN"),
    row("^sendto%(.*atl1\\0", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^sendto%(.*atl1\", 4", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^getrandom%(.*, 8, 0%)", "EINTR"),
    row("^getrandom%(.*, 8, 0%)", "EPERM ENOSYS",
      { process = "connect %s cannot find out who listens at " }),
    row("^bind%(", "EADDRINUSE",
      { process = "connect EADDRINUSE cannot find out who listens " }) },
  { script = "a shared worker", traced = "host",
    row("child_stack=null", "EAGAIN",
      neverStarted "spawn %- the host .* exited with code 1 before it had left us",
      { says = "cannot detach: Resource temporarily unavailable" }),
    row("^getrandom%(.*, 8, 0%)", "EINTR"),
    row("^getrandom%(.*, 8, 0%)", "EPERM", neverStarted "listen EPERM .*who listens at "),
    row("^flock%(", "EINTR"),
    row("^flock%(", "ENOLCK", neverStarted "listen ENOLCK .*cannot lock ",
      { file = "w.sock.lock" }),
    row("^openat%(.*/log", "EMFILE EROFS", neverStarted "bootstrap %s opening the output path "),
    row("^pipe2%(", "EMFILE", neverStarted "bootstrap %- .*no descriptors to load "),
    row("^fchmod%(", "EPERM", neverStarted "listen EPERM .*cannot listen at "),
    row("^bind%(.*w%.sock", "EACCES ENOSPC", neverStarted "listen %s .*cannot listen at "),
    row("^listen%(", "EADDRINUSE",
      neverStarted "listen EADDRINUSE .*: somebody else listens there"),
    row("^epoll_ctl%(.*u64=1}", "ENOSPC ENOMEM",
      neverStarted "listen %- .*cannot watch a descriptor: "),
    row("^timer_create%(", "EAGAIN"),
    row("^timer_create%(", "ENOSYS EPERM", nil, ALWAYS),
    row("^timer_settime%(", "ENOSYS EPERM", nil, ALWAYS),
    row("^accept4%(", "EINTR ECONNABORTED EMFILE ENFILE ENOMEM ENOBUFS EPERM"),
    row("^epoll_p?wait%(", "EINTR"),
    row("^sendto%(.*atl1", "EINTR EAGAIN ENOBUFS ENOMEM"),
    row("^recvfrom%(", "EINTR"),
    row("^write%(2", "EIO ENOSPC") },
  { script = "files", traced = "master",
    row("^openat%(.*switch.json.lock.*o_creat", "EACCES ENOSPC EMFILE",
      { disable = "disabled %s cannot lock .*switch.json.lock: " }),
    row("^flock%(.*lock_ex", "EINTR"),
    row("^flock%(.*lock_ex", "ENOLCK", { disable = "disabled ENOLCK cannot lock " }),
    row("^openat%(.*switch.json%.......\"", "EMFILE ENOSPC EROFS",
      { disable = "disabled %s cannot write .*switch.json: " }),
    row("^write%(.*addresses", "EINTR"),
    row("^write%(.*addresses", "EIO ENOSPC EDQUOT",
      { disable = "disabled %s cannot write .*switch.json: " }),
    row("^fchmod%(", "EPERM EIO",
      { disable = "disabled %s cannot keep owner and mode of .*switch.json: " }, { nth = 2 }),
    row("^fsync%(", "EIO ENOSPC", { disable = "disabled %s cannot write .*switch.json: " }),
    row("^rename%(.*switch.json", "EIO ENOSPC EACCES",
      { disable = "disabled %s cannot write .*switch.json: " }),
    row("^rename%(.*boot.lua", "EIO ENOSPC", { create = "spawn .*cannot write .*boot.lua: " }),
    row("^mkdir%(.*artel%-", "ENOSPC EACCES",
      { compile = "bootstrap %s cannot compile a bootstrap file: cannot make the folder " }) },
  { script = "files", traced = "host",
    row("^openat%(.*boot.lua", "EMFILE EIO", { close = "1",
      request = "bootstrap %s reading the profile failed: cannot open .*boot.lua: " }) },
  { script = "a worker with an identity", traced = "host", forRoot = true,
    row("^setgroups", NOTHING_DONE,
      { request = "bootstrap EPERM .*the supplementary groups are not those ", close = "1" }),
    row("^setresgid", NOTHING_DONE,
      { request = "bootstrap EPERM .*the group ids are not those ", close = "1" }),
    row("^setresuid", NOTHING_DONE,
      { request = "bootstrap EPERM .*the user ids are not those ", close = "1" }),
    row("^prctl%(pr_set_no_new_privs", NOTHING_DONE,
      { request = "bootstrap EPERM .*no_new_privs is not set", close = "1" }),
    row("^setgroups", "EPERM",
      { request = "bootstrap EPERM .*the supplementary groups: ", close = "1" }),
    row("^setresgid", "EPERM", { request = "bootstrap EPERM .*the group ids: ", close = "1" }),
    row("^setresuid", "EAGAIN EPERM", { request = "bootstrap %s .*the user ids: ", close = "1" }),
    row("^capset", "EPERM ENOSYS", { request = "bootstrap %s .*the capabilities: ", close = "1" }),
    row("^prctl%(pr_set_no_new_privs", "EINVAL EPERM",
      { request = "bootstrap %s .*no_new_privs: ", close = "1" }),
    row("rlimit_nofile, {", "EPERM",
      { request = "bootstrap EPERM setting the limits failed: openFiles: ", close = "1" }) },
}

return { scripts = SCRIPTS, groups = GROUPS, NOTHING_DONE = NOTHING_DONE }
