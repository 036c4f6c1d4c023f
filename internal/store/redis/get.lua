-- ARGV: key. Returns version, milliseconds left and value, or nothing.
local version, left, value = read(ARGV[1])
if not value then return {} end
return {version, left, value}
