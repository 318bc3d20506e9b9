//! A credentials provider: it is asked at each handshake, its passwords rotate and its tokens end, and no call is lost for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;
use std::time::Instant;

use redisdb::Credentials;
use redisdb::CredentialsProvider;
use redisdb::Node;
use redisdb::NodeConfig;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::commands::*;
use redisdb::node::Changes;
use redisdb::node::ErrorKind;
use redisdb::node::NodeEvent;
use redisdb::node::Observer;
use redisdb::node::Outcome;
use redisdb::node::PubSubEvent;
use redisdb_tests::Hostile;
use redisdb_tests::Says;
use redisdb_tests::eventually;
use tokio::task::JoinHandle;
use xtask::Server;

type Given = Result<Credentials, &'static str>;

/// What a provider gives from now on; `None` if it hangs.
#[derive(Clone)]
struct Vault(Arc<Mutex<Option<Given>>>);

impl Vault {
    fn new(user: &str, password: &str) -> Self {
        Self(Arc::new(Mutex::new(Some(Ok(credentials(user, password))))))
    }

    fn give(&self, given: impl Into<Option<Given>>) {
        *self.0.lock().unwrap() = given.into();
    }

    fn provider(&self) -> CredentialsProvider {
        let vault = self.clone();
        CredentialsProvider::new(move || {
            let given = vault.0.lock().unwrap().clone();
            async move {
                match given {
                    Some(given) => given,
                    None => std::future::pending().await,
                }
            }
        })
    }
}

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials::new(Some(user.to_owned()), password)
}

/// A server with these users and their passwords, and a node of the default user.
async fn server(users: &[(&str, &[&str])]) -> (Server, Node) {
    let server = Server::start().unwrap();
    let admin = Node::connect(server.url()).await.unwrap();
    for (user, passwords) in users {
        let passwords: Vec<_> = passwords.iter().map(|password| format!(">{password}")).collect();
        let rules = ["on", "~*", "&*", "+@all"].into_iter().chain(passwords.iter().map(String::as_str));
        admin.acl_setuser(user, &rules.collect::<Vec<_>>()).await.unwrap();
    }
    (server, admin)
}

fn config(server: &Server, vault: &Vault) -> NodeConfig {
    NodeConfig::new(&server.url()).unwrap().with_credentials_provider(vault.provider())
}

/// The connections of a server and their users, without those of the default user.
async fn connections(admin: &Node) -> BTreeMap<u64, String> {
    let list = redis::cmd("CLIENT").arg("LIST").take();
    let list: String = redis::from_redis_value(admin.send(&list).await.unwrap()).unwrap();
    let field = |line: &str, name: &str| {
        line.split(' ').find_map(|word| word.strip_prefix(name)).map(str::to_owned).unwrap()
    };
    let all = list.lines().map(|line| (field(line, "id=").parse().unwrap(), field(line, "user=")));
    all.filter(|(_, user)| user != "default").collect()
}

/// Tasks that call a node without a pause, until they are told to end.
struct Callers {
    tasks: Vec<JoinHandle<()>>,
    end: Arc<AtomicBool>,
    n_calls: Arc<AtomicU64>,
    failed: Arc<Mutex<Vec<String>>>,
}

