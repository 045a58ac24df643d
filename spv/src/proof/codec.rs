//! The one encoding of a proof. Integers are little-endian.

use bitcoin::{BlockHash, hashes::Hash};
use model::EntryId;

use super::{
    BatchPath, Binding, ENTRY_CID_PREFIX, MAX_BRANCH_DEPTH, MAX_PATH_DEPTH, MAX_PROOF_BYTES,
    PaymentProof, ProofError, SumStep, VERSION, entry_cid,
};
use crate::Network;

const ADDRESS: u8 = 0;
const BATCH: u8 = 1;

impl PaymentProof {
    /// Its bytes. What is longer than [`MAX_PROOF_BYTES`] has bytes, too, but those do not decode.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.network.genesis().to_byte_array());
        bytes.extend(entry_cid(&self.vote));
        bytes.extend(self.key);
        bytes.extend(entry_cid(&self.key_row));
        bytes.extend(self.block.to_byte_array());
        bytes.extend(self.index.to_le_bytes());
        count(&mut bytes, self.branch.len());
        bytes.extend(self.branch.as_flattened());
        let length = u16::try_from(self.transaction.len()).unwrap_or(u16::MAX);
        bytes.extend(length.to_le_bytes());
        bytes.extend(&self.transaction);
        bytes.extend(self.vout.to_le_bytes());
        match &self.binding {
            Binding::Address => bytes.push(ADDRESS),
            Binding::Batch(path) => {
                bytes.push(BATCH);
                path.encode(&mut bytes);
            }
        }
        bytes
    }

    /// Reads a proof, and judges nothing of what it says.
    ///
    /// # Errors
    /// When the bytes are not exactly those of a proof.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > MAX_PROOF_BYTES {
            return Err(ProofError::TooLong { found: bytes.len() });
        }
        let mut reader = Reader(bytes);
        let [version] = reader.array("version")?;
        if version != VERSION {
            return Err(ProofError::Version(version));
        }
        let genesis = BlockHash::from_byte_array(reader.array("network")?);
        let network = Network::of_genesis(&genesis).ok_or(ProofError::UnknownNetwork(genesis))?;
        let proof = Self {
            network,
            vote: reader.entry("vote")?,
            key: reader.array("key")?,
            key_row: reader.entry("key row")?,
            block: BlockHash::from_byte_array(reader.array("block")?),
            index: reader.u32("index")?,
            branch: reader.branch()?,
            transaction: reader.transaction()?,
            vout: reader.u32("output")?,
            binding: reader.binding()?,
        };
        match reader.0.len() {
            0 => Ok(proof),
            bytes => Err(ProofError::Trailing { bytes }),
        }
    }
}

impl BatchPath {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.sats.to_le_bytes());
        bytes.extend(self.position.to_le_bytes());
        bytes.extend(self.votes.to_le_bytes());
        count(bytes, self.sums.len());
        for step in &self.sums {
            bytes.extend(step.hash);
            bytes.extend(step.sats.to_le_bytes());
        }
        bytes.extend(self.outputs.to_le_bytes());
        count(bytes, self.siblings.len());
        bytes.extend(self.siblings.as_flattened());
    }
}

fn count(bytes: &mut Vec<u8>, items: usize) {
    bytes.push(u8::try_from(items).unwrap_or(u8::MAX));
}

/// What is still to be read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ProofError> {
        let (array, rest) = self
            .0
            .split_first_chunk()
            .ok_or(ProofError::Truncated { field })?;
        self.0 = rest;
        Ok(*array)
    }

    fn slice(&mut self, length: usize, field: &'static str) -> Result<&'a [u8], ProofError> {
        let (slice, rest) = self
            .0
            .split_at_checked(length)
            .ok_or(ProofError::Truncated { field })?;
        self.0 = rest;
        Ok(slice)
    }

    fn u32(&mut self, field: &'static str) -> Result<u32, ProofError> {
        self.array(field).map(u32::from_le_bytes)
    }

    fn u64(&mut self, field: &'static str) -> Result<u64, ProofError> {
        self.array(field).map(u64::from_le_bytes)
    }

    fn entry(&mut self, field: &'static str) -> Result<EntryId, ProofError> {
        if self.array(field)? != ENTRY_CID_PREFIX {
            return Err(ProofError::NotAnEntry { field });
        }
        self.array(field).map(EntryId::from_bytes)
    }

    fn branch(&mut self) -> Result<Vec<[u8; 32]>, ProofError> {
        let [depth] = self.array("branch")?;
        let found = usize::from(depth);
        if found > MAX_BRANCH_DEPTH {
            return Err(ProofError::BranchDepth { found });
        }
        (0..found).map(|_| self.array("branch")).collect()
    }

    fn transaction(&mut self) -> Result<Vec<u8>, ProofError> {
        let length = u16::from_le_bytes(self.array("transaction")?);
        let bytes = self.slice(usize::from(length), "transaction")?;
        Ok(bytes.to_vec())
    }

    fn binding(&mut self) -> Result<Binding, ProofError> {
        match self.array("binding")? {
            [ADDRESS] => Ok(Binding::Address),
            [BATCH] => self.path().map(Binding::Batch),
            [kind] => Err(ProofError::BindingKind(kind)),
        }
    }

    fn path(&mut self) -> Result<BatchPath, ProofError> {
        let sats = self.u64("amount")?;
        let position = self.u32("position")?;
        let votes = self.u32("votes")?;
        let sums = (0..self.depth("sums")?).map(|_| {
            Ok(SumStep {
                hash: self.array("sums")?,
                sats: self.u64("sums")?,
            })
        });
        let sums = sums.collect::<Result<_, ProofError>>()?;
        let outputs = self.u32("outputs")?;
        let siblings = (0..self.depth("outputs")?).map(|_| self.array("outputs"));
        let siblings = siblings.collect::<Result<_, ProofError>>()?;
        Ok(BatchPath {
            sats,
            position,
            votes,
            sums,
            outputs,
            siblings,
        })
    }

    fn depth(&mut self, field: &'static str) -> Result<usize, ProofError> {
        let [depth] = self.array(field)?;
        let depth = usize::from(depth);
        if depth > MAX_PATH_DEPTH {
            return Err(ProofError::PathDepth);
        }
        Ok(depth)
    }
}
