//! A Django application and a cache share one server.
//!
//! Django and redis-py are installed from PyPI into a virtual environment under `target/`. Where there is no python3, or
//! no way to PyPI, the test says so and shows nothing.

use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use redisdb_cache::Cache;
use redisdb_node::Node;
use xtask::Server;
use xtask::needs;

/// Configures a Django with two caches on the server that is its argument, the default one and one with JSON, and runs
/// the lines that follow.
const PREAMBLE: &str = r#"
import json, sys
import django
from django.conf import settings

class Json:
    def dumps(self, value):
        return value if type(value) is int else json.dumps(value).encode()

    def loads(self, data):
        return json.loads(data)

def cache_of(**options):
    return {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": sys.argv[1],
        "KEY_PREFIX": "shop",
        "OPTIONS": options,
    }

settings.configure(CACHES={"default": cache_of(), "json": cache_of(serializer=Json)})
django.setup()
from django.core.cache import caches
default, shared = caches["default"], caches["json"]
"#;

/// The Python of the tests' own virtual environment, or why there is none.
fn python() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("django");
    let python = folder.join("bin/python");
    let has_django = |python: &Path| {
        let found = Command::new(python).args(["-c", "import django, redis"]).output();
        found.is_ok_and(|output| output.status.success())
    };
    if has_django(&python) {
        return Ok(python);
    }
    let run = |program: &Path, args: &[&str]| {
        let output = Command::new(program).args(args).output().map_err(|error| error.to_string())?;
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    };
    run(Path::new("python3"), &["-m", "venv", folder.to_str().unwrap()])?;
    run(&python, &["-m", "pip", "install", "--quiet", "django>=4.2", "redis>=5"])?;
    if has_django(&python) { Ok(python) } else { Err("Django cannot be imported".to_owned()) }
}

#[tokio::test]
async fn django_and_the_cache_read_each_other() {
    let python = needs!(python().map_err(|error| format!("there is no Django here: {error}")));
    let server = Server::start().unwrap();
    let run = |lines: &str| {
        let script = format!("{PREAMBLE}{lines}");
        let output = Command::new(&python).args(["-c", &script, &server.url()]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let cache = Cache::django(Node::connect(server.url()).await.unwrap()).prefix("shop").build().unwrap();

    run(r#"
default.set("int", 41)
default.set("int", 42, version=2)
default.set("forever", 1, timeout=None)
default.set("minute", 1, timeout=60)
default.set("pickled", "text")
shared.set("text", "Iñtërnâtiônàlizætiøn")
shared.set("list", [1, "two", None])
shared.set("key with {braces}: 50%", True)
"#);
    assert_eq!(cache.get("int").await.unwrap(), Some(41));
    assert_eq!(cache.with_version(2).get("int").await.unwrap(), Some(42));
    assert_eq!(cache.ttl("forever").await.unwrap().duration(), None);
    let left = cache.ttl("minute").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(10) < left && left <= Duration::from_secs(60));
    let left = cache.ttl("int").await.unwrap().duration().unwrap();
    assert!(Duration::from_secs(200) < left && left <= Duration::from_secs(300));
    assert_eq!(cache.get::<String>("text").await.unwrap().as_deref(), Some("Iñtërnâtiônàlizætiøn"));
    assert_eq!(cache.get("list").await.unwrap(), Some((1, "two".to_owned(), None::<u8>)));
    assert_eq!(cache.get("key with {braces}: 50%").await.unwrap(), Some(true));
    // What Django's default serializer writes is shared as far as it is an integer, and no further.
    assert!(cache.get::<String>("pickled").await.unwrap_err().is_decode());

    cache.set("int", &7).await.unwrap();
    cache.incr("int", 3).await.unwrap();
    cache.with_version(2).set("int", &8).await.unwrap();
    cache.set("text", "from Rust ☃").await.unwrap();
    cache.set("list", &(1, "two", None::<u8>)).await.unwrap();
    cache.set_for("gone", &1, Duration::ZERO).await.unwrap();
    cache.delete("forever").await.unwrap();
    run(r#"
assert default.get("int") == 10 and shared.get("int") == 10
assert default.incr("int") == 11
assert default.get("int", version=2) == 8
assert shared.get("text") == "from Rust ☃", shared.get("text")
assert shared.get("list") == [1, "two", None]
assert default.get("gone") is None and default.get("forever") is None
default.incr_version("int", version=2)
"#);
    assert_eq!(cache.get("int").await.unwrap(), Some(11));
    assert_eq!(cache.with_version(3).get("int").await.unwrap(), Some(8));
}
