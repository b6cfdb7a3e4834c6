//! Options: what an operation may be told beside its arguments.

use std::collections::BTreeMap;
use std::ffi::c_char;
use std::time::Duration;

use rclonepool_core::path::PoolPath;
use rclonepool_core::pool::{Filter, LinkPolicy};
use rclonepool_core::{Error, ErrorKind, Result};

use crate::args::{invalid, text};
use crate::castable::Castable;
use crate::error::{rclonepool_error, rclonepool_status};
use crate::panic::{guard, guard_or};

/// What can be set. Whole numbers and flags (0 or 1) by `rclonepool_options_set_integer`, texts by
/// `rclonepool_options_set_text`. An operation refuses what it has no use for. Later versions may add some.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum rclonepool_option {
    /// Opening: threads of the pool; 2 if not set. A whole number from 1 to 256.
    Workers = 1,
    /// Opening: rclone gets the environment of this process, without `RCLONE_*` but with `RCLONE_CONFIG*`, and `~`
    /// in the configuration is $HOME. A flag; without it nothing is read from the environment.
    InheritEnv = 2,
    /// Opening: one variable for rclone, "NAME=value". A text; each one set is added.
    Env = 3,
    /// Opening: the directory that `~` stands for at the beginning of paths in the configuration. A text.
    Home = 4,
    /// Uploading: even what is there already. Downloading: even what is there with the same size and time. Draining:
    /// even where files survive fewer losses afterwards. A flag.
    Force = 5,
    /// Uploading: compare content by hashes even where size and modification time agree. A flag.
    Checksum = 6,
    /// Uploading: the modification time to record, in nanoseconds since 1970. A whole number.
    MtimeNs = 7,
    /// Uploading: the MIME type to record. A text.
    ContentType = 8,
    /// Directories up and down: a glob pattern of files that are meant. A text; each one set is added.
    Include = 9,
    /// Directories up and down: a glob pattern of what is left out. A text; each one set is added.
    Exclude = 10,
    /// Uploading directories: what to do with symbolic links, one of `rclonepool_links`.
    Links = 11,
    /// Uploading, downloading, repairing: say what would be done, and do nothing. A flag.
    DryRun = 12,
    /// Listing, deleting: everything below, at any depth. A flag.
    Recursive = 13,
    /// Deleting: past the trash. A flag.
    Purge = 14,
    /// Renaming, copying: a file may replace a file. A flag.
    Overwrite = 15,
    /// Verifying, health, rebuilding, the trash: only this path and what lies below it. A text.
    Path = 16,
    /// Verifying: how closely, one of `rclonepool_level`.
    Level = 17,
    /// Verifying deeply: read only so many thousandths of a percent of the chunks, those that were not read for
    /// longest; 100000 is all. A whole number.
    Sample = 18,
    /// Verifying, health: how many files to name at most; 100 if not set. A whole number.
    List = 19,
    /// Health: a remote to take for lost, by name. A text; each one set is added.
    Lost = 20,
    /// Rebuilding: hold every shard against a listing, instead of going by what was found before. A flag.
    All = 21,
    /// Rebuilding, orphans, freeing: go on where a remote looks as if it had lost its data. A flag.
    AcceptLoss = 22,
    /// Orphans, freeing: how long an object without a record is left alone; emptying the trash: only what lies there
    /// for so long. Milliseconds, a whole number.
    MinAgeMs = 23,
    /// Draining: no other machine writes to the pool, so nothing need wait for one. A flag.
    Alone = 24,
    /// Restoring: this version, as the trash's listing names it. A text.
    Version = 25,
    /// Restoring: to this path instead of its own. A text.
    To = 26,
}

use rclonepool_option as Opt;

/// What to do with symbolic links below a directory: values of `RCLONEPOOL_OPTION_LINKS`.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_links {
    /// Leave them out, and count them.
    Skip = 0,
    /// Store them as links.
    Store = 1,
    /// Store what they lead to.
    Follow = 2,
}

/// How closely to verify: values of `RCLONEPOOL_OPTION_LEVEL`.
#[repr(i32)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum rclonepool_level {
    /// That everything exists, by one listing per remote.
    Quick = 0,
    /// Sizes, too, from the same listing.
    Default = 1,
    /// Every byte of every shard is read and held against its checksums.
    Deep = 2,
}

/// What an operation is told beside its arguments; NULL is the same as one without any set. Operations copy what
/// they need, so one may be used for several, changed in between, and freed at any time.
pub struct rclonepool_options {
    _private: [u8; 0],
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Integer(i64),
    Texts(Vec<String>),
}

/// What lies behind a [`rclonepool_options`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Options(BTreeMap<Opt, Value>);

impl Castable for rclonepool_options {
    type Inner = Options;
    const KIND: &'static str = "options";
}

/// How an option is set, and by which numbers.
enum Kind {
    Integer(i64, i64),
    Text,
    /// Each one set is added.
    Texts,
}

const FLAG: Kind = Kind::Integer(0, 1);
const ANY: Kind = Kind::Integer(0, i64::MAX);