impl Callers {
    fn start(node: &Node) -> Self {
        let (end, n_calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let failed = Arc::new(Mutex::new(Vec::new()));
        let tasks = (0..16).map(|i| {
            let (node, end, n_calls) = (node.clone(), Arc::clone(&end), Arc::clone(&n_calls));
            let failed = Arc::clone(&failed);
            tokio::spawn(async move {
                while !end.load(Ordering::Relaxed) {
                    // Half of them by a block, between whose commands nothing may come.
                    let called = match i % 2 {
                        0 => node.incr("calls").await.map(drop),
                        _ => {
                            let block = node.pipeline().atomic();
                            let (called, _got) = (block.incr("calls"), block.get::<u64>("calls"));
                            drop(block.execute().await);
                            called.await.map(drop)
                        }
                    };
                    match called {
                        Ok(()) => drop(n_calls.fetch_add(1, Ordering::Relaxed)),
                        Err(error) => failed.lock().unwrap().push(error.to_string()),
                    }
                }
            })
        });
        Self { tasks: tasks.collect(), end, n_calls, failed }
    }

    /// Waits until each has called about ten times more.
    async fn call_on(&self) {
        let before = self.n_calls.load(Ordering::Relaxed);
        eventually("they call", async || before + 160 <= self.n_calls.load(Ordering::Relaxed)).await;
    }

    async fn end_without_a_failure(self, admin: &Node) {
        self.end.store(true, Ordering::Relaxed);
        for task in self.tasks {
            task.await.unwrap();
        }
        assert_eq!(*self.failed.lock().unwrap(), Vec::<String>::new());
        // Each was executed once.
        let n_calls = self.n_calls.load(Ordering::Relaxed);
        assert_eq!(admin.get::<u64>("calls").await.unwrap(), Some(n_calls));
    }
}

#[tokio::test]
async fn a_password_that_rotates_fails_no_call_and_new_connections_have_the_new_one() {
    let (server, admin) = server(&[("app", &["0ld-s3cret", "n3w-s3cret"])]).await;
    let vault = Vault::new("app", "0ld-s3cret");
    let node = Node::connect(config(&server, &vault)).await.unwrap();
    let callers = Callers::start(&node);
    callers.call_on().await;
    let before = connections(&admin).await;

    vault.give(Ok(credentials("app", "n3w-s3cret")));
    admin.acl_setuser("app", &["<0ld-s3cret"]).await.unwrap();
    callers.call_on().await;
    let held = [node.dedicated().await.unwrap(), node.dedicated().await.unwrap()];
    let mut subscription = node.subscribe("news").await.unwrap();
    let _feed = node.changes().await.unwrap();
    let after = connections(&admin).await;
    assert_eq!((before.len(), after.len()), (1, 5), "{before:?} {after:?}");
    assert!(before.keys().all(|id| after.contains_key(id)));
    held[0].set("k", 5).await.unwrap();
    node.publish("news", "hello").await.unwrap();
    assert!(matches!(subscription.next().await, PubSubEvent::Message(_)));
    callers.call_on().await;
    callers.end_without_a_failure(&admin).await;

    // The shared one too, when it is made anew.
    let kill = redis::cmd("CLIENT").arg("KILL").arg("USER").arg("app").take();
    admin.send(&kill).await.unwrap();
    eventually("it connects again", async || node.get::<i64>("k").await.is_ok()).await;
    let shown = format!("{node:?} {:?} {:?}", node.config(), vault.0.lock().unwrap());
    assert!(!shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn credentials_that_end_are_renewed_on_every_connection_and_none_is_closed() {
    let (server, admin) = server(&[("first", &["0ld-s3cret"]), ("second", &["n3w-s3cret"])]).await;
    let vault = Vault::new("first", "0ld-s3cret");
    let first = || credentials("first", "0ld-s3cret").valid_for(Duration::from_millis(600));
    vault.give(Ok(first()));
    let node = Node::connect(config(&server, &vault)).await.unwrap();
    let mut subscription = node.subscribe("news").await.unwrap();
    let mut feed = node.changes_under("watched").await.unwrap();
    let client_id = async || {
        let mut owned = node.dedicated().await.unwrap();
        redis::cmd("CLIENT").arg("ID").query_async::<u64>(&mut owned).await.unwrap()
    };
    let pooled = client_id().await;
    let callers = Callers::start(&node);
    let before = connections(&admin).await;
    assert!(before.len() == 4 && before.values().all(|user| user == "first"), "{before:?}");

    vault.give(Ok(credentials("second", "n3w-s3cret").valid_for(Duration::from_secs(3600))));
    eventually("all but the one in the pool are the second user's", async || {
        let now = connections(&admin).await;
        assert!(now.keys().eq(before.keys()), "{now:?} {before:?}");
        now.iter().all(|(id, user)| *id == pooled || user == "second")
    })
    .await;
    eventually("so is the one in the pool when it is taken", async || {
        assert_eq!(client_id().await, pooled);
        connections(&admin).await.values().all(|user| user == "second")
    })
    .await;

    // The server ends all connections of a user who is gone.
    admin.acl_deluser("first").await.unwrap();
    callers.call_on().await;
    assert!(connections(&admin).await.keys().eq(before.keys()));
    node.publish("news", "hello").await.unwrap();
    node.set("watched", 1).await.unwrap();
    assert!(matches!(subscription.next().await, PubSubEvent::Message(_)));
    assert!(matches!(feed.next().await, Changes::Keys(_)));
    callers.end_without_a_failure(&admin).await;
}

#[tokio::test]
async fn a_provider_that_fails_or_hangs_is_told_in_time_and_asked_again() {
    let (server, _admin) = server(&[("app", &["s3cret"])]).await;
    let vault = Vault::new("app", "s3cret");
    for (given, words) in
        [(Some(Err("the vault is sealed")), "the vault is sealed"), (None, "no answer within 900ms")]
    {
        vault.give(given);
        let node = Node::new(config(&server, &vault));
        let error = node.ready().await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error:?}");
        assert!(error.to_string().contains(words) && error.is_connect() && error.is_not_sent(), "{error}");

        vault.give(Ok(credentials("app", "s3cret")));
        eventually("it is asked again", async || node.set("k", 5).await.is_ok()).await;
    }
    let node = Node::connect(config(&server, &vault)).await.unwrap();
    vault.give(Err("the vault is sealed"));
    let error = node.dedicated().await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error:?}");
    let error = node.subscribe("news").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Credentials(_)), "{error:?}");
    node.set("k", 6).await.unwrap();

    vault.give(Ok(credentials("app", "wr0ng-s3cret")));
    let error = Node::connect(config(&server, &vault)).await.unwrap_err();
    let shown = format!("{error} {error:?}");
    assert!(error.is_auth() && shown.contains("WRONGPASS") && !shown.contains("s3cret"), "{shown}");
}

