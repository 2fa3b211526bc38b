//! Downloading a model: the only code of nfold that opens a socket.
//!
//! What has arrived is kept beside the target as `FILE.part` and gone on from with a range request. A server that answers a
//! range request with the whole file (200) makes it start over. The target appears when its SHA-256 is right.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ureq::http::StatusCode;

use crate::config::ModelEntry;
use crate::digest::Digest;

/// How often a connection that broke off is taken up again.
const ATTEMPTS: usize = 5;

/// What to download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The address.
    pub url: String,
    /// The SHA-256 it must have.
    pub sha256: Option<Digest>,
    /// Its size in bytes, where it is known.
    pub size: Option<u64>,
}

impl Source {
    /// Where a known model is downloaded from; `None` where the configuration does not say.
    #[must_use]
    pub fn of(entry: &ModelEntry, endpoint: &str) -> Option<Self> {
        let (repo, file) = (entry.repo.as_ref()?, entry.file.to_str()?);
        let url = format!("{}/{repo}/resolve/main/{file}", endpoint.trim_end_matches('/'));
        Some(Self { url, sha256: entry.sha256, size: entry.size })
    }
}

/// How far a download is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes on disk.
    pub done: u64,
    /// Bytes in all, where the server or the configuration tells.
    pub total: Option<u64>,
}

/// Why a download failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum PullError {
    #[error("cannot reach {url}: {source}")]
    Unreachable { url: String, source: Box<ureq::Error> },
    #[error("{url} answered {status}")]
    Status { url: String, status: u16 },
    #[error("the connection to {url} broke off at {done} bytes ({source}); run the command again to go on from there")]
    BrokenOff { url: String, done: u64, source: io::Error },
    #[error("the connection to {url} ended at {done} of {total} bytes; run the command again to go on from there")]
    Short { url: String, done: u64, total: u64 },
    #[error("what {url} sent has SHA-256 {found}, not {expected}; it was deleted")]
    Hash { url: String, found: Digest, expected: Digest },
    #[error("what {url} sent is larger than the {expected} bytes it should have; it was deleted")]
    TooLarge { url: String, expected: u64 },
    #[error("the disk is full: `{path}` has {done} bytes{}; make room and run the command again to go on from there", of(*.total), path = path.display())]
    DiskFull { path: PathBuf, done: u64, total: Option<u64> },
    #[error("cannot write `{path}`: {source}", path = path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("another nfold is downloading `{path}`", path = path.display())]
    Locked { path: PathBuf },
    #[error("cancelled; run the command again to go on from there")]
    Cancelled,
}

fn of(total: Option<u64>) -> String {
    total.map_or_else(String::new, |total| format!(" of {total}"))
}

/// Downloads `source` to `target`; `Break` from `on_progress` stops, keeping what arrived.
pub fn pull(
    source: &Source,
    target: &Path,
    on_progress: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(), PullError> {
    let part = part_path(target);
    let write = |source| PullError::Write { path: part.clone(), source };
    if let Some(folder) = target.parent() {
        fs::create_dir_all(folder).map_err(write)?;
    }
    let file = OpenOptions::new().create(true).append(true).open(&part).map_err(write)?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => return Err(PullError::Locked { path: part }),
        Ok(()) | Err(TryLockError::Error(_)) => {} // a file system without locks
    }
    let mut download = Download { source, part: &part, file, on_progress };
    let arrived = download.arrive();
    if arrived.is_err() && download.on_disk() == 0 {
        drop(fs::remove_file(&part)); // nothing to go on from
    }
    arrived?;
    fs::rename(&part, target).map_err(|source| PullError::Write { path: target.to_path_buf(), source })
}

fn part_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".part");
    PathBuf::from(name)
}

struct Download<'a> {
    source: &'a Source,
    part: &'a Path,
    file: fs::File,
    on_progress: &'a mut dyn FnMut(Progress) -> ControlFlow<()>,
}

