//! The lines that a reader sees.

use std::io::{self, BufRead, Write};
use std::path::Path;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::super::host::printed;
use super::super::{Call, SimulatedCloud};
use super::Trouble;

pub(super) struct Report {
    cloud: SimulatedCloud,
    began: Instant,
    calls: usize,
}

/// Where the text of a line begins: after the name of the step and its time.
const INDENT: usize = 22;
const WIDTH: usize = 110;

impl Report {
    pub fn new(cloud: SimulatedCloud) -> Self {
        Self { cloud, began: Instant::now(), calls: 0 }
    }

    /// Prints the step's name when it begins, and its time, its outcome and its calls to the cloud when it has ended.
    pub async fn step(
        &mut self,
        step: &'static str,
        work: impl Future<Output = Result<String, String>>,
    ) -> Result<(), Trouble> {
        let lost = |error: io::Error| Trouble { step, why: format!("its line can't be printed: {error}") };
        self.cloud.reset_calls();
        let began = Instant::now();
        let mut out = io::stdout();
        write!(out, "  {step:<10}").and_then(|()| out.flush()).map_err(lost)?;
        let outcome = work.await;
        let (took, calls) = (shown(began.elapsed()), self.cloud.calls());
        self.calls += calls.len();
        let text = outcome.as_deref().unwrap_or("failed");
        writeln!(out, "{took:>8}  {text}").map_err(lost)?;
        for line in listed(&calls) {
            writeln!(out, "{:INDENT$}{line}", "").map_err(lost)?;
        }
        outcome.map(drop).map_err(|why| Trouble { step, why })
    }

    pub fn say(&self, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "{text}")
    }

    pub fn fact(&self, name: &str, text: &str) -> io::Result<()> {
        writeln!(io::stdout(), "  {name:<10}  {text}")
    }

    /// Shows what there is to see, and holds until Enter. Without a terminal it holds until the process is told to end.
    pub async fn pause(&self, disk: &Path, target: &Path, clouds: &Path) -> io::Result<()> {
        let shown = [
            printed("losetup", &["--list", "--output", "NAME,SIZELIMIT,RO,BACK-FILE"], disk)?,
            printed("findmnt", &[], target)?,
            printed("ls", &["-l"], target)?,
        ];
        self.say("\nPaused while the volume is mounted. From another terminal:\n")?;
        let commands = [
            format!("losetup --list {}", disk.display()),
            format!("findmnt {}", target.display()),
            format!("ls -l {}", target.display()),
        ];
        for (command, text) in commands.iter().zip(shown) {
            self.say(&format!("  # {command}\n{}", indented(&text)))?;
        }
        self.say(&format!(
            "  The cloud for any OpenStack client, as cloud \"sandbox\" of\n  {}\n",
            clouds.display()
        ))?;
        self.say("Press Enter to go on, or Ctrl-C to end; both clear everything away.\n")?;
        enter().await;
        Ok(())
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn calls(&self) -> usize {
        self.calls
    }
}

pub(super) fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.0} ms", seconds * 1000.0),
        seconds => format!("{seconds:.1} s"),
    }
}

/// The calls in their order, equal neighbours counted.
fn listed(calls: &[Call]) -> Vec<String> {
    let mut words: Vec<(String, usize)> = Vec::new();
    for call in calls {
        let word = call.to_string();
        match words.last_mut().filter(|(last, _)| *last == word) {
            Some((_, count)) => *count += 1,
            None => words.push((word, 1)),
        }
    }
    let mut lines: Vec<String> = Vec::new();
    for (index, (word, count)) in words.iter().enumerate() {
        let times = if *count > 1 { format!(" x{count}") } else { String::new() };
        let comma = if index + 1 < words.len() { "," } else { "" };
        let word = format!("{word}{times}{comma}");
        match lines.last_mut().filter(|line| INDENT + line.len() + word.len() < WIDTH) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word),
        }
    }
    lines
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

/// A thread of its own, because a read of standard input can't be called off: it must not keep the process.
async fn enter() {
    let (pressed, heard) = oneshot::channel();
    std::thread::spawn(move || {
        if io::stdin().lock().read_line(&mut String::new()).is_ok_and(|length| length > 0) {
            pressed.send(()).unwrap_or_default();
        } else {
            // Nobody can press Enter any more.
            std::mem::forget(pressed);
        }
    });
    heard.await.unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::super::super::Service;
    use super::*;

    fn call(method: Method, path: &str) -> Call {
        let at = Instant::now();
        Call { at, service: Service::Cinder, method, path: path.to_owned(), query: String::new() }
    }

    #[test]
    fn equal_neighbours_are_counted_and_long_lists_wrapped() {
        let look = || call(Method::GET, "/volumes/detail");
        let calls = [call(Method::POST, "/volumes"), look(), look()];
        assert_eq!(listed(&calls), ["Cinder POST /volumes, Cinder GET /volumes/detail x2"]);
        let many: Vec<_> = (0..10).map(|n| call(Method::GET, &format!("/volumes/{n}"))).collect();
        let lines = listed(&many);
        assert!(lines.len() > 1 && lines.iter().all(|line| line.len() + INDENT <= WIDTH), "{lines:?}");
        assert!(listed(&[]).is_empty());
    }

    #[test]
    fn times_are_short() {
        assert_eq!(shown(Duration::from_micros(31_400)), "31 ms");
        assert_eq!(shown(Duration::from_millis(1240)), "1.2 s");
    }
}
