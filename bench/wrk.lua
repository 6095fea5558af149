-- Posts one body over and over, and says at the end what came of it, as one line of JSON.
-- Arguments: the body's file; "json", or the bytes of JSON before its binary tensors; then, to have each answer
-- checked, VERSION=NUMBER for each version that may answer: the first number of its output.

local checked = {}
local threads = {}
wrong = 0 -- global, so that done() can ask each thread for it

function setup(thread)
  table.insert(threads, thread)
end

function init(arguments)
  local file = assert(io.open(arguments[1], "rb"))
  wrk.method, wrk.body = "POST", file:read("*a")
  file:close()
  if arguments[2] == "json" then
    wrk.headers["Content-Type"] = "application/json"
  else
    wrk.headers["Inference-Header-Content-Length"] = arguments[2]
  end
  for number = 3, #arguments do
    local version, first = arguments[number]:match("^(%d+)=(.+)$")
    checked[version] = tonumber(first)
    response = check -- wrk hands answers over only when there is a function of this name
  end
end

function check(status, headers, body)
  local wanted = checked[body:match('"model_version":"(%d+)"')]
  local first = tonumber(body:match('"data":%[([^,%]]+)'))
  if not wanted or not first or math.abs(first - wanted) > 1e-3 then
    wrong = wrong + 1
  end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local failed = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  local all_wrong = 0
  for _, thread in ipairs(threads) do
    all_wrong = all_wrong + thread:get("wrong")
  end
  io.write(string.format('{"requests":%d,"seconds":%.6f,"p99":%.6f,"failed":%d,"wrong":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(99) / 1e6, failed, all_wrong))
end
