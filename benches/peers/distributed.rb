# Redis::Distributed of redis-rb: `ruby distributed.rb work millis url..` prints `ops wall_ns cpu_ns`.
require "redis"
require "redis/distributed"

work, millis, *urls = ARGV
redis = Redis::Distributed.new(urls)
keys = Array.new(10_000) { |i| format("user:%08d:name", i) }
value = "x" * 64
keys.each { |key| redis.set(key, value) }
cpu = -> { Process.clock_gettime(Process::CLOCK_PROCESS_CPUTIME_ID, :nanosecond) }
wall = -> { Process.clock_gettime(Process::CLOCK_MONOTONIC, :nanosecond) }
start, used, ops = wall.call, cpu.call, 0
finish = start + Integer(millis) * 1_000_000
while wall.call < finish
  at = ops * 6_101 % 9_900
  case work
  when "get" then redis.get(keys[at]) == value or raise "not found"
  when "set" then redis.set(keys[at], value)
  # Its `mget` refuses keys of several nodes; `mapped_mget` is its batch.
  else redis.mapped_mget(*keys[at, 100]).size == 100 or raise "not found"
  end
  ops += 1
end
puts "#{ops} #{wall.call - start} #{cpu.call - used}"