/// All of them, with their names for messages.
const TABLE: [(Opt, &str, Kind); 26] = [
    (Opt::Workers, "WORKERS", Kind::Integer(1, 256)),
    (Opt::InheritEnv, "INHERIT_ENV", FLAG),
    (Opt::Env, "ENV", Kind::Texts),
    (Opt::Home, "HOME", Kind::Text),
    (Opt::Force, "FORCE", FLAG),
    (Opt::Checksum, "CHECKSUM", FLAG),
    (Opt::MtimeNs, "MTIME_NS", Kind::Integer(i64::MIN, i64::MAX)),
    (Opt::ContentType, "CONTENT_TYPE", Kind::Text),
    (Opt::Include, "INCLUDE", Kind::Texts),
    (Opt::Exclude, "EXCLUDE", Kind::Texts),
    (Opt::Links, "LINKS", Kind::Integer(0, 2)),
    (Opt::DryRun, "DRY_RUN", FLAG),
    (Opt::Recursive, "RECURSIVE", FLAG),
    (Opt::Purge, "PURGE", FLAG),
    (Opt::Overwrite, "OVERWRITE", FLAG),
    (Opt::Path, "PATH", Kind::Text),
    (Opt::Level, "LEVEL", Kind::Integer(0, 2)),
    (Opt::Sample, "SAMPLE", Kind::Integer(1, 100_000)),
    (Opt::List, "LIST", ANY),
    (Opt::Lost, "LOST", Kind::Texts),
    (Opt::All, "ALL", FLAG),
    (Opt::AcceptLoss, "ACCEPT_LOSS", FLAG),
    (Opt::MinAgeMs, "MIN_AGE_MS", ANY),
    (Opt::Alone, "ALONE", FLAG),
    (Opt::Version, "VERSION", Kind::Text),
    (Opt::To, "TO", Kind::Text),
];

/// The option of this number.
fn known(option: i32) -> Result<&'static (Opt, &'static str, Kind)> {
    let found = TABLE.iter().find(|(known, ..)| *known as i32 == option);
    found.ok_or_else(|| invalid(format!("there is no option {option}")))
}

impl Options {
    /// What C gave, if it is only of these.
    ///
    /// # Safety
    /// `options` is NULL or a handle that was not freed, and nobody changes it meanwhile.
    pub unsafe fn of(options: *const rclonepool_options, allowed: &[Opt]) -> Result<Self> {
        if options.is_null() {
            return Ok(Self::default());
        }
        // SAFETY: promised by the caller.
        let given = unsafe { rclonepool_options::get(options) }?.clone();
        match given.0.keys().find(|option| !allowed.contains(option)) {
            None => Ok(given),
            Some(option) => Err(invalid(format!("the option {} has no meaning here", known(*option as i32)?.1))),
        }
    }

    fn set_integer(&mut self, option: i32, value: i64) -> Result<()> {
        match known(option)? {
            (known, _, Kind::Integer(least, most)) if (*least..=*most).contains(&value) => {
                self.0.insert(*known, Value::Integer(value));
                Ok(())
            }
            (_, name, Kind::Integer(least, most)) => {
                Err(invalid(format!("the option {name} cannot be {value}: it is from {least} to {most}")))
            }
            (_, name, _) => Err(invalid(format!("the option {name} is a text, not a number"))),
        }
    }

    fn set_text(&mut self, option: i32, text: &str) -> Result<()> {
        let (known, name, kind) = known(option)?;
        match (kind, self.0.get_mut(known)) {
            (Kind::Integer(..), _) => return Err(invalid(format!("the option {name} is a number, not a text"))),
            (Kind::Texts, Some(Value::Texts(texts))) => texts.push(text.to_owned()),
            _ => drop(self.0.insert(*known, Value::Texts(vec![text.to_owned()]))),
        }
        Ok(())
    }

    pub fn integer(&self, option: Opt) -> Option<i64> {
        match self.0.get(&option) {
            Some(Value::Integer(value)) => Some(*value),
            _ => None,
        }
    }

    pub fn flag(&self, option: Opt) -> bool {
        self.integer(option) == Some(1)
    }

    pub fn texts(&self, option: Opt) -> &[String] {
        match self.0.get(&option) {
            Some(Value::Texts(texts)) => texts,
            _ => &[],
        }
    }

    pub fn text(&self, option: Opt) -> Option<&str> {
        self.texts(option).last().map(String::as_str)
    }

    pub fn path(&self, option: Opt) -> Result<Option<PoolPath>> {
        self.text(option).map(PoolPath::new).transpose()
    }

    pub fn milliseconds(&self, option: Opt) -> Option<Duration> {
        Some(Duration::from_millis(self.integer(option)?.unsigned_abs()))
    }

    pub fn count(&self, option: Opt) -> Option<usize> {
        Some(usize::try_from(self.integer(option)?).unwrap_or(usize::MAX))
    }

    pub fn filter(&self) -> Result<Filter> {
        Filter::new(self.texts(Opt::Include), self.texts(Opt::Exclude))
    }

