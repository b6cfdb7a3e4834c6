//! Questions on the terminal.

use std::io::{BufRead, Write};

use rclonepool_core::{Error, ErrorKind, Result};

use crate::context::Context;

/// Asks on standard error, reads answers from standard input.
pub struct Prompt<'a> {
    context: &'a Context,
}

impl<'a> Prompt<'a> {
    pub fn new(context: &'a Context) -> Self {
        Self { context }
    }

    /// A line of explanation.
    pub fn tell(&self, text: &str) {
        self.context.ui.stderr(text);
    }

    /// The answer, or `default` for an empty line.
    ///
    /// # Errors
    /// `Cancelled` on Ctrl-C and at the end of the input.
    pub async fn ask(&self, question: &str, default: &str) -> Result<String> {
        let shown = if default.is_empty() { String::new() } else { format!(" [{default}]") };
        let text = format!("{question}{shown}: ");
        let answer = tokio::task::spawn_blocking(move || {
            // Locked no longer than that: a signal's message may come while we wait.
            std::io::stderr().write_all(text.as_bytes())?;
            let mut line = String::new();
            Ok((std::io::stdin().lock().read_line(&mut line)?, line))
        });
        let read = async {
            let read: std::io::Result<(usize, String)> =
                answer.await.map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
            read.map_err(|e| Error::io("cannot read the answer", e))
        };
        let (length, line) = self.context.stoppable(read).await?;
        if length == 0 {
            return Err(Error::new(ErrorKind::Cancelled, "the input ended before the last question"));
        }
        let answer = line.trim();
        Ok(if answer.is_empty() { default.to_owned() } else { answer.to_owned() })
    }

    /// Asks until `read` understands the answer.
    ///
    /// # Errors
    /// As [`Prompt::ask`].
    pub async fn until<T>(&self, question: &str, default: &str, read: impl Fn(&str) -> Result<T>) -> Result<T> {
        loop {
            match read(&self.ask(question, default).await?) {
                Ok(value) => return Ok(value),
                Err(error) => self.tell(&format!("  {error}")),
            }
        }
    }

    /// Yes or no.
    ///
    /// # Errors
    /// As [`Prompt::ask`].
    pub async fn confirm(&self, question: &str, default: bool) -> Result<bool> {
        let choice = if default { "Y/n" } else { "y/N" };
        self.until(question, choice, |answer| match answer.to_lowercase().as_str() {
            "y" | "yes" => Ok(true),
            "n" | "no" => Ok(false),
            _ if answer == choice => Ok(default),
            _ => Err(Error::new(ErrorKind::InvalidArgument, "answer y or n")),
        })
        .await
    }
}

/// Lets the user confirm what destroys: `--yes`, or the answer on a terminal.
///
/// # Errors
/// `InvalidArgument` without a terminal and `--yes`; `Cancelled` when the answer is no.
pub async fn confirm(context: &Context, question: &str) -> Result<()> {
    if context.global.yes {
        return Ok(());
    }
    if !context.ui.is_interactive() {
        return Err(Error::new(ErrorKind::InvalidArgument, format!("{question} Nobody is there to answer"))
            .hint("--yes answers yes"));
    }
    match Prompt::new(context).confirm(question, false).await? {
        true => Ok(()),
        false => Err(Error::new(ErrorKind::Cancelled, "nothing was changed")),
    }
}
