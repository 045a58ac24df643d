//! Files and folders whose names must be the same everywhere.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

const MIB: u64 = 1 << 20;
/// Bytes written at once.
const CHUNK: usize = 1 << 16;

/// Sizes around every boundary of the profile `unixfs-v1-2025` (IPIP-499) and of the older
/// 256 KiB leaves, bytes.
pub const SMALL: [u64; 11] = [
    0,
    1,
    MIB / 4 - 1,
    MIB / 4,
    MIB / 4 + 1,
    MIB - 1,
    MIB,
    MIB + 1,
    2 * MIB,
    8 * MIB - 1,
    8 * MIB,
];

/// Sizes around 1024 leaves, where the tree grows a level, bytes.
pub const LARGE: [u64; 5] = [
    1023 * MIB,
    1024 * MIB - 1,
    1024 * MIB,
    1024 * MIB + 1,
    1025 * MIB,
];

/// Entries of the folder that becomes a sharded directory (HAMT).
pub const WIDE: u64 = 5_000;

/// Writes a file of that size; other bytes for another seed.
pub fn file(path: &Path, size_bytes: u64, seed: u64) -> Result<()> {
    let mut noise = Noise::new(seed);
    let made = File::create(path).with_context(|| format!("making {}", path.display()))?;
    let mut file = BufWriter::with_capacity(CHUNK, made);
    let mut chunk = vec![0; CHUNK];
    let mut left = size_bytes;
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(CHUNK).min(CHUNK);
        noise.fill(&mut chunk);
        file.write_all(&chunk[..now])?;
        left -= now as u64;
    }
    file.flush()
        .with_context(|| format!("writing {}", path.display()))
}

/// A folder with a few files, among them an empty one and names that sort by bytes.
pub fn small_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    let names = [
        "b",
        "a",
        "a.txt",
        "Z",
        "ä",
        "żółw.txt",
        "日本",
        "with space",
        "100%",
    ];
    for (name, size_bytes) in names
        .into_iter()
        .zip([0, 1, 3, 4096, 7, 300_000, 12, MIB, MIB + 1])
    {
        file(&path.join(name), size_bytes, size_bytes)?;
    }
    Ok(())
}

/// Folders in folders, one of them empty, with the same file in two places.
pub fn nested_folder(path: &Path) -> Result<()> {
    let deep = path.join("one").join("two").join("three").join("four");
    fs::create_dir_all(&deep)?;
    fs::create_dir_all(path.join("empty"))?;
    for (folder, size_bytes) in [(path, 5), (&deep, 5), (&path.join("one"), 3 * MIB)] {
        file(&folder.join("file.bin"), size_bytes, size_bytes)?;
    }
    Ok(())
}

/// A folder that is over the limit of one block however its size is estimated: by its links'
/// names and CIDs, as Kubo 0.38 does, or by its encoded bytes, as IPIP-499 does.
pub fn wide_folder(path: &Path) -> Result<()> {
    fs::create_dir_all(path)?;
    for number in 0..WIDE {
        fs::write(path.join(wide_name(number)), format!("{number}\n"))?;
    }
    Ok(())
}

/// Name of that entry of the wide folder.
pub fn wide_name(number: u64) -> String {
    format!("a name long enough to make the folder large {number:05}.txt")
}

/// Bytes that don't repeat: splitmix64.
struct Noise(u64);

impl Noise {
    fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn fill(&mut self, into: &mut [u8]) {
        for chunk in into.chunks_mut(8) {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut word = self.0;
            word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            word ^= word >> 31;
            chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
        }
    }
}
