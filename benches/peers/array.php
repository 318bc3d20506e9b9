<?php
// RedisArray of phpredis: `php array.php work millis url..` prints `ops wall_ns cpu_ns`.
[, $work, $millis] = $argv;
$hosts = array_map(fn($url) => substr($url, strlen("redis://")), array_slice($argv, 3));
$redis = new RedisArray($hosts);
$keys = array_map(fn($i) => sprintf("user:%08d:name", $i), range(0, 9999));
$value = str_repeat("x", 64);
foreach ($keys as $key) {
    $redis->set($key, $value);
}
function cpu(): int
{
    $usage = getrusage();
    $micros = fn($kind) => $usage["ru_$kind.tv_sec"] * 1000000 + $usage["ru_$kind.tv_usec"];
    return ($micros("utime") + $micros("stime")) * 1000;
}
$start = hrtime(true);
$used = cpu();
$finish = $start + (int)$millis * 1000000;
for ($ops = 0; hrtime(true) < $finish; $ops++) {
    $at = $ops * 6101 % 9900;
    $well = match ($work) {
        "get" => $redis->get($keys[$at]) === $value,
        "set" => $redis->set($keys[$at], $value),
        default => count(array_filter($redis->mget(array_slice($keys, $at, 100)))) === 100,
    };
    if (!$well) {
        throw new Exception("not found");
    }
}
printf("%d %d %d\n", $ops, hrtime(true) - $start, cpu() - $used);