#[tokio::test]
async fn a_renewal_that_fails_is_told_once_and_tried_again_while_calls_go_on() {
    for (given, words) in [
        (Some(Err("the vault is sealed")), "the vault is sealed"),
        (None, "no answer within 180ms"),
        (Some(Ok(credentials("second", "wr0ng-s3cret").valid_for(Duration::from_millis(200)))), "WRONGPASS"),
    ] {
        let (server, admin) = server(&[("first", &["0ld-s3cret"]), ("second", &["n3w-s3cret"])]).await;
        let vault = Vault::new("first", "0ld-s3cret");
        vault.give(Ok(credentials("first", "0ld-s3cret").valid_for(Duration::from_millis(200))));
        let told = Arc::new(Mutex::new(Vec::new()));
        let observer = Observer::new({
            let told = Arc::clone(&told);
            move |_, event| told.lock().unwrap().push(event)
        });
        let config = config(&server, &vault).with_connect_timeout(Duration::from_millis(200));
        let node = Node::observed(config, observer);
        node.set("k", 5).await.unwrap();
        let before = connections(&admin).await;
        vault.give(given);
        let n_told = || told.lock().unwrap().iter().filter(|event| is_not_renewed(event)).count();
        eventually("it is told", async || n_told() == 1).await;
        // As long as two attempts take at least.
        let since = Instant::now();
        eventually("it goes on", async || {
            node.incr("k").await.unwrap();
            Duration::from_millis(500) <= since.elapsed()
        })
        .await;
        vault.give(Ok(credentials("second", "n3w-s3cret")));
        eventually("it is renewed", async || connections(&admin).await.values().all(|user| user == "second"))
            .await;
        assert!(connections(&admin).await.keys().eq(before.keys()));
        assert_eq!(n_told(), 1);
        let shown = format!("{:?}", told.lock().unwrap());
        assert!(shown.contains(words) && !shown.contains("s3cret"), "{shown}");
    }
}

/// Before Redis 6 a server knows no users, and takes a password alone.
#[tokio::test]
async fn credentials_of_a_user_are_renewed_without_the_user_where_the_server_knows_none() {
    let n_let_in = Arc::new(AtomicU64::new(0));
    let old = Hostile::with({
        let n_let_in = Arc::clone(&n_let_in);
        move |words| match words {
            [auth, _, _] if auth == "AUTH" => {
                Says::This(b"-ERR wrong number of arguments for 'auth' command\r\n".to_vec())
            }
            [auth, password] if auth == "AUTH" && password == "s3cret" => {
                n_let_in.fetch_add(1, Ordering::Relaxed);
                Says::This(b"+OK\r\n".to_vec())
            }
            _ => Says::Usual,
        }
    })
    .await;
    let vault = Vault::new("app", "s3cret");
    vault.give(Ok(credentials("app", "s3cret").valid_for(Duration::from_millis(200))));
    let n_told = Arc::new(AtomicU64::new(0));
    let observer = Observer::new({
        let n_told = Arc::clone(&n_told);
        move |_, event| _ = n_told.fetch_add(is_not_renewed(&event).into(), Ordering::Relaxed)
    });
    let config = NodeConfig::new(&old.url()).unwrap().with_credentials_provider(vault.provider());
    let node = Node::observed(config, observer);
    node.ready().await.unwrap();
    eventually("it is renewed three times", async || 4 <= n_let_in.load(Ordering::Relaxed)).await;
    assert_eq!(n_told.load(Ordering::Relaxed), 0);
}

