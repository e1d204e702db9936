//! The story of `tour --cluster`: the host that leads is killed while others write, and afterwards everything that was
//! acknowledged is counted on every host.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use enroll_client::protocol::cluster::ClusterStatus;
use enroll_client::protocol::{Code, Key, Pk, Token, changes, token};
use enroll_client::{Client, Error};
use tokio::task::JoinSet;

use super::cluster::{LEASE_SECONDS, NAMES, TourCluster, client};
use super::stage::quoted;
use crate::failure::Failure;
use crate::output::Output;

/// Callers that write side by side, each its next token when the one before is acknowledged.
const CALLERS: usize = 8;

/// The load before the kill, and after somebody leads again.
const LOAD: Duration = Duration::from_secs(2);

/// The longest wait for an answer, after which another host is asked, under the same key.
const ANSWER: Duration = Duration::from_millis(500);

/// Between two rounds of asking every host.
const PAUSE: Duration = Duration::from_millis(10);

/// The longest time without an answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lookups under way at once.
const WINDOW: usize = 64;

/// The writes of the callers.
#[derive(Default)]
struct Load {
    is_over: AtomicBool,
    /// The host that acknowledged the latest one.
    leader: AtomicUsize,
}

/// A use that was acknowledged, and how long that took.
type Acknowledged = (Token, Duration);

/// A question about a token.
#[derive(Clone, Copy)]
enum Question {
    /// Is its use there?
    IsThere,
    /// Can it be used again?
    IsFree,
}

/// Plays the story on this cluster.
pub(super) async fn play(cluster: &mut TourCluster, output: &Output) -> Result<(), Failure> {
    raise(cluster, output).await?;
    let (killed, written) = kill_under_load(cluster, output).await?;
    let others: Vec<usize> = (0..NAMES.len()).filter(|host| *host != killed).collect();
    prove(cluster, &written, &others, output).await?;
    bring_back(cluster, killed, output).await
}

/// Starts the hosts.
async fn raise(cluster: &mut TourCluster, output: &Output) -> Result<(), Failure> {
    say(output, "Three hosts on this machine, each with an etcd and a daemon, in a directory of their own.")?;
    for (name, endpoint) in NAMES.iter().zip(cluster.endpoints()) {
        show(output, &format!("etcd --name {name} --listen-client-urls {endpoint} ... &"))?;
    }
    cluster.await_etcds().await?;
    for host in 0..NAMES.len() {
        if host > 0 {
            cluster.copy_key(host)?;
            let [from, to] = [0, host].map(|host| cluster.host(host).join("state/enrolld.key").display().to_string());
            show(output, &format!("cp {} {}", quoted(&from), quoted(&to)))?;
        }
        start(cluster, host, output).await?;
    }
    cluster.until(0, "three members that have caught up", is_whole).await?;
    say(output, "One of them leads; the others have everything too, and answer reads.")?;
    enrollctl(cluster, 0, &["cluster", "status"], output).await
}

/// Kills the host that leads while callers write. Returns it, and what was acknowledged before and after.
async fn kill_under_load(cluster: &mut TourCluster, output: &Output) -> Result<(usize, Vec<Acknowledged>), Failure> {
    let load = Arc::new(Load::default());
    let mut callers = JoinSet::new();
    let begun = Instant::now();
    for caller in 0..CALLERS {
        let sockets: Vec<PathBuf> = (0..NAMES.len()).map(|host| cluster.socket(host)).collect();
        callers.spawn(use_tokens(Arc::clone(&load), sockets, caller));
    }
    let callers_use =
        format!("{CALLERS} callers use one-time tokens, one after the other, wherever they are answered.");
    say(output, &callers_use)?;
    tokio::time::sleep(LOAD).await;
    let status = cluster.until(0, "a leader", |status| status.leader.is_some()).await?;
    let leader = status.leader.and_then(|leader| NAMES.iter().position(|name| *name == leader)).unwrap_or_default();
    say(output, &format!("The daemon of {}, which leads, is killed under them.", NAMES[leader]))?;
    show(output, &format!("kill -s KILL {}", cluster.pid(leader)))?;
    cluster.kill(leader).await?;
    let other = (leader + 1) % NAMES.len();
    let is_led = |status: &ClusterStatus| status.leader.as_deref().is_some_and(|name| name != NAMES[leader]);
    let leads = cluster.until(other, "another leader", is_led).await?.leader.unwrap_or_default();
    tokio::time::sleep(LOAD).await;
    load.is_over.store(true, Ordering::SeqCst);
    let mut written: Vec<Acknowledged> = Vec::new();
    while let Some(caller) = callers.join_next().await {
        written.extend(caller.map_err(|err| Failure::Own(format!("a caller ended: {err}")))??);
    }
    let (took, longest) = (begun.elapsed(), written.iter().map(|(_, took)| *took).max().unwrap_or_default());
    let told = format!(
        "{leads} leads now. {} uses were acknowledged in {:.1} s; the longest wait was {:.1} s, for a lease of {LEASE_SECONDS} s \
         to run out.",
        written.len(),
        took.as_secs_f64(),
        longest.as_secs_f64(),
    );
    say(output, &told)?;
    cluster.revive(output).await?;
    enrollctl(cluster, other, &["cluster", "status"], output).await?;
    Ok((leader, written))
}

