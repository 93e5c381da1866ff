//! The syntax of cloud.conf: git-config flavoured INI, as the Go package gcfg reads it.
//!
//! <https://github.com/go-gcfg/gcfg/blob/v1/scanner/scanner.go> is the reference for every rule here. What a text
//! means is [`super::cloud_conf`]'s matter.

use std::iter::Peekable;
use std::str::Chars;

use secrecy::SecretString;

#[derive(Debug)]
pub enum Item {
    Section { line: u64, name: String, subsection: Option<String> },
    Variable(Variable),
}

#[derive(Debug)]
pub struct Variable {
    pub line: u64,
    pub key: String,
    /// `None`: the bare key, which is true for a boolean.
    pub value: Option<SecretString>,
    /// A `#` or `;` with no space before it ended the value: a password that wanted quotes looks like that.
    pub cut: bool,
}

/// A text that isn't gcfg. Never quotes the text: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Malformed {
    pub line: u64,
    pub message: &'static str,
}

type Result<T> = std::result::Result<T, Malformed>;

pub fn parse(text: &[u8]) -> Result<Vec<Item>> {
    let text = without_mark(text);
    let text = std::str::from_utf8(text).map_err(|error| Malformed {
        line: 1 + text[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() as u64,
        message: "the file is not UTF-8",
    })?;
    if let Some(nul) = text.find('\0') {
        let line = 1 + text[..nul].matches('\n').count() as u64;
        return Err(Malformed { line, message: "the file has a NUL character" });
    }
    items(text, |_| true)
}

/// The `wanted` sections alone. What is in the others isn't looked at, whatever it is.
pub fn parse_only(text: &[u8], wanted: impl Fn(&str) -> bool) -> Result<Vec<Item>> {
    items(&String::from_utf8_lossy(without_mark(text)), wanted)
}

/// Notepad's byte order mark is no part of the text.
fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text)
}

fn items(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Item>> {
    let mut scanner = Scanner { rest: text.chars().peekable(), line: 1 };
    let mut items = Vec::new();
    while let Some(item) = scanner.item(!items.is_empty())? {
        if matches!(&item, Item::Section { name, .. } if !wanted(name)) {
            scanner.skip_section();
        }
        items.push(item);
    }
    Ok(items)
}

struct Scanner<'a> {
    rest: Peekable<Chars<'a>>,
    line: u64,
}