    pub fn links(&self) -> LinkPolicy {
        match self.integer(Opt::Links) {
            Some(1) => LinkPolicy::Store,
            Some(2) => LinkPolicy::Follow,
            _ => LinkPolicy::Skip,
        }
    }

    /// The variables for rclone.
    pub fn env(&self) -> Result<Vec<(String, String)>> {
        let pair = |text: &String| {
            let (name, value) = text.split_once('=').filter(|(name, _)| !name.is_empty())?;
            Some((name.to_owned(), value.to_owned()))
        };
        let bad = |text: &str| {
            let name = text.split('=').next().unwrap_or_default();
            Error::new(ErrorKind::InvalidArgument, format!("the option ENV is NAME=value, not {name:?}"))
        };
        self.texts(Opt::Env).iter().map(|text| pair(text).ok_or_else(|| bad(text))).collect()
    }
}

/// Options without any set; freed by `rclonepool_options_free`. Since 0.1.
#[unsafe(no_mangle)]
pub extern "C" fn rclonepool_options_new() -> *mut rclonepool_options {
    guard_or(std::ptr::null_mut(), || rclonepool_options::into_handle(Options::default()))
}

/// Sets `option`, one of `rclonepool_option`, to a whole number or flag. Fails with
/// `RCLONEPOOL_STATUS_INVALID_ARGUMENT` where there is no such option, or it cannot be that. Since 0.1.
///
/// # Safety
/// `options` is a handle that was not freed and that no other thread uses; `err` is NULL or points to where a
/// pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_options_set_integer(
    options: *mut rclonepool_options,
    option: i32,
    value: i64,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || rclonepool_options::get_mut(options)?.set_integer(option, value)) }
}

/// Sets `option`, one of `rclonepool_option`, to a text, which is copied. Fails with
/// `RCLONEPOOL_STATUS_INVALID_ARGUMENT` where there is no such option, or it is a number. Since 0.1.
///
/// # Safety
/// `options` is a handle that was not freed and that no other thread uses; `value` is NULL or a NUL-terminated
/// string; `err` is NULL or points to where a pointer may be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_options_set_text(
    options: *mut rclonepool_options,
    option: i32,
    value: *const c_char,
    err: *mut *mut rclonepool_error,
) -> rclonepool_status {
    // SAFETY: promised by the caller.
    unsafe { guard(err, || rclonepool_options::get_mut(options)?.set_text(option, text("value", value)?)) }
}

/// Frees options; NULL is allowed. Since 0.1.
///
/// # Safety
/// `options` is NULL or a handle that was not freed; it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rclonepool_options_free(options: *mut rclonepool_options) {
    // SAFETY: promised by the caller.
    guard_or((), || unsafe { rclonepool_options::free(options) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_option_takes_what_it_is() {
        let mut options = Options::default();
        for (at, (option, name, kind)) in TABLE.iter().enumerate() {
            assert_eq!(*option as usize, at + 1, "{name}: numbers are never given anew");
            let number = *option as i32;
            match kind {
                Kind::Integer(least, most) => {
                    options.set_integer(number, *least).unwrap();
                    options.set_integer(number, *most).unwrap();
                    assert!(most.checked_add(1).is_none_or(|n| options.set_integer(number, n).is_err()));
                    assert!(options.set_text(number, "x").unwrap_err().to_string().contains("a number"));
                    assert_eq!(options.integer(*option), Some(*most));
                }
                Kind::Text | Kind::Texts => {
                    options.set_text(number, "/x").unwrap();
                    options.set_text(number, "/y").unwrap();
                    assert!(options.set_integer(number, 1).unwrap_err().to_string().contains("a text"));
                    assert_eq!(options.text(*option), Some("/y"));
                    assert_eq!(options.texts(*option).len(), if matches!(kind, Kind::Texts) { 2 } else { 1 });
                }
            }
        }
        for unknown in [0, -1, 27, i32::MIN, i32::MAX] {
            assert!(options.set_integer(unknown, 1).is_err() && options.set_text(unknown, "").is_err());
        }
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        let mut options = Options::default();
        options.set_integer(Opt::Purge as i32, 0).unwrap();
        let handle = rclonepool_options::into_handle(options);
        unsafe {
            assert!(Options::of(handle, &[Opt::Purge]).is_ok());
            let error = Options::of(handle, &[Opt::Force]).unwrap_err();
            assert_eq!(error.to_string(), "the option PURGE has no meaning here");
            assert!(Options::of(std::ptr::null(), &[]).is_ok());
            rclonepool_options_free(handle);
        }
    }

    #[test]
    fn variables_have_names() {
        let mut options = Options::default();
        options.set_text(Opt::Env as i32, "A=b=c").unwrap();
        assert_eq!(options.env().unwrap(), [("A".to_owned(), "b=c".to_owned())]);
        options.set_text(Opt::Env as i32, "=secret").unwrap();
        assert!(!options.env().unwrap_err().to_string().contains("secret"));
    }
}
