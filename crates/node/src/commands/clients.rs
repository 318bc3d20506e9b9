//! The clients of a server.

use std::ops::Deref;
use std::str::FromStr;
use std::time::Duration;

use redis::FromRedisValue;
use redis::ParsingError;
use redis::Value;

/// A client that is connected to a server, as `CLIENT LIST` and `CLIENT INFO` describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientInfo {
    fields: Vec<(String, String)>,
}

impl ClientInfo {
    /// A field as the server writes it: `get("cmd")`.
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name == field).map(|(_, value)| value.as_str())
    }

    /// A field as a number or another type; `None` if there is none or it cannot be read so.
    pub fn parse<T: FromStr>(&self, field: &str) -> Option<T> {
        self.get(field)?.parse().ok()
    }

    /// A number that no other connection to this server has had.
    pub fn id(&self) -> Option<u64> {
        self.parse("id")
    }

    /// The client's `ip:port`.
    pub fn addr(&self) -> Option<&str> {
        self.get("addr")
    }

    /// The name that the client gave itself; empty if it gave none.
    pub fn name(&self) -> Option<&str> {
        self.get("name")
    }

    /// The user it is logged in as.
    pub fn user(&self) -> Option<&str> {
        self.get("user")
    }

    /// The database it works on.
    pub fn db(&self) -> Option<u32> {
        self.parse("db")
    }

    /// The age of the connection, in whole seconds.
    pub fn age(&self) -> Option<Duration> {
        self.parse("age").map(Duration::from_secs)
    }

    /// The time since the client's last command, in whole seconds.
    pub fn idle(&self) -> Option<Duration> {
        self.parse("idle").map(Duration::from_secs)
    }

    fn read(line: &str) -> Self {
        let fields = line.split(' ').filter_map(|field| field.split_once('='));
        Self { fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }
}

impl FromRedisValue for ClientInfo {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(Self::read(String::from_redis_value(value)?.trim_end()))
    }
}

/// The clients that are connected to a server. Used as a slice of [`ClientInfo`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientList(Vec<ClientInfo>);

impl Deref for ClientList {
    type Target = [ClientInfo];

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl IntoIterator for ClientList {
    type Item = ClientInfo;
    type IntoIter = std::vec::IntoIter<ClientInfo>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromRedisValue for ClientList {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        Ok(Self(String::from_redis_value(value)?.lines().map(ClientInfo::read).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_is_a_client() {
        let text =
            "id=3 addr=127.0.0.1:5 name= age=2 idle=0 db=1 user=default\nid=4 addr=[::1]:6 name=a=b age=1\n";
        let clients = ClientList::from_redis_value(Value::BulkString(text.into())).unwrap();
        let [first, second] = &*clients else { panic!("two clients") };
        assert_eq!((first.id(), first.addr(), first.name()), (Some(3), Some("127.0.0.1:5"), Some("")));
        assert_eq!(
            (first.db(), first.age(), first.user()),
            (Some(1), Some(Duration::from_secs(2)), Some("default"))
        );
        assert_eq!((second.addr(), second.name(), second.idle()), (Some("[::1]:6"), Some("a=b"), None));
    }
}
