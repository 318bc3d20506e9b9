//! Users: who is let in, and as whom, on every kind of connection.

use redisdb::Error;
use redisdb::Node;
use redisdb::RedisCopy;
use redisdb::RedisRing;
use redisdb::TopologyConfig;
use redisdb::node::AclCommands;
use redisdb::node::SentinelCommands;
use redisdb_tests::eventually;
use xtask::Server;

/// A server where `guest` needs no password and `ann` has one.
async fn server() -> (Server, Node) {
    let server = Server::builder().unix_socket().start().unwrap();
    let admin = Node::connect(server.url()).await.unwrap();
    for user in [["guest", "nopass"], ["ann", ">hush"]] {
        let rules = ["on", user[1], "~*", "&*", "+@all"];
        admin.acl_setuser(user[0], &rules).await.unwrap();
    }
    (server, admin)
}

async fn text(node: &Node, cmd: &redis::Cmd) -> String {
    redis::from_redis_value(node.send(cmd).await.unwrap()).unwrap()
}

/// Who the calls of the shared connection, of one of its own and of a subscription are made by.
async fn is_everywhere(node: &Node, admin: &Node, user: &str) {
    let who = redis::cmd("ACL").arg("WHOAMI").take();
    assert_eq!(text(node, &who).await, user);
    let mut owned = node.dedicated().await.unwrap();
    assert_eq!(who.query_async::<String>(&mut owned).await.unwrap(), user);
    let _subscription = node.subscribe("news").await.unwrap();
    let listed = redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub").take();
    eventually("the subscription is listed", async || {
        text(admin, &listed).await.contains(&format!(" user={user} "))
    })
    .await;
}

#[tokio::test]
async fn a_user_who_needs_no_password_is_let_in_as_that_user() {
    let (server, admin) = server().await;
    let (port, socket) = (server.port(), server.socket().unwrap().display().to_string());
    for url in [
        format!("redis://guest:@127.0.0.1:{port}"),
        format!("redis://127.0.0.1:{port}?user=guest&pass="),
        format!("unix://guest:@{socket}"),
    ] {
        is_everywhere(&Node::connect(url).await.unwrap(), &admin, "guest").await;
    }
    let toml = format!(
        "strategy = \"ring\"\n[[nodes]]\nname = \"a\"\nurl = \"redis://127.0.0.1:{port}\"\nusername = \"guest\"\npassword = \"\"\n"
    );
    let ring = RedisRing::from_config(TopologyConfig::from_toml(&toml).unwrap()).unwrap();
    is_everywhere(&ring.on_node("a").unwrap(), &admin, "guest").await;
    is_everywhere(&Node::connect(format!("redis://ann:hush@127.0.0.1:{port}")).await.unwrap(), &admin, "ann")
        .await;
    is_everywhere(&Node::connect(format!("redis://:@127.0.0.1:{port}")).await.unwrap(), &admin, "default")
        .await;
}

#[tokio::test]
async fn a_user_with_a_password_is_not_let_in_without_it() {
    let (server, _admin) = server().await;
    let url = format!("redis://ann:@127.0.0.1:{}", server.port());
    let error = Node::connect(url.as_str()).await.unwrap_err();
    assert!(error.is_auth() && error.is_config(), "{error}");
    let error = RedisRing::builder().node("a", &url).connect().await.unwrap_err();
    assert!(matches!(&error, Error::Node(error) if error.is_auth()), "{error}");
}

#[tokio::test]
async fn a_user_without_a_password_is_refused_before_anything_is_sent() {
    let (server, _admin) = server().await;
    let url = format!("redis://guest@127.0.0.1:{}", server.port());
    let ring = RedisRing::builder().node("a", &url).build().unwrap_err();
    let copy = RedisCopy::builder().node("a", &url).build().unwrap_err();
    let node = Node::connect(url.as_str()).await.unwrap_err();
    assert!(node.is_config());
    for shown in [format!("{ring} {ring:?}"), format!("{copy} {copy:?}"), format!("{node} {node:?}")] {
        assert!(shown.contains("user and no password") && shown.contains("`user:@`"), "{shown}");
        assert!(!shown.contains("guest"), "{shown}");
    }
}

#[tokio::test]
async fn the_users_of_sentinels_and_of_their_master_are_let_in_as_such() {
    let (master, admin) = server().await;
    let sentinel = Server::builder().sentinel().start().unwrap();
    let at = Node::connect(sentinel.url()).await.unwrap();
    at.sentinel_monitor("mymaster", "127.0.0.1", master.port(), 1).await.unwrap();
    // Only this user may ask for the master: who is let in as another one finds none.
    for rules in [
        ["SETUSER", "scout", "on", "nopass", "+sentinel|get-master-addr-by-name"].as_slice(),
        ["SETUSER", "default", "-sentinel"].as_slice(),
    ] {
        at.send(redis::cmd("ACL").arg(rules)).await.unwrap();
    }
    let url = format!("redis+sentinel://guest:@127.0.0.1:{}/mymaster", sentinel.port());
    let node = Node::connect(format!("{url}?sentinel_username=scout&sentinel_password=")).await.unwrap();
    is_everywhere(&node, &admin, "guest").await;
    assert!(Node::connect(url.as_str()).await.is_err(), "the default user may not ask");
    let error = Node::connect(format!("{url}?sentinel_username=scout")).await.unwrap_err();
    assert!(error.is_config() && error.to_string().contains("user and no password"), "{error}");
}