/// Starts the host that was killed again, and compares what all of them have.
async fn bring_back(cluster: &mut TourCluster, killed: usize, output: &Output) -> Result<(), Failure> {
    say(output, &format!("{} is started again, and follows: it catches up with what it missed.", NAMES[killed]))?;
    start(cluster, killed, output).await?;
    cluster.until(killed, "three members that have caught up", is_whole).await?;
    enrollctl(cluster, killed, &["cluster", "status"], output).await?;
    let mut heads = BTreeSet::new();
    for (host, name) in NAMES.iter().enumerate() {
        enrollctl(cluster, host, &["changes", "head"], output).await?;
        let head = Client::builder(cluster.socket(host)).lazy().call(changes::Head {}).await;
        heads.insert(head.map_err(|err| Failure::Own(format!("{name}: {err}")))?.mac.to_string());
    }
    if heads.len() != 1 {
        return Err(Failure::Own("the hosts do not have the same history".to_owned()));
    }
    say(output, "All three have the same history, to the last change. That was the tour; everything is removed.")
}

/// Starts a host's daemon.
async fn start(cluster: &mut TourCluster, host: usize, output: &Output) -> Result<(), Failure> {
    let arguments: Vec<String> = cluster.arguments(host).iter().map(|argument| quoted(argument)).collect();
    show(output, &format!("enrolld {} &", arguments.join(" ")))?;
    cluster.start(host).await
}

/// True where all members are here and have everything.
fn is_whole(status: &ClusterStatus) -> bool {
    status.members.iter().filter(|member| member.is_here && member.lag_records == 0).count() == NAMES.len()
}

/// A sentence between commands.
fn say(output: &Output, sentence: &str) -> Result<(), Failure> {
    output.raw(format!("\n# {sentence}\n").as_bytes())
}

/// A line as it would be typed.
fn show(output: &Output, line: &str) -> Result<(), Failure> {
    output.raw(format!("$ {line}\n").as_bytes())
}

/// Counts what was acknowledged on every host that is there, and tries to use it again.
async fn prove(
    cluster: &mut TourCluster,
    written: &[Acknowledged],
    others: &[usize],
    output: &Output,
) -> Result<(), Failure> {
    let tokens: Vec<Token> = written.iter().map(|(token, _)| token.clone()).collect();
    let distinct: BTreeSet<&str> = tokens.iter().map(Token::as_str).collect();
    if distinct.len() != tokens.len() {
        return Err(Failure::Own("a token was acknowledged twice".to_owned()));
    }
    say(output, "Was anything lost? Every acknowledged use is looked up on both hosts that remain.")?;
    for host in others {
        let found = count(&[cluster.client(*host)], &tokens, Question::IsThere).await?;
        output.raw(format!("{}\t{found} of {} are there\n", NAMES[*host], tokens.len()).as_bytes())?;
        if found != tokens.len() {
            return Err(Failure::Own(format!("{} lacks what was acknowledged", NAMES[*host])));
        }
    }
    cluster.revive(output).await?;
    say(output, "Can anything be used twice? Every one is tried again, at the one that leads.")?;
    let clients: Vec<Client> = others.iter().map(|host| cluster.client(*host)).collect();
    let free = count(&clients, &tokens, Question::IsFree).await?;
    output.raw(format!("{} of {} are refused as token_reuse\n", tokens.len() - free, tokens.len()).as_bytes())?;
    if free > 0 {
        return Err(Failure::Own("a token was used twice".to_owned()));
    }
    cluster.revive(output).await?;
    say(output, "And the rules hold on both; a sound registry has nothing to say.")?;
    for host in others {
        enrollctl(cluster, *host, &["server", "check"], output).await?;
    }
    Ok(())
}

