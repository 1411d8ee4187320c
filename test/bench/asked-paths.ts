/** Lua for wrk: `missing()` names the narinfo of another path each time, one that nobody has. */
export const MISSING_PATHS = `
local digits = "0123456789abcdfghijklmnpqrsvwxyz"
function missing()
  local hash = {}
  for i = 1, 32 do
    local at = math.random(#digits)
    hash[i] = digits:sub(at, at)
  end
  return "/" .. table.concat(hash) .. ".narinfo"
end
`
