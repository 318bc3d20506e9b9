//! Choosing a port nobody uses.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, TcpListener};

/// Below the range systems take outgoing ports from (32768 on Linux, 49152 elsewhere). There, while a server is down,
/// another program's connection could take its port; worse, a client that keeps calling the dead port can be given
/// that very port for its own end and so connect to itself.
const FIRST: u64 = 12_000;
const COUNT: u64 = 20_000;

/// A port of 127.0.0.1 that was free a moment ago. Another process may still take it first: the caller has to find out.
pub fn free_port() -> Option<u16> {
    (0..200).map(|_| random()).find(|&port| is_free(port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

fn random() -> u16 {
    // A fresh `RandomState` is seeded anew: a random number without a dependency.
    let offset = RandomState::new().hash_one(std::process::id()) % COUNT;
    u16::try_from(FIRST + offset).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_not_free() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(listener.local_addr().unwrap().port()));
    }

    #[test]
    fn ports_stay_below_the_outgoing_range() {
        let ports: Vec<u16> = (0..1000).map(|_| random()).collect();
        assert!(ports.iter().all(|port| (12_000..32_000).contains(port)));
        assert!(ports.iter().any(|port| port != &ports[0]));
    }
}