/// How many of the tokens the answer is yes for. The clients are asked in turn until one answers.
async fn count(clients: &[Client], tokens: &[Token], question: Question) -> Result<usize, Failure> {
    let mut found = 0;
    for window in tokens.chunks(WINDOW) {
        let asked: Vec<_> =
            window.iter().map(|token| tokio::spawn(question.ask(clients.to_vec(), token.clone()))).collect();
        for answer in asked {
            found += usize::from(answer.await.map_err(|err| Failure::Own(format!("a lookup ended: {err}")))??);
        }
    }
    Ok(found)
}

impl Question {
    async fn ask(self, clients: Vec<Client>, token: Token) -> Result<bool, Failure> {
        let begun = Instant::now();
        loop {
            for client in &clients {
                let (answered, no) = match self {
                    Self::IsThere => {
                        (client.call(token::Get { token: token.clone() }).await.map(drop), Code::NOT_FOUND)
                    }
                    Self::IsFree => (client.call(token::Use::new(token.clone())).await.map(drop), Code::TOKEN_REUSE),
                };
                match answered {
                    Ok(()) => return Ok(true),
                    Err(Error::Refused(refusal)) if refusal.code == no => return Ok(false),
                    // On a busy machine another one may be elected meanwhile.
                    Err(err) if begun.elapsed() > PATIENCE => return Err(Failure::Own(err.to_string())),
                    Err(_) => tokio::time::sleep(PAUSE).await,
                }
            }
        }
    }
}

/// One caller: uses tokens until the load is over. Each is asked for under one idempotency key until it is acknowledged.
async fn use_tokens(load: Arc<Load>, sockets: Vec<PathBuf>, caller: usize) -> Result<Vec<Acknowledged>, Failure> {
    let clients: Vec<Client> = sockets.iter().map(|socket| client(socket)).collect();
    let mut written = Vec::new();
    let mut number = 0_u64;
    while !load.is_over.load(Ordering::SeqCst) {
        let name = format!("nonce-{caller}-{number}");
        let token: Token = name.parse().map_err(|_| Failure::Own(format!("{name} is no token")))?;
        let key = Key(Pk::v7(i64::try_from(number).unwrap_or(i64::MAX), [u8::try_from(caller).unwrap_or(0); 10]));
        let begun = Instant::now();
        let mut host = load.leader.load(Ordering::SeqCst);
        loop {
            let asked = clients[host].request(token::Use::new(token.clone())).key(key).send();
            match tokio::time::timeout(ANSWER, asked).await {
                Ok(Ok(_)) => break,
                Ok(Err(Error::Refused(refusal))) if refusal.code == Code::TOKEN_REUSE => {
                    return Err(Failure::Own(format!("{name} was used, and not by its own key")));
                }
                _ => {
                    host = (host + 1) % clients.len();
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        load.leader.store(host, Ordering::SeqCst);
        written.push((token, begun.elapsed()));
        number += 1;
    }
    Ok(written)
}

/// Runs enrollctl at a host as one would type it, with its answer.
async fn enrollctl(cluster: &TourCluster, host: usize, args: &[&str], output: &Output) -> Result<(), Failure> {
    let socket = cluster.socket(host);
    let typed = format!("$ ENROLLD_SOCKET={} enrollctl {}\n", quoted(&socket.to_string_lossy()), args.join(" "));
    output.raw(typed.as_bytes())?;
    let program = std::env::current_exe().map_err(Failure::Io)?;
    let mut command = tokio::process::Command::new(program);
    command.arg("--socket").arg(socket).args(args).stdin(Stdio::null()).kill_on_drop(true);
    let status = command.status().await.map_err(Failure::Io)?;
    match status.success() {
        true => Ok(()),
        false => Err(Failure::Own(format!("that command was expected to succeed, and ended with {status}"))),
    }
}