impl Download<'_> {
    fn on_disk(&self) -> u64 {
        self.file.metadata().map_or(0, |about| about.len())
    }

    /// The whole file, and the right one; a connection that breaks off is taken up again.
    fn arrive(&mut self) -> Result<(), PullError> {
        let mut attempts = 0;
        loop {
            let before = self.on_disk();
            match self.fetch() {
                Ok(()) => return self.verify(),
                Err(PullError::BrokenOff { .. } | PullError::Short { .. })
                    if attempts < ATTEMPTS && self.on_disk() > before =>
                {
                    attempts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One request, from what is on disk to the end.
    fn fetch(&mut self) -> Result<(), PullError> {
        let start = self.on_disk();
        if start > 0 && self.source.size == Some(start) {
            return Ok(());
        }
        let url = &self.source.url;
        let agent = ureq::Agent::new_with_config(
            ureq::Agent::config_builder()
                .http_status_as_error(false)
                .timeout_connect(Some(Duration::from_secs(20)))
                .timeout_recv_response(Some(Duration::from_mins(1)))
                .build(),
        );
        let mut request = agent.get(url).header("User-Agent", concat!("nfold/", env!("CARGO_PKG_VERSION")));
        if start > 0 {
            request = request.header("Range", format!("bytes={start}-"));
        }
        let mut response =
            request.call().map_err(|error| PullError::Unreachable { url: url.clone(), source: Box::new(error) })?;
        let start = match response.status() {
            StatusCode::PARTIAL_CONTENT if continues_at(&response, start) => start,
            StatusCode::RANGE_NOT_SATISFIABLE if start > 0 => return Ok(()), // whole, or wrong: the hash tells
            StatusCode::OK => {
                // A device cannot be cut to length; writing to it will say so.
                drop(self.file.set_len(0));
                0
            }
            status => {
                return Err(PullError::Status { url: url.clone(), status: status.as_u16() });
            }
        };
        let left = response.body().content_length();
        let total = self.source.size.or(left.map(|left| start + left));
        self.receive(&mut response.body_mut().as_reader(), start, total)
    }

    fn receive(&mut self, body: &mut dyn Read, start: u64, total: Option<u64>) -> Result<(), PullError> {
        let url = || self.source.url.clone();
        let mut buffer = vec![0; 1 << 16];
        let mut done = start;
        loop {
            if (self.on_progress)(Progress { done, total }).is_break() {
                return Err(PullError::Cancelled);
            }
            let count = match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => count,
                Err(source) => {
                    return Err(PullError::BrokenOff { url: url(), done, source });
                }
            };
            if let Some(expected) = self.source.size
                && done + count as u64 > expected
            {
                drop(fs::remove_file(self.part));
                return Err(PullError::TooLarge { url: url(), expected });
            }
            self.file.write_all(&buffer[..count]).map_err(|source| match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    PullError::DiskFull { path: self.part.to_path_buf(), done, total }
                }
                _ => PullError::Write { path: self.part.to_path_buf(), source },
            })?;
            done += count as u64;
        }
        match total {
            Some(total) if done < total => Err(PullError::Short { url: url(), done, total }),
            _ => Ok(()),
        }
    }

    fn verify(&self) -> Result<(), PullError> {
        let Some(expected) = self.source.sha256 else {
            return Ok(());
        };
        let read = || Digest::of_reader(&mut fs::File::open(self.part)?);
        let found = read().map_err(|source| PullError::Write { path: self.part.to_path_buf(), source })?;
        if found == expected {
            return Ok(());
        }
        drop(fs::remove_file(self.part));
        Err(PullError::Hash { url: self.source.url.clone(), found, expected })
    }
}

/// Whether a 206 begins where the file on disk ends.
fn continues_at(response: &ureq::http::Response<ureq::Body>, start: u64) -> bool {
    let range = response.headers().get("content-range").and_then(|value| value.to_str().ok());
    range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()) == Some(start)
}
