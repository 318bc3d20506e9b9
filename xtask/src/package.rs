//! The files of a published crate: looked at before it is too late.

use crate::Result;
use crate::cargo::{cargo, read};

/// The crates people depend on.
const PUBLISHED: [&str; 6] = [
    "redisdb-hashring",
    "redisdb-replication",
    "redisdb-node",
    "redisdb-cluster",
    "redisdb-cache",
    "redisdb",
];

/// The files that serve only the development of this project.
const DEVELOPMENT_ONLY: [&str; 6] =
    ["xtask", "xflags", "criterion", "proptest", "redisdb-tests", "redisdb-benches"];

/// Every published crate packs its sources and its README and nothing else, and depends on nothing of the workshop.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    for package in PUBLISHED {
        let files = read(cargo().args(["package", "--list", "--allow-dirty", "--package", package]))?;
        faults.extend(stray_files(&files).into_iter().map(|file| format!("{package} would publish {file}")));
        for needed in ["README.md", "src/lib.rs"] {
            if !files.lines().any(|file| file == needed) {
                faults.push(format!("{package} would be published without {needed}"));
            }
        }
        let tree = read(cargo().args([
            "tree",
            "--all-features",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--package",
            package,
        ]))?;
        let found = development_only(&tree);
        faults.extend(found.into_iter().map(|name| format!("{package} would depend on {name}")));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults.join("\n").into()) }
}

fn stray_files(listing: &str) -> Vec<&str> {
    let belongs = |file: &str| {
        let top = file.split('/').next().unwrap_or_default();
        let is_generated = matches!(file, ".cargo_vcs_info.json" | "Cargo.toml.orig" | "Cargo.lock");
        is_generated
            || matches!(file, "Cargo.toml" | "README.md" | "LICENSE-APACHE" | "LICENSE-MIT")
            || matches!(top, "src" | "examples")
    };
    listing.lines().filter(|file| !belongs(file)).collect()
}

fn development_only(tree: &str) -> Vec<&str> {
    let names = tree.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| DEVELOPMENT_ONLY.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_sources_and_the_readme_belong_in_a_package() {
        let listing = ".cargo_vcs_info.json\nCargo.toml\nREADME.md\nexamples/tour.rs\nnotes.md\nsrc/lib.rs\ntests/a.rs\n";
        assert_eq!(stray_files(listing), ["notes.md", "tests/a.rs"]);
    }

    #[test]
    fn tools_do_not_belong_in_the_graph() {
        assert_eq!(development_only("redisdb v0.1.0\nproptest v1.7.0\nredis v1.8.1\n"), ["proptest"]);
    }
}
