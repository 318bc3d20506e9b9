//! `cargo xtask cluster up`: servers to play with.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use xtask::Servers;

use crate::test_cluster::NODES;
use crate::{Result, flags};

pub(crate) fn up(flags: &flags::Up) -> Result<ExitCode> {
    let mut servers = Servers::start(flags.nodes.unwrap_or(NODES))?;
    if servers.is_empty() {
        return Err("`--nodes` has to be 1 or more".into());
    }
    let urls = servers.urls();
    let mut out = io::stdout().lock();
    for url in &urls {
        writeln!(out, "{url}")?;
    }
    writeln!(out, "\n# a config file for them:\n{}", config(&urls))?;
    drop(out);
    eprintln!("Ctrl-C ends them.");
    watch(&mut servers);
    Err("no server is left running".into())
}

/// Nothing to do but to say when a server is ended from outside. Ctrl-C ends this process, and with it the servers.
fn watch(servers: &mut Servers) {
    let mut running: Vec<bool> = servers.iter().map(|_| true).collect();
    while running.contains(&true) {
        thread::sleep(Duration::from_millis(500));
        for (server, was_running) in servers.iter().zip(&mut running) {
            if *was_running && !server.is_running() {
                *was_running = false;
                eprintln!("the server at {} has ended", server.url());
            }
        }
    }
}

fn config(urls: &[String]) -> String {
    let mut text = "strategy = \"ring\"\n".to_string();
    for (idx, url) in urls.iter().enumerate() {
        text.push_str(&format!("\n[[nodes]]\nname = \"{}\"\nurl = \"{url}\"\nweight = 1\n", name(idx)));
    }
    text
}

/// `a` to `z`, then `n26` and so on.
fn name(idx: usize) -> String {
    match u8::try_from(idx) {
        Ok(idx @ 0..26) => char::from(b'a' + idx).to_string(),
        _ => format!("n{idx}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_config_has_a_named_node_per_server() {
        let urls = ["redis://127.0.0.1:1".to_string(), "redis://127.0.0.1:2".to_string()];
        assert_eq!(
            config(&urls),
            "strategy = \"ring\"\n\n\
             [[nodes]]\nname = \"a\"\nurl = \"redis://127.0.0.1:1\"\nweight = 1\n\n\
             [[nodes]]\nname = \"b\"\nurl = \"redis://127.0.0.1:2\"\nweight = 1\n"
        );
    }

    #[test]
    fn names_do_not_run_out() {
        assert_eq!(name(25), "z");
        assert_eq!(name(26), "n26");
        assert_eq!(name(300), "n300");
    }
}