fn is_not_renewed(event: &NodeEvent) -> bool {
    matches!(event, NodeEvent::CredentialsNotRenewed { .. })
}

#[tokio::test]
async fn a_provider_that_fails_takes_no_pooled_connection_away_and_is_told_again_after_it_was_well() {
    let (server, admin) = server(&[("app", &["s3cret"])]).await;
    let vault = Vault::new("app", "s3cret");
    let short = || Ok(credentials("app", "s3cret").valid_for(Duration::from_millis(300)));
    vault.give(short());
    let n_told = Arc::new(AtomicU64::new(0));
    let observer = Observer::new({
        let n_told = Arc::clone(&n_told);
        move |_, event| _ = n_told.fetch_add(is_not_renewed(&event).into(), Ordering::Relaxed)
    });
    let node = Node::observed(config(&server, &vault), observer);
    let client_id = async || {
        let mut owned = node.dedicated().await.unwrap();
        redis::cmd("CLIENT").arg("ID").query_async::<u64>(&mut owned).await.unwrap()
    };
    let mut held = node.dedicated().await.unwrap();
    redis::cmd("MULTI").query_async::<()>(&mut held).await.unwrap();
    let pooled = client_id().await;
    for (outage, given) in [(1, Some(Err("the vault is sealed"))), (2, None)] {
        vault.give(given);
        eventually("it is told", async || n_told.load(Ordering::Relaxed) == outage).await;
        if outage == 1 {
            for _ in 0..3 {
                assert_eq!(client_id().await, pooled, "it is the one that was there before");
            }
            let replies = redis::cmd("EXEC").query_async::<Vec<u8>>(&mut held).await.unwrap();
            assert_eq!(replies, [0_u8; 0], "nothing has come into the block that was open all the time");
            vault.give(short());
            let kill = redis::cmd("CLIENT").arg("KILL").arg("USER").arg("app").take();
            admin.send(&kill).await.unwrap();
            eventually("it is let in again", async || node.set("k", 5).await.is_ok()).await;
        }
    }
}

#[tokio::test]
async fn nothing_was_sent_on_a_pooled_connection_whose_renewal_is_not_answered() {
    const PATIENCE: Duration = Duration::from_millis(200);
    let hangs = Arc::new(AtomicBool::new(false));
    let server = Hostile::with({
        let hangs = Arc::clone(&hangs);
        move |words| match words {
            [auth, ..] if auth == "AUTH" && hangs.load(Ordering::Relaxed) => Says::This(Vec::new()),
            [auth, ..] if auth == "AUTH" => Says::This(b"+OK\r\n".to_vec()),
            [ping, told] if ping == "PING" => Says::This(format!("+{told}\r\n").into_bytes()),
            _ => Says::Usual,
        }
    })
    .await;
    let vault = Vault::new("app", "s3cret");
    vault.give(Ok(credentials("app", "s3cret").valid_for(PATIENCE)));
    let config = NodeConfig::new(&server.url()).unwrap().with_response_timeout(PATIENCE);
    let node = Node::connect(config.with_credentials_provider(vault.provider())).await.unwrap();
    drop(node.dedicated().await.unwrap());
    hangs.store(true, Ordering::Relaxed);
    eventually("its renewal is not answered", async || match node.dedicated().await {
        Ok(_) => false,
        Err(error) => {
            assert_eq!(error.outcome(), Outcome::NotSent, "{error}");
            true
        }
    })
    .await;
}

#[tokio::test]
async fn the_nodes_of_a_ring_and_of_a_copy_may_share_a_provider() {
    let users: &[(&str, &[&str])] = &[("app", &["s3cret"])];
    let (a, b) = (server(users).await, server(users).await);
    let (vault, own) = (Vault::new("app", "s3cret"), Vault::new("app", "wr0ng"));
    let urls = || [a.0.url(), b.0.url()];
    let copy =
        RedisCopy::builder().nodes(urls()).credentials_provider(vault.provider()).connect().await.unwrap();
    drop(copy.set("k", 5).await.unwrap());
    let ring =
        RedisRing::builder().nodes(urls()).credentials_provider(vault.provider()).connect().await.unwrap();
    ring.set("k", 5).await.unwrap();
    for admin in [&a.1, &b.1] {
        assert!(connections(admin).await.len() >= 2);
    }
    let ring = RedisRing::builder().nodes([a.0.url()]).node_config(config(&b.0, &own));
    let error = ring.credentials_provider(vault.provider()).connect().await.unwrap_err();
    assert!(error.to_string().contains("WRONGPASS"), "{error}");
}
