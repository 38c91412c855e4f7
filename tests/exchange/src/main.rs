//! `flota-exchange-sim`: the simulated exchanges as a process, for tests that start real agents.
//!
//! It prints one JSON line when it is ready, `{"base_url": …, "ca_file": …, "pid": …}`, and runs until SIGTERM, SIGINT
//! or, with `--until-stdin-closes`, the end of its standard input.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Parser;
use flota_exchange_sim::{Account, Config, ExchangeSim};
use tokio::io::AsyncReadExt;
use tokio::signal::unix::{SignalKind, signal};

#[derive(Parser)]
#[command(about = "Simulated exchanges for tests", version)]
struct Cli {
    /// Address to listen on; port 0 takes a free one
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where to write the certificate that clients must trust, as PEM
    #[arg(long)]
    ca_file: PathBuf,
    /// JSON list of {"key_id", "secret", "balances": {"USDT": "1000.00"}} and, where needed, "passphrase",
    /// "public_key_pem", "may_withdraw", "exchange"; a file, because arguments are public
    #[arg(long)]
    accounts: Option<PathBuf>,
    /// End when standard input ends, so that a test that dies takes the simulator with it
    #[arg(long)]
    until_stdin_closes: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let Cli { listen, ca_file, accounts, until_stdin_closes } = Cli::parse();
    let mut config = Config::new(std::path::absolute(ca_file).context("finding the folder of --ca-file")?);
    config.listen = listen;
    if let Some(path) = accounts {
        let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        config.accounts = Account::parse_list(&text).with_context(|| format!("reading {}", path.display()))?;
    }
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;

    let exchange = ExchangeSim::start(config).await?;
    announce(&exchange);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = end_of_input(), if until_stdin_closes => {}
    }
    // tokio's stdin is a thread in a blocking read; returning would wait for it.
    std::process::exit(0)
}

#[expect(clippy::print_stdout, reason = "the ready line is this program's interface")]
fn announce(exchange: &ExchangeSim) {
    let ready = serde_json::json!({
        "base_url": exchange.base_url(),
        "ca_file": exchange.ca_file(),
        "pid": std::process::id(),
    });
    println!("{ready}");
}

async fn end_of_input() {
    let mut sink = [0; 64];
    while matches!(tokio::io::stdin().read(&mut sink).await, Ok(1..)) {}
}