impl Scanner<'_> {
    fn item(&mut self, in_section: bool) -> Result<Option<Item>> {
        loop {
            self.skip_blanks();
            match self.rest.peek() {
                None => return Ok(None),
                Some('\n') => {
                    self.next();
                }
                Some(';' | '#') => self.skip_comment(),
                Some('[') => return self.section().map(Some),
                Some(_) if !in_section => {
                    return Err(self.wrong("a section header such as [Global] must come first"));
                }
                Some(first) if first.is_alphabetic() => return self.variable().map(Some),
                Some(_) => {
                    return Err(self
                        .wrong("expected a section header, a key that begins with a letter, or a comment"));
                }
            }
        }
    }

    fn section(&mut self) -> Result<Item> {
        let line = self.line;
        self.next();
        self.skip_blanks();
        let name = self.identifier();
        if name.is_empty() {
            return Err(self.wrong("expected the name of a section after '['"));
        }
        self.skip_blanks();
        let subsection = match self.rest.peek() {
            Some('"') => Some(self.subsection()?),
            _ => None,
        };
        self.skip_blanks();
        if self.rest.peek() != Some(&']') {
            return Err(self.wrong("expected ']' or a quoted name after the name of the section"));
        }
        self.next();
        self.end_of_line()?;
        Ok(Item::Section { line, name, subsection })
    }

    fn subsection(&mut self) -> Result<String> {
        self.next();
        let mut name = String::new();
        loop {
            match self.rest.peek() {
                None | Some('\n') => {
                    return Err(self.wrong("the quoted name of the section has no closing quote"));
                }
                Some('"') => break,
                Some(_) => {}
            }
            match self.next() {
                Some('\\') => match self.next() {
                    Some(escaped @ ('\\' | '"')) => name.push(escaped),
                    _ => return Err(self.wrong("in the name of a section only \\\\ and \\\" can be escaped")),
                },
                Some(other) => name.push(other),
                None => {}
            }
        }
        self.next();
        if name.is_empty() {
            return Err(self.wrong("the quoted name of the section is empty"));
        }
        Ok(name)
    }

    fn variable(&mut self) -> Result<Item> {
        let line = self.line;
        let key = self.identifier();
        self.skip_blanks();
        let (value, cut) = match self.rest.peek() {
            None | Some('\n' | ';' | '#') => (None, false),
            Some('=') => {
                self.next();
                self.skip_blanks();
                let (value, cut) = self.value()?;
                (Some(SecretString::from(value)), cut)
            }
            Some('_') => return Err(self.wrong("a key is written with '-', not '_'")),
            Some(_) => return Err(self.wrong("expected '=' after the key")),
        };
        self.end_of_line()?;
        Ok(Item::Variable(Variable { line, key, value, cut }))
    }

    /// The value, and whether a comment cut it short with no space between.
    fn value(&mut self) -> Result<(String, bool)> {
        let mut value = String::new();
        // Where the value ends once the blanks behind it are cut off.
        let mut end = 0;
        let mut quoted = false;
        loop {
            match self.rest.peek() {
                None | Some('\n') if quoted => return Err(self.wrong("a quoted value has no closing quote")),
                None | Some('\n') => break,
                Some('#' | ';') if !quoted => {
                    let cut = end == value.len() && !value.is_empty();
                    value.truncate(end);
                    return Ok((value, cut));
                }
                Some(_) => {}
            }
            let Some(next) = self.next() else { break };
            match next {
                '\\' => value.extend(self.escape(quoted)?),
                '"' => quoted = !quoted,
                '\r' => continue,
                other => value.push(other),
            }
            if quoted || !matches!(next, ' ' | '\t') {
                end = value.len();
            }
        }
        value.truncate(end);
        Ok((value, false))
    }

    /// What a backslash that was just read stands for. One at the end of a line joins the next line.
    fn escape(&mut self, quoted: bool) -> Result<Option<char>> {
        if !quoted && self.rest.peek() == Some(&'\r') {
            self.next();
        }
        match (quoted, self.next()) {
            (false, Some('\n')) => Ok(None),
            (_, Some('"')) => Ok(Some('"')),
            (true, Some('\\')) => Ok(Some('\\')),
            (true, Some('n')) => Ok(Some('\n')),
            (true, Some('t')) => Ok(Some('\t')),
            (true, _) => Err(self.wrong("in quotes only \\\\, \\\", \\n and \\t can be escaped")),
            (false, _) => {
                Err(self.wrong("a '\\' outside of quotes can only join the next line or escape a quote; put the value in quotes and write '\\\\'"))
            }
        }
    }

    fn identifier(&mut self) -> String {
        let mut name = String::new();
        if !self.rest.peek().is_some_and(|first| first.is_alphabetic()) {
            return name;
        }
        while let Some(next) = self.rest.next_if(|next| next.is_alphanumeric() || *next == '-') {
            name.push(next);
        }
        name
    }

    fn end_of_line(&mut self) -> Result<()> {
        self.skip_blanks();
        match self.rest.peek() {
            None | Some('\n' | ';' | '#') => Ok(()),
            Some(_) => Err(self.wrong("expected the end of the line or a comment")),
        }
    }

    fn skip_blanks(&mut self) {
        while self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\r')).is_some() {}
    }

    fn skip_comment(&mut self) {
        while self.rest.next_if(|next| *next != '\n').is_some() {}
    }

    /// Up to the next line that begins with a bracket.
    fn skip_section(&mut self) {
        while self.rest.peek().is_some_and(|first| *first != '[') {
            self.skip_comment();
            self.next();
            self.skip_blanks();
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        if next == Some('\n') {
            self.line += 1;
        }
        next
    }

    fn wrong(&self, message: &'static str) -> Malformed {
        Malformed { line: self.line, message }
    }
}

#[cfg(test)]
mod tests;
