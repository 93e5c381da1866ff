//! A disk in memory: its bytes decide what is on it.

use std::collections::BTreeMap;
use std::io;

pub const MIB: u64 = 1 << 20;
pub const BLOCK: u64 = 4096;
/// Where the pod's words are.
const WORDS: u64 = MIB;
/// `s_magic`, `s_blocks_count_lo` and `s_log_block_size`: <https://docs.kernel.org/filesystems/ext4/super.html>
const EXT: (usize, usize, usize) = (1024 + 0x38, 1024 + 0x4, 1024 + 0x18);
/// `sb_dblocks` and `sb_inprogress`, see `src/node/filesystem/xfs.rs`.
const XFS: (usize, usize) = (8, 126);
/// See `src/node/filesystem/mark.rs`.
const MARK: &[u8] = b"cinder-csi has begun";

#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// None: no volume's.
    pub volume: Option<String>,
    pub serial: Option<String>,
    pub size: u64,
    /// Its first blocks can't be read, and blkid(8) says "nothing" of such a disk.
    pub sick: bool,
    /// Whoever reads it or works on it waits.
    pub slow: bool,
    /// What a slow back end has still to copy to it.
    pub copied: Option<(&'static str, &'static str)>,
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl Disk {
    pub fn new(volume: Option<String>, serial: Option<String>, size: u64) -> Self {
        Self { volume, serial, size, ..Self::default() }
    }

    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        if self.sick && offset < MIB {
            return Err(io::Error::from_raw_os_error(nix::libc::EIO));
        }
        if offset + length as u64 > self.size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; length];
        let (first, last) = (offset / BLOCK, (offset + length as u64).div_ceil(BLOCK));
        for (number, block) in self.blocks.range(first..last) {
            let at = (number * BLOCK - offset) as usize;
            let end = (at + block.len()).min(length);
            bytes[at..end].copy_from_slice(&block[..end - at]);
        }
        Ok(bytes)
    }

    pub fn write(&mut self, offset: u64, bytes: &[u8]) {
        for (number, block) in (offset / BLOCK..).zip(bytes.chunks(BLOCK as usize)) {
            if block.iter().all(|byte| *byte == 0) {
                self.blocks.remove(&number);
            } else {
                self.blocks.insert(number, block.to_vec());
            }
        }
    }

    /// What a mkfs would destroy. A disk that bears the driver's mark holds a cut-off mkfs, unless a pod has written to it.
    pub fn holds_something(&self) -> Option<String> {
        let words = self.words();
        if !words.is_empty() {
            return Some(format!("the words {words:?}"));
        }
        let is_marked = self.blocks.values().any(|block| block.starts_with(MARK));
        (!is_marked && !self.blocks.is_empty()).then(|| format!("{:?}", self.recognised()))
    }

    fn first(&self) -> &[u8] {
        self.blocks.get(&0).map_or(&[], Vec::as_slice)
    }

    /// What blkid(8) finds in the bytes, sick or not.
    pub fn recognised(&self) -> Option<&'static str> {
        match self.first() {
            block if block.starts_with(b"XFSB") => Some("xfs"),
            block if block.get(EXT.0..EXT.0 + 2) == Some(&[0x53, 0xef]) => Some("ext4"),
            _ => None,
        }
    }

    pub fn is_unfinished(&self) -> bool {
        self.recognised() == Some("xfs") && self.first()[XFS.1] == 1
    }

    /// mkfs as far as it comes before its last write: mke2fs(8) has then written its groups and no superblock.
    pub fn begin_mkfs(&mut self, fs: &str) {
        self.write(WORDS, &[0; BLOCK as usize]);
        if fs == "xfs" {
            self.write_superblock(fs, true);
        } else {
            self.write(0, &[0; BLOCK as usize]);
            self.write(64 * BLOCK, &[7; BLOCK as usize]);
        }
    }

    pub fn end_mkfs(&mut self, fs: &str) {
        self.write_superblock(fs, false);
    }

    /// The file system spans the disk.
    pub fn write_superblock(&mut self, fs: &str, in_progress: bool) {
        let (mut block, count) = (vec![0; BLOCK as usize], self.size / BLOCK);
        if fs == "xfs" {
            block[..4].copy_from_slice(b"XFSB");
            block[XFS.0..XFS.0 + 8].copy_from_slice(&count.to_be_bytes());
            block[XFS.1] = u8::from(in_progress);
        } else {
            block[EXT.0..EXT.0 + 2].copy_from_slice(&[0x53, 0xef]);
            block[EXT.1..EXT.1 + 4].copy_from_slice(&(count as u32).to_le_bytes());
            block[EXT.2] = 2;
        }
        self.write(0, &block);
    }

    /// How many blocks its file system spans.
    pub fn spans(&self) -> u64 {
        let bytes = |at: usize, length: usize| self.first()[at..at + length].to_vec();
        match self.recognised() {
            Some("xfs") => u64::from_be_bytes(bytes(XFS.0, 8).try_into().unwrap_or_default()),
            Some(_) => u64::from(u32::from_le_bytes(bytes(EXT.1, 4).try_into().unwrap_or_default())),
            None => 0,
        }
    }

    pub fn write_words(&mut self, words: &str) {
        let mut block = words.as_bytes().to_vec();
        block.resize(BLOCK as usize, 0);
        self.write(WORDS, &block);
    }

    pub fn words(&self) -> String {
        let block = self.blocks.get(&(WORDS / BLOCK)).map_or(&[][..], Vec::as_slice);
        String::from_utf8_lossy(block).trim_end_matches('\0').to_owned()
    }
}
