//! The way from one client to one server, which can be cut, and which nobody listens at while the server is away.

use std::sync::Mutex;

use redisdb_tests::Proxy;
use redisdb_tests::Way;

use crate::fault::Cut;

/// A proxy between a client and a server.
#[derive(Debug)]
pub(crate) struct Link {
    proxy: Proxy,
    state: Mutex<State>,
}

/// The reason why a link may not be as it should: both may be so at once, and end one after the other.
#[derive(Debug, Default)]
struct State {
    cut: Option<Cut>,
    is_server_away: bool,
}

impl Link {
    /// A link to the server on this port.
    pub(crate) async fn to(port: u16) -> Self {
        Self { proxy: Proxy::to(port).await, state: Mutex::default() }
    }

    /// The address of the server, for the client.
    pub(crate) fn url(&self) -> String {
        self.proxy.url()
    }

    /// Cuts it, or ends the cut.
    pub(crate) fn cut(&self, cut: Option<Cut>) {
        self.change(|state| state.cut = cut);
    }

    /// Refuses connections while the server is away, as the system does where nobody listens.
    pub(crate) fn server_is_away(&self, is_away: bool) {
        self.change(|state| state.is_server_away = is_away);
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.lock().unwrap();
        change(&mut state);
        let cut = state.now();
        if cut == Some(Cut::Refuse) {
            // It is not healed in between where it was refused before: nobody gets through.
            self.proxy.refuse();
            return;
        }
        self.proxy.heal();
        match cut {
            Some(Cut::Hold) => both_ways(|way| self.proxy.hold(way)),
            Some(Cut::Lose) => both_ways(|way| self.proxy.lose(way)),
            Some(Cut::Refuse) | None => {}
        }
    }
}

impl State {
    /// Returns how the link is cut by all of this.
    fn now(&self) -> Option<Cut> {
        if self.is_server_away { Some(Cut::Refuse) } else { self.cut }
    }
}

fn both_ways(change: impl Fn(Way)) {
    [Way::Requests, Way::Replies].into_iter().for_each(change);
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpListener;
    use tokio::net::TcpStream;

    use super::*;

    async fn is_refused(link: &Link) -> bool {
        let address = link.url().trim_start_matches("redis://").to_owned();
        TcpStream::connect(address).await.is_err()
    }

    #[test]
    fn nobody_listens_while_the_server_is_away_and_a_cut_goes_on_when_it_is_back() {
        for cut in [None, Some(Cut::Refuse), Some(Cut::Hold), Some(Cut::Lose)] {
            assert_eq!(State { cut, is_server_away: true }.now(), Some(Cut::Refuse));
            assert_eq!(State { cut, is_server_away: false }.now(), cut);
        }
    }

    #[tokio::test]
    async fn a_connection_is_refused_until_its_link_is_not_cut_any_more() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let link = Link::to(listener.local_addr().unwrap().port()).await;
        for cut in [true, false] {
            if cut {
                link.cut(Some(Cut::Refuse))
            } else {
                link.server_is_away(true)
            }
            redisdb_tests::eventually("it is refused", async || is_refused(&link).await).await;
            if cut {
                link.cut(None)
            } else {
                link.server_is_away(false)
            }
            redisdb_tests::eventually("it is let in", async || !is_refused(&link).await).await;
        }
    }
}
