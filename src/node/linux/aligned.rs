//! Memory for reads and writes past the page cache.

/// O_DIRECT wants memory, offset and length in whole logical blocks; no disk's are larger than this.
const ALIGNMENT: usize = 4096;

/// Memory that O_DIRECT accepts.
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    pub fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start, length }
    }

    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.length]
    }

    /// Without a second piece of memory of this size.
    pub fn into_bytes(mut self) -> Vec<u8> {
        self.memory.truncate(self.start + self.length);
        self.memory.drain(..self.start);
        self.memory
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_memory_is_aligned() {
        for length in [512, 4096, 4 << 20] {
            let mut memory = Aligned::new(length);
            assert_eq!(memory.bytes().len(), length);
            assert_eq!(memory.bytes().as_ptr() as usize % ALIGNMENT, 0);
        }
    }
}
