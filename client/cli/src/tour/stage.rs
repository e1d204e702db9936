//! The shell session of the tour: prints each step as one would type it and runs it as a process of this executable,
//! whose output is the answer.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Stdio;

use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::story::{Input, Step, Typed};
use crate::failure::Failure;
use crate::output::Output;
use crate::process::which;

/// The session: its daemon's socket, its output and its variables.
pub(super) struct Stage<'a> {
    enrollctl: PathBuf,
    socket: PathBuf,
    output: &'a Output,
    /// The shell's variables.
    kept: Vec<(&'static str, String)>,
}

impl<'a> Stage<'a> {
    /// A session whose commands connect to this socket.
    pub(super) fn new(socket: PathBuf, output: &'a Output) -> Result<Self, Failure> {
        let enrollctl = std::env::current_exe()
            .map_err(|err| Failure::Own(format!("the tour does not find enrollctl itself: {err}")))?;
        Ok(Self { enrollctl, socket, output, kept: Vec::new() })
    }

    /// A sentence between commands.
    pub(super) fn say(&self, sentence: &str) -> Result<(), Failure> {
        self.output.raw(format!("\n# {sentence}\n").as_bytes())
    }

    /// A line as it would be typed.
    pub(super) fn show(&self, line: &str) -> Result<(), Failure> {
        self.output.raw(format!("$ {line}\n").as_bytes())
    }

    /// Plays one step.
    pub(super) async fn play(&mut self, step: &Step) -> Result<(), Failure> {
        let (typed, is_refused) = match step {
            Step::Say(sentence) => return self.say(sentence),
            Step::Run(typed) => (typed, false),
            Step::Refused(typed) => (typed, true),
            Step::Shell(line) => return self.shell(line).await,
            Step::Keep { name, args } => return self.keep(name, args).await,
        };
        self.show(&typed.line())?;
        let mut command = self.command(typed.args);
        // A refusal is part of the story, so it goes to standard output too.
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Failure::Io)?;
        command.stderr(Stdio::from(stdout)).stdout(Stdio::inherit());
        let input = typed.input.map(|input| match input {
            Input::Text(text) => text.to_owned(),
            Input::Variable(name) => self.variable(name),
        });
        command.stdin(if input.is_some() { Stdio::piped() } else { Stdio::null() });
        let mut child = command.spawn().map_err(|err| self.not_started(&err))?;
        if let (Some(input), Some(mut pipe)) = (input, child.stdin.take()) {
            // A write fails if the command has ended; its exit code is checked below.
            let _ = pipe.write_all(input.as_bytes()).await;
        }
        let status = child.wait().await.map_err(Failure::Io)?;
        let expected = i32::from(is_refused);
        if status.code() == Some(expected) {
            return Ok(());
        }
        Err(Failure::Own(format!("the story expected exit code {expected} of that command, and it was {status}")))
    }

    /// Assigns an answer to a variable.
    async fn keep(&mut self, name: &'static str, args: &[&str]) -> Result<(), Failure> {
        self.show(&format!("{name}=$({})", Typed { args, input: None }.line()))?;
        let output = self.command(args).stdin(Stdio::null()).stderr(Stdio::inherit()).output().await;
        let output = output.map_err(|err| self.not_started(&err))?;
        let value = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        if value.is_empty() {
            return Err(Failure::Own("that command did not answer anything".to_owned()));
        }
        self.kept.push((name, value));
        Ok(())
    }

    /// Runs a line of bash, whatever its exit code, if its program and bash are installed.
    async fn shell(&self, line: &str) -> Result<(), Failure> {
        let Some(program) = line.split(' ').next().filter(|program| is_in_path(program) && is_in_path("bash")) else {
            return self.say("Where OpenSSL and bash are installed, openssl verify says that it is revoked.");
        };
        self.say(&format!("{program} says so, too."))?;
        self.show(line)?;
        let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(Failure::Io)?;
        let mut command = Command::new("bash");
        command.args(["-c", line]).stdin(Stdio::null()).stdout(Stdio::inherit()).stderr(Stdio::from(stdout));
        command.envs(self.kept.iter().map(|(name, value)| (name, value)));
        command.status().await.map(drop).map_err(|err| self.not_started(&err))
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.enrollctl);
        let filled = args.iter().map(|arg| match arg.strip_prefix('$') {
            Some(name) => self.variable(name),
            None => (*arg).to_owned(),
        });
        command.arg("--socket").arg(&self.socket).args(filled).kill_on_drop(true);
        command
    }

    fn variable(&self, name: &str) -> String {
        self.kept.iter().find(|(kept, _)| *kept == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    fn not_started(&self, err: &io::Error) -> Failure {
        Failure::Own(format!("{}: {err}", self.enrollctl.display()))
    }
}

impl Typed<'_> {
    /// The command as one would type it.
    fn line(&self) -> String {
        let input = match self.input {
            None => String::new(),
            Some(Input::Text(text)) => format!("printf %s {} | ", quoted(text)),
            Some(Input::Variable(name)) => format!("printf %s \"${name}\" | "),
        };
        self.args.iter().fold(format!("{input}enrollctl"), |line, arg| {
            line + " " + &if arg.starts_with('$') { (*arg).to_owned() } else { quoted(arg) }
        })
    }
}

/// Quotes a word for a shell.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// True if an executable of this name is in PATH.
fn is_in_path(program: &str) -> bool {
    which::directories().iter().any(|directory| which::is_executable(&directory.join(program)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_is_typed() {
        for (args, input, expected) in [
            (&["pool", "show", "$POOL"][..], None, "enrollctl pool show $POOL"),
            (&["code", "use"], Some(Input::Variable("CODE")), "printf %s \"$CODE\" | enrollctl code use"),
            (
                &["token", "use", "--audit", r#"{"a":"it's"}"#],
                Some(Input::Text("nonce-1")),
                r#"printf %s nonce-1 | enrollctl token use --audit '{"a":"it'\''s"}'"#,
            ),
        ] {
            assert_eq!(Typed { args, input }.line(), expected);
        }
    }
}
