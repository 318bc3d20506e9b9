//! Just enough of the Redis protocol to ask a server whether it is there.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

/// A conversation with the server on one port.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// Connects; nothing that is asked may take longer than this.
    pub(crate) fn connect(port: u16, patience: Duration) -> io::Result<Client> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        Ok(Client { stream: BufReader::new(stream) })
    }

    /// Sends a command and returns its reply as text; an error reply is an `Err`.
    pub(crate) fn ask(&mut self, command: &[&str]) -> io::Result<String> {
        self.stream.get_mut().write_all(&encode(command))?;
        read_reply(&mut self.stream)
    }
}

fn encode(command: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", command.len()).into_bytes();
    for word in command {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn read_reply(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let line = line.trim_end();
    let Some(kind) = line.chars().next() else {
        return Err(io::ErrorKind::UnexpectedEof.into());
    };
    let rest = &line[kind.len_utf8()..];
    match kind {
        '+' | ':' => Ok(rest.to_string()),
        '-' => Err(io::Error::other(rest)),
        '$' => {
            let length: usize = rest.parse().map_err(|_| io::Error::other("no value"))?;
            let mut bytes = vec![0; length + "\r\n".len()];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            String::from_utf8(bytes).map_err(io::Error::other)
        }
        _ => Err(io::Error::other("not a Redis server")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_an_array_of_bulk_strings() {
        assert_eq!(encode(&["AUTH", "a b"]), b"*2\r\n$4\r\nAUTH\r\n$3\r\na b\r\n");
    }

    #[test]
    fn replies_are_read_as_text() {
        let read = |bytes: &str| read_reply(&mut bytes.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(read("+PONG\r\n"), Ok("PONG".to_string()));
        assert_eq!(read(":7\r\n"), Ok("7".to_string()));
        assert_eq!(read("$5\r\na\r\nbc\r\n"), Ok("a\r\nbc".to_string()));
        assert_eq!(read("-NOAUTH no\r\n"), Err("NOAUTH no".to_string()));
        assert_eq!(read("HTTP/1.1 400\r\n"), Err("not a Redis server".to_string()));
        assert!(read("").is_err());
        assert!(read("$5\r\na").is_err());
    }
}
